-- OpenID providers that a tenant's people sign in with.
CREATE TABLE providers (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    -- Sealed under a key of the tenant.
    secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, issuer, client_id)
);
-- Who a subject of an issuer is here.
CREATE TABLE subjects (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE INDEX subjects_of_person ON subjects (person);
-- A session that a tenant's provider vouched for is good in that tenant only.
ALTER TABLE sessions ADD COLUMN provider TEXT;
