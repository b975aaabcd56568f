-- Activation windows that are open, or should have been closed.

CREATE TABLE network_window (
	vault TEXT PRIMARY KEY NOT NULL,	-- uuid
	opened_at INTEGER NOT NULL,
	until INTEGER NOT NULL,
	who TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER network_window_delete AFTER DELETE ON vault BEGIN
	DELETE FROM network_window WHERE vault = old.uuid;
END;
