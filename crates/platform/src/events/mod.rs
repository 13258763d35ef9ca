//! Events between services: an outbox row in the transaction of the change, a
//! relay that carries it, an inbox row in the consumer's own database, and a
//! worker that commits the consumer's work together with the fact that the
//! event was consumed. Retries and dead letters live in the inbox, so that one
//! consumer that is down holds up nobody else.

mod inbox;
mod outbox;
mod relay;

pub use inbox::{ConsumeError, Consumer, DeadLetter, Inbox};
pub use outbox::{DbOutbox, OutboxError, OutboxSource, append};
pub use relay::Relay;

use crate::db::Migration;

/// The outbox and inbox tables, in each service's own database.
pub const MIGRATIONS: &[Migration] = &[Migration {
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
}];
