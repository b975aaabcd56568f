-- The last whole verification of what is frozen of a vault.

CREATE TABLE verification (
	vault TEXT PRIMARY KEY NOT NULL,	-- uuid
	at INTEGER NOT NULL,			-- its end
	state TEXT NOT NULL,			-- good, damaged, failed
	text TEXT,
	damage TEXT NOT NULL DEFAULT '[]',	-- JSON
	bytes INTEGER NOT NULL,			-- that were read
	duration INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER verification_gone AFTER DELETE ON vault BEGIN
	DELETE FROM verification WHERE vault = old.uuid;
END;
