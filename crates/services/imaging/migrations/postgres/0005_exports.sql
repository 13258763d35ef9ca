-- Who took images out of the archive to a folder, and how many. Names no
-- patient, study or folder.
CREATE TABLE exports (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    extent TEXT COLLATE "C" NOT NULL,
    as_received BOOLEAN NOT NULL,
    by TEXT COLLATE "C" NOT NULL,
    began_at BIGINT NOT NULL,
    ended_at BIGINT,
    studies BIGINT NOT NULL,
    files BIGINT,
    bytes BIGINT,
    failed BIGINT,
    sha256 TEXT COLLATE "C",
    PRIMARY KEY (tenant, id)
);
CREATE INDEX exports_latest ON exports (tenant, began_at);
