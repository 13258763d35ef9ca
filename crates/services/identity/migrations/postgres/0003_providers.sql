-- OpenID providers that a tenant's people sign in with.
CREATE TABLE providers (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants (name) ON DELETE CASCADE DEFERRABLE,
    name TEXT COLLATE "C" NOT NULL,
    issuer TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    -- Sealed under a key of the tenant.
    secret BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant, issuer, client_id)
);
-- Who a subject of an issuer is here.
CREATE TABLE subjects (
    issuer TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C" NOT NULL REFERENCES people (id) ON DELETE CASCADE DEFERRABLE,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX subjects_of_person ON subjects (person);
-- A session that a tenant's provider vouched for is good in that tenant only.
ALTER TABLE sessions ADD COLUMN provider TEXT COLLATE "C";
