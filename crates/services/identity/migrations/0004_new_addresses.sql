-- Addresses that people want instead of theirs, until they show that these reach them.
CREATE TABLE new_addresses (
    person TEXT PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    -- The session that asked: it goes on when the others end.
    session TEXT NOT NULL,
    -- Of the link's token; none until its mail is on its way.
    hash BLOB UNIQUE,
    expires_at INTEGER NOT NULL
);
-- Where a mail goes that is not for the person's address of now.
ALTER TABLE mails ADD COLUMN address TEXT;
