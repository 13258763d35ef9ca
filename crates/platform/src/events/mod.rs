//! Events between services: an outbox row in the transaction of the change, a
//! relay that carries it, an inbox row in the consumer's own database, and a
//! worker that commits the consumer's work together with the fact that the
//! event was consumed. Retries and dead letters live in the inbox, so that one
//! consumer that is down holds up nobody else. Between processes a
//! [bus](broker) carries what the relay sends.

pub mod broker;
mod consumed;
mod dead_letters;
mod inbox;
mod outbox;
mod relay;

pub use dead_letters::{DeadLetter, DeadLetters};
pub use inbox::{ConsumeError, Consumer, Inbox, Interest};
pub use outbox::{DbOutbox, OutboxError, OutboxSource, append};
pub use relay::{Relay, Transit};

use crate::db::Migration;

/// Deletes events of a tenant that name a subject, whatever became of them.
pub(crate) const FORGET: &[&str] = &[
    "DELETE FROM inbox WHERE tenant IN ($1, '') AND instr(event, '\"' || $2 || '\"') > 0",
    "DELETE FROM outbox WHERE instr(event, '\"' || $2 || '\"') > 0
     AND CASE WHEN json_valid(event) THEN json_extract(event, '$.tenant') = $1 END",
];

/// Deletes events of a tenant, also those that name it in their text only.
pub(crate) const FORGET_TENANT: &[&str] = &[
    "DELETE FROM inbox WHERE tenant = ''
     AND CASE WHEN json_valid(event) THEN json_extract(event, '$.tenant') = $1 END",
    "DELETE FROM outbox
     WHERE CASE WHEN json_valid(event) THEN json_extract(event, '$.tenant') = $1 END",
];

/// The outbox and inbox tables, in each service's own database.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: "CREATE TABLE outbox (
        position INTEGER PRIMARY KEY,
        event TEXT NOT NULL,
        sent INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX outbox_unsent ON outbox (position) WHERE sent = 0;
    CREATE TABLE inbox (
        event_id TEXT NOT NULL,
        consumer TEXT NOT NULL,
        position INTEGER NOT NULL,
        event TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'dead')),
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        last_error TEXT,
        PRIMARY KEY (event_id, consumer));
    CREATE INDEX inbox_pending ON inbox (consumer, position) WHERE state = 'pending';",
    },
    // Whose and what a dead letter is, also where the event itself can't be read.
    Migration {
        version: 2,
        sql: "ALTER TABLE inbox ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
    ALTER TABLE inbox ADD COLUMN kind TEXT NOT NULL DEFAULT '';
    UPDATE inbox SET tenant = COALESCE(json_extract(event, '$.tenant'), ''),
            kind = COALESCE(json_extract(event, '$.type'), '')
        WHERE state <> 'done' AND json_valid(event);
    CREATE INDEX inbox_dead ON inbox (consumer, tenant, received_at) WHERE state = 'dead';
    CREATE INDEX inbox_done ON inbox (consumer, received_at) WHERE state = 'done';",
    },
    // Of a consumed event only the id, by the day (since 1970) that it last came. Rows of an
    // id that can't be one would be repeats of nothing.
    Migration {
        version: 3,
        sql: "CREATE TABLE inbox_consumer (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE inbox_consumed (
        consumer INTEGER NOT NULL,
        day INTEGER NOT NULL,
        event BLOB NOT NULL CHECK (length(event) = 16),
        PRIMARY KEY (consumer, day, event)) WITHOUT ROWID;
    INSERT INTO inbox_consumer (name)
        SELECT consumer FROM inbox WHERE state = 'done' GROUP BY consumer;
    INSERT INTO inbox_consumed (consumer, day, event)
        SELECT c.id, i.received_at / 86400000, unhex(i.event_id, '-')
        FROM inbox i JOIN inbox_consumer c ON c.name = i.consumer
        WHERE i.state = 'done' AND length(unhex(i.event_id, '-')) = 16 ORDER BY 1, 2, 3;
    DROP INDEX inbox_done;
    DELETE FROM inbox WHERE state = 'done';",
    },
];
