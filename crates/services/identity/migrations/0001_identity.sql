CREATE TABLE tenants (
    name TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    ae_title TEXT NOT NULL UNIQUE,
    -- JSON, see domain/settings.rs.
    settings TEXT NOT NULL,
    -- Named in the configuration file.
    configured INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
-- People are nobody's: one may belong to several tenants.
CREATE TABLE people (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    email_verified INTEGER NOT NULL,
    -- May not sign in before their address is verified.
    must_verify INTEGER NOT NULL,
    -- PHC string of argon2id; none for who signs in with a provider only.
    password TEXT,
    created_at INTEGER NOT NULL
);
CREATE TABLE memberships (
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    -- The person's name, folded, and all that is searched: copied here so that
    -- a page and a search read one index.
    sort TEXT NOT NULL,
    search TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (tenant, person)
) WITHOUT ROWID;
CREATE INDEX memberships_of_person ON memberships (person);
CREATE INDEX memberships_sorted ON memberships (tenant, sort, person, search, role, since);
CREATE INDEX memberships_by_role ON memberships (tenant, role);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    -- SHA-256 of the token that the browser holds.
    hash BLOB NOT NULL UNIQUE,
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    idle_ms INTEGER NOT NULL,
    browser TEXT NOT NULL,
    address TEXT NOT NULL,
    FOREIGN KEY (tenant, person) REFERENCES memberships (tenant, person) ON DELETE CASCADE
);
CREATE INDEX sessions_of_person ON sessions (person, seen_at);
CREATE INDEX sessions_ended ON sessions (expires_at);
-- Browsers that a person signed in from before.
CREATE TABLE browsers (
    hash BLOB PRIMARY KEY,
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    used_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX browsers_of_person ON browsers (person, used_at);
-- Signing in that failed, by what it counts against; keys are hashes.
CREATE TABLE attempts (
    key BLOB PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX attempts_old ON attempts (last_at);
-- One-time tokens, by SHA-256.
CREATE TABLE tokens (
    hash BLOB PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('set-up', 'reset', 'verify')),
    person TEXT REFERENCES people (id) ON DELETE CASCADE,
    -- The address that the token proves.
    email TEXT,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_of_person ON tokens (person, kind);
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    -- None until its mail is on its way.
    hash BLOB UNIQUE,
    -- The link goes to the address, so that who opens it reads there.
    mailed INTEGER NOT NULL,
    invited_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (tenant, email)
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- JSON list of actions.
    limited_to TEXT,
    hash BLOB NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at INTEGER,
    used_from TEXT
);
CREATE INDEX api_keys_of_tenant ON api_keys (tenant, id);
CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    ae_title TEXT NOT NULL,
    -- IP address or network; empty: none.
    address TEXT NOT NULL,
    -- Hexadecimal; empty: none.
    certificate TEXT NOT NULL,
    issuer TEXT,
    quiet_seconds REAL,
    fallback_charset TEXT,
    configured INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER,
    seen_from TEXT,
    UNIQUE (tenant, ae_title, address, certificate)
);
CREATE TABLE unknown_devices (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    ae_title TEXT NOT NULL,
    address TEXT NOT NULL,
    certificate TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    UNIQUE (tenant, ae_title, address, certificate)
);
CREATE INDEX unknown_devices_last ON unknown_devices (tenant, last_at);
CREATE TABLE break_glass (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    person TEXT NOT NULL,
    -- The name as it was: the person may go before the review.
    person_name TEXT NOT NULL,
    session TEXT NOT NULL,
    reason TEXT NOT NULL,
    address TEXT NOT NULL,
    taken_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    reviewed_at INTEGER,
    reviewed_by TEXT,
    review TEXT
);
CREATE INDEX break_glass_of_session ON break_glass (session, until);
CREATE INDEX break_glass_of_tenant ON break_glass (tenant, id);
