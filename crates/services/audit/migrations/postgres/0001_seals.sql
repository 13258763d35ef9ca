-- Seals of the trails of each tenant, and what they hold of every entry.
CREATE TABLE seal (
    tenant TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- The seal as it is appended to the tenant's file of seals.
    seal TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, number));

-- Up to where the chain of each writer is sealed.
CREATE TABLE sealed (
    tenant TEXT COLLATE "C" NOT NULL,
    writer TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (tenant, writer));
