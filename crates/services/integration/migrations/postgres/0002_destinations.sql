-- Destinations that a tenant made. Those that were removed stay as names, for as long as
-- deliveries to them are shown.
CREATE TABLE destinations (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'paused', 'removed')),
    settings TEXT NOT NULL,
    -- Sealed under a key of the tenant.
    secret BYTEA,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    tested_at BIGINT
);
CREATE UNIQUE INDEX destinations_by_name ON destinations (tenant, name) WHERE state <> 'removed';
CREATE INDEX destinations_at_work ON destinations (id) WHERE state = 'active';
CREATE INDEX deliveries_to ON deliveries (tenant, destination, state);
