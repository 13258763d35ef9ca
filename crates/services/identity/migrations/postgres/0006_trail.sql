-- Why emergency access was taken, and what its review found, may name a
-- patient: sealed under the tenant's key. `reason` and `review` are empty since.
ALTER TABLE break_glass ADD COLUMN sealed_reason BYTEA;
ALTER TABLE break_glass ADD COLUMN sealed_review BYTEA;
-- What people were called who belong to a tenant no more: its trail names them
-- by their ids for years.
CREATE TABLE former_members (
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants (name) ON DELETE CASCADE DEFERRABLE,
    person TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    left_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, person)
);
CREATE INDEX former_members_left ON former_members (left_at);
