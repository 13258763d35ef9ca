-- Seals of the trails of each tenant, and what they hold of every entry.
CREATE TABLE seal (
    tenant TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- The seal as it is appended to the tenant's file of seals.
    seal TEXT NOT NULL,
    PRIMARY KEY (tenant, number)) WITHOUT ROWID;

-- Up to where the chain of each writer is sealed.
CREATE TABLE sealed (
    tenant TEXT NOT NULL,
    writer TEXT NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tenant, writer)) WITHOUT ROWID;
