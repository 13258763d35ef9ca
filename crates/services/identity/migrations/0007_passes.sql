-- Keys that passes are signed with, sealed under a key of the installation's. Passes
-- are believed for hours after a key was made: each stays for as long.
CREATE TABLE pass_keys (
    public TEXT PRIMARY KEY,
    sealed BLOB NOT NULL,
    made_at INTEGER NOT NULL
) WITHOUT ROWID;
-- Sessions and keys that ended or changed, whoever did it, in the transaction of the
-- change: a pass from before holds no more.
CREATE TABLE endings (
    id INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    -- NULL: other processes were not told yet.
    at INTEGER
);
CREATE INDEX endings_told ON endings (at);
CREATE TRIGGER sessions_end AFTER DELETE ON sessions
BEGIN INSERT INTO endings (subject) VALUES ('session:' || old.id); END;
CREATE TRIGGER api_keys_end AFTER DELETE ON api_keys
BEGIN INSERT INTO endings (subject) VALUES ('key:' || old.id); END;
CREATE TRIGGER api_keys_change AFTER UPDATE OF tenant, role, limited_to, hash, expires_at ON api_keys
BEGIN INSERT INTO endings (subject) VALUES ('key:' || old.id); END;
CREATE TRIGGER memberships_change AFTER UPDATE OF role ON memberships
BEGIN
    INSERT INTO endings (subject) SELECT 'session:' || id FROM sessions
    WHERE tenant = new.tenant AND person = new.person;
END;
CREATE TRIGGER break_glass_begin AFTER INSERT ON break_glass
BEGIN INSERT INTO endings (subject) VALUES ('session:' || new.session); END;
CREATE TRIGGER break_glass_end AFTER UPDATE OF until ON break_glass
BEGIN INSERT INTO endings (subject) VALUES ('session:' || new.session); END;
