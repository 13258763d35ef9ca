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
mod tables;

pub use dead_letters::{DeadLetter, DeadLetters};
pub use inbox::{ConsumeError, Consumer, Inbox, Interest};
pub use outbox::{DbOutbox, OutboxError, OutboxSource, append};
pub use relay::{Relay, Transit};

pub use tables::MIGRATIONS;
pub(crate) use tables::{FORGET, FORGET_TENANT};
