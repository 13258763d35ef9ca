-- The key that seals are signed with, sealed under the master key.
CREATE TABLE signing_key (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    sealed BYTEA NOT NULL);

-- What was removed because it was kept long enough, signed: without such a
-- statement the beginning of a chain is missing.
CREATE TABLE removed (
    tenant TEXT COLLATE "C" NOT NULL,
    writer TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    -- The statement as it was signed, and its signature.
    content TEXT COLLATE "C" NOT NULL,
    signature TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, writer, position));
