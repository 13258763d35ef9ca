-- Who took images out of the archive to a folder, and how many. Names no
-- patient, study or folder.
CREATE TABLE exports (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    extent TEXT NOT NULL,
    as_received INTEGER NOT NULL,
    by TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    studies INTEGER NOT NULL,
    files INTEGER,
    bytes INTEGER,
    failed INTEGER,
    sha256 TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX exports_latest ON exports (tenant, began_at);
