-- Mails on their way. No row holds a link: its token is made when it is sent.
CREATE TABLE mails (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    person TEXT REFERENCES people (id) ON DELETE CASCADE,
    tenant TEXT REFERENCES tenants (name) ON DELETE CASCADE,
    invitation TEXT REFERENCES invitations (id) ON DELETE CASCADE,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
);
CREATE INDEX mails_due ON mails (next_at);
CREATE INDEX mails_of_person ON mails (person, kind);
