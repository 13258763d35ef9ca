-- Why emergency access was taken, and what its review found, may name a
-- patient: sealed under the tenant's key. `reason` and `review` are empty since.
ALTER TABLE break_glass ADD COLUMN sealed_reason BLOB;
ALTER TABLE break_glass ADD COLUMN sealed_review BLOB;
-- What people were called who belong to a tenant no more: its trail names them
-- by their ids for years.
CREATE TABLE former_members (
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    left_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, person)
) WITHOUT ROWID;
CREATE INDEX former_members_left ON former_members (left_at);
