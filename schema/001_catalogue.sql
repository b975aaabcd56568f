-- The catalogue: vaults, tickets, sessions, jobs, audit log.
--
-- Times are microseconds since 1970 unless a name says otherwise.

CREATE TABLE vault (
	uuid TEXT PRIMARY KEY NOT NULL,
	name TEXT NOT NULL UNIQUE,
	created_at INTEGER NOT NULL,
	-- 0 while it is being made or deleted: then its folder is removed at
	-- the next start.
	ready INTEGER NOT NULL DEFAULT 0,
	-- What policy differs from the default, a JSON object.
	policy TEXT NOT NULL DEFAULT '{}',
	-- What of its making the definition does not say, a JSON object.
	spec TEXT NOT NULL DEFAULT '{}',
	-- Since when the guest runs; NULL when it does not.
	started_at INTEGER,
	-- Whether it ended by itself, and what there is to say of that.
	crashed INTEGER NOT NULL DEFAULT 0,
	why TEXT,
	-- "kvm" or "tcg" of the last start, and why.
	accelerator TEXT,
	accelerator_reason TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket (
	digest BLOB PRIMARY KEY NOT NULL,	-- SHA-256 of the text
	vault TEXT,				-- uuid, or
	job TEXT,				-- a replay job
	view_only INTEGER NOT NULL,
	address TEXT,				-- NULL: the first that uses it
	made_by TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at INTEGER,
	used_by TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_expiry ON ticket (expires_at);

-- seq is the start time made unique, so that every order and every range of
-- sessions, the text search's included, is one of row ids.
CREATE TABLE session (
	seq INTEGER PRIMARY KEY NOT NULL,
	id TEXT NOT NULL UNIQUE,
	vault TEXT NOT NULL,			-- uuid
	vault_name TEXT NOT NULL,		-- as it was called
	client TEXT NOT NULL,			-- address
	state TEXT NOT NULL,			-- live, ended, recovered
	ended_at INTEGER,
	end_reason TEXT,
	end_text TEXT,
	view_only INTEGER NOT NULL DEFAULT 0,
	recorded INTEGER NOT NULL DEFAULT 1,
	hold INTEGER NOT NULL DEFAULT 0,
	bytes_to_client INTEGER NOT NULL DEFAULT 0,
	bytes_to_guest INTEGER NOT NULL DEFAULT 0,
	capture_bytes INTEGER NOT NULL DEFAULT 0,
	capture_sha256 BLOB,
	is_signed INTEGER NOT NULL DEFAULT 0,
	video TEXT NOT NULL DEFAULT 'none',	-- queued, rendering, ready, failed
	video_bytes INTEGER NOT NULL DEFAULT 0,
	video_error TEXT
) STRICT;
CREATE INDEX session_vault ON session (vault, seq);
CREATE INDEX session_name ON session (vault_name, seq);
CREATE INDEX session_live ON session (vault, seq) WHERE state = 'live';
CREATE INDEX session_recovered ON session (seq) WHERE state = 'recovered';
CREATE INDEX session_unscanned ON session (seq)
	WHERE state = 'recovered' AND capture_sha256 IS NULL AND recorded = 1;

CREATE VIRTUAL TABLE session_text USING fts5 (
	vault_name, client, end_text,
	content = 'session', content_rowid = 'seq',
	-- An address is one word. Search is for beginnings of words; each
	-- length up to eight has an index, so that even a word that stands in
	-- every session is found without reading all of them.
	tokenize = "unicode61 remove_diacritics 2 tokenchars '.:'",
	prefix = '1 2 3 4 5 6 7 8'
);
CREATE TRIGGER session_text_insert AFTER INSERT ON session BEGIN
	INSERT INTO session_text (rowid, vault_name, client, end_text)
	VALUES (new.seq, new.vault_name, new.client, new.end_text);
END;
CREATE TRIGGER session_text_delete AFTER DELETE ON session BEGIN
	INSERT INTO session_text
		(session_text, rowid, vault_name, client, end_text)
	VALUES ('delete', old.seq, old.vault_name, old.client, old.end_text);
END;
CREATE TRIGGER session_text_update
AFTER UPDATE OF vault_name, client, end_text ON session BEGIN
	INSERT INTO session_text
		(session_text, rowid, vault_name, client, end_text)
	VALUES ('delete', old.seq, old.vault_name, old.client, old.end_text);
	INSERT INTO session_text (rowid, vault_name, client, end_text)
	VALUES (new.seq, new.vault_name, new.client, new.end_text);
END;

-- How many sessions and bytes there are, so that nobody has to count.
CREATE TABLE vault_total (
	vault TEXT PRIMARY KEY NOT NULL,
	sessions INTEGER NOT NULL,
	bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER session_total_insert AFTER INSERT ON session BEGIN
	INSERT INTO vault_total (vault, sessions, bytes)
	VALUES (new.vault, 1, new.capture_bytes + new.video_bytes)
	ON CONFLICT (vault) DO UPDATE SET sessions = sessions + 1,
		bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER session_total_delete AFTER DELETE ON session BEGIN
	UPDATE vault_total SET sessions = sessions - 1,
		bytes = bytes - old.capture_bytes - old.video_bytes
	WHERE vault = old.vault;
END;
CREATE TRIGGER session_total_update
AFTER UPDATE OF capture_bytes, video_bytes ON session BEGIN
	UPDATE vault_total SET bytes = bytes
		+ new.capture_bytes + new.video_bytes
		- old.capture_bytes - old.video_bytes
	WHERE vault = old.vault;
END;

CREATE TABLE job (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	kind TEXT NOT NULL,			-- render, recover, replay
	session TEXT NOT NULL,
	options TEXT NOT NULL DEFAULT '{}',	-- JSON
	state TEXT NOT NULL,	-- queued, running, done, failed, cancelled
	attempts INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL,
	started_at INTEGER,
	ended_at INTEGER,
	error TEXT
) STRICT;
CREATE INDEX job_state ON job (state, seq);
CREATE INDEX job_session ON job (session);

CREATE TABLE audit (
	seq INTEGER PRIMARY KEY NOT NULL,
	at INTEGER NOT NULL,
	type TEXT NOT NULL,
	subject TEXT,				-- vault's name or session's id
	event TEXT NOT NULL			-- the whole event, JSON
) STRICT;
CREATE INDEX audit_type ON audit (type, seq);

-- Facts about this host that are costly to find out.
CREATE TABLE fact (
	name TEXT PRIMARY KEY NOT NULL,
	key TEXT NOT NULL,	-- what it depends on; another: find out anew
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
