-- Addresses that people want instead of theirs, until they show that these reach them.
CREATE TABLE new_addresses (
    person TEXT COLLATE "C" PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE DEFERRABLE,
    email TEXT COLLATE "C" NOT NULL,
    -- The session that asked: it goes on when the others end.
    session TEXT COLLATE "C" NOT NULL,
    -- Of the link's token; none until its mail is on its way.
    hash BYTEA UNIQUE,
    expires_at BIGINT NOT NULL
);
-- Where a mail goes that is not for the person's address of now.
ALTER TABLE mails ADD COLUMN address TEXT COLLATE "C";
