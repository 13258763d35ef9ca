-- The key that seals are signed with, sealed under the master key.
CREATE TABLE signing_key (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL);

-- What was removed because it was kept long enough, signed: without such a
-- statement the beginning of a chain is missing.
CREATE TABLE removed (
    tenant TEXT NOT NULL,
    writer TEXT NOT NULL,
    position INTEGER NOT NULL,
    -- The statement as it was signed, and its signature.
    content TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (tenant, writer, position)) WITHOUT ROWID;
