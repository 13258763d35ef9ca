-- Destinations that a tenant made. Those that were removed stay as names, for as long as
-- deliveries to them are shown.
CREATE TABLE destinations (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'removed')),
    settings TEXT NOT NULL,
    -- Sealed under a key of the tenant.
    secret BLOB,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    tested_at INTEGER
);
CREATE UNIQUE INDEX destinations_by_name ON destinations (tenant, name) WHERE state <> 'removed';
CREATE INDEX destinations_at_work ON destinations (id) WHERE state = 'active';
CREATE INDEX deliveries_to ON deliveries (tenant, destination, state);
