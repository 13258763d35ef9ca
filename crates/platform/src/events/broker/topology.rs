//! Exchanges, queues and bindings. Every process declares those of everybody,
//! whichever services it runs: an event that is confirmed is in the queue of
//! each of its consumers, also of one that was never started.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use super::BusError;
use crate::limits::{BUS_DEAD_DELIVERIES, BUS_DELIVERIES, BUS_QUEUE_BYTES};

/// Takes every event; its routing key is the event's kind.
pub(super) const EVENTS: &str = "hilum.events";
/// The exchange and the queue of what no consumer takes.
pub(super) const DEAD: &str = "hilum.dead";
/// The routing key of markers: every consumer's queue is bound to it.
pub(super) const MARKER: &str = "hilum.marker";
/// Begins the name of the queue for answers to a marker, which is its routing key.
pub(super) const ANSWERS: &str = "hilum.answers.";

/// Who follows which events.
#[derive(Clone, Debug)]
pub struct Topology {
    consumers: Vec<(String, Vec<String>)>,
    queue_bytes: i64,
}

impl Topology {
    /// Of these consumers by name, each with the kinds of event that it follows:
    /// all there are, not only those of this process.
    #[must_use]
    pub fn new(consumers: Vec<(String, Vec<String>)>) -> Self {
        Self {
            consumers,
            queue_bytes: BUS_QUEUE_BYTES,
        }
    }

    /// With room for so many bytes in each queue that is made.
    #[must_use]
    pub fn with_queue_bytes(self, bytes: i64) -> Self {
        Self {
            queue_bytes: bytes,
            ..self
        }
    }

    /// The consumers' names.
    pub fn consumers(&self) -> impl Iterator<Item = &str> {
        self.consumers.iter().map(|(name, _)| name.as_str())
    }

    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), BusError> {
        let mut channel = connection.create_channel().await?;
        for (name, kind) in [(EVENTS, ExchangeKind::Topic), (DEAD, ExchangeKind::Fanout)] {
            let durable = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            channel
                .exchange_declare(name.into(), kind, durable, FieldTable::default())
                .await?;
        }
        channel = queue(connection, channel, DEAD, self.dead_letters()).await?;
        bind(&channel, DEAD, DEAD, "").await?;
        for (consumer, kinds) in &self.consumers {
            let name = queue_of(consumer);
            channel = queue(connection, channel, &name, self.events()).await?;
            for kind in kinds {
                bind(&channel, &name, EVENTS, kind).await?;
            }
            bind(&channel, &name, EVENTS, MARKER).await?;
        }
        channel.close(200, "declared".into()).await?;
        Ok(())
    }

    fn events(&self) -> FieldTable {
        let mut arguments = self.queue(BUS_DELIVERIES);
        // One process at a time takes from a queue: what it has in hand can't be overtaken by
        // what comes later, and the answer to a marker is about everything before it.
        argument(
            &mut arguments,
            "x-single-active-consumer",
            AMQPValue::Boolean(true),
        );
        argument(&mut arguments, "x-dead-letter-exchange", text(DEAD));
        // What goes there leaves this queue when it has arrived, and not before.
        argument(
            &mut arguments,
            "x-dead-letter-strategy",
            text("at-least-once"),
        );
        arguments
    }

    fn dead_letters(&self) -> FieldTable {
        self.queue(BUS_DEAD_DELIVERIES)
    }

    fn queue(&self, deliveries: i64) -> FieldTable {
        let mut arguments = FieldTable::default();
        argument(&mut arguments, "x-queue-type", text("quorum"));
        argument(
            &mut arguments,
            "x-max-length-bytes",
            self.queue_bytes.into(),
        );
        // A full queue takes no more, and drops nothing that it has.
        argument(&mut arguments, "x-overflow", text("reject-publish"));
        argument(&mut arguments, "x-delivery-limit", deliveries.into());
        arguments
    }
}

/// The queue of a consumer.
pub(super) fn queue_of(consumer: &str) -> String {
    format!("hilum.{consumer}")
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn argument(arguments: &mut FieldTable, name: &str, value: AMQPValue) {
    arguments.insert(name.into(), value);
}

/// Declares a queue. One that has other limits stays as it is: they can't be
/// changed while it has messages, and an operator may have chosen them.
async fn queue(
    connection: &Connection,
    channel: Channel,
    name: &str,
    arguments: FieldTable,
) -> Result<Channel, BusError> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), durable, arguments).await;
    match declared {
        Ok(_) => Ok(channel),
        Err(error) if is_other(&error) => {
            tracing::warn!(
                queue = name,
                "the queue has other limits than Hilum gives it"
            );
            // The broker ends a channel on which something was refused.
            Ok(connection.create_channel().await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_other(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return false;
    };
    *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
}

pub(super) async fn bind(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    key: &str,
) -> lapin::Result<()> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind(queue.into(), exchange.into(), key.into(), options, none)
        .await
}
