//! Publishes an outbox: persistent messages, in their order, and what the broker
//! confirmed is sent. What it did not is published again, and recognised by who
//! has it already.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connection::within;
use super::topology::EVENTS;
use super::{Bus, BusError};
use crate::limits::{BUS_ANSWER, BUS_CONFIRM, BUS_NEW};
use hilum_contracts::Event;

/// The media type of an event (CloudEvents JSON format §3, structured mode).
pub(super) const CLOUDEVENT: &str = "application/cloudevents+json";
/// The header with the event's place in its outbox, which is the order in which
/// consumers take what waits for them.
pub(super) const POSITION: &str = "hilum-position";
/// Kept on disk (AMQP 0-9-1, delivery-mode).
const PERSISTENT: u8 = 2;

/// Publishes on a channel of its own.
pub(in crate::events) struct Publisher {
    bus: Bus,
    channel: Mutex<Option<Channel>>,
}

impl Publisher {
    pub(in crate::events) fn new(bus: Bus) -> Self {
        Self {
            bus,
            channel: Mutex::default(),
        }
    }

    /// Publishes events; the positions of those that are in every queue they
    /// belong to. Fewer than were given: a queue is full.
    ///
    /// # Errors
    /// When the broker is not there; then nobody knows what arrived.
    pub(in crate::events) async fn publish(
        &self,
        events: &[(i64, Event)],
    ) -> Result<Vec<i64>, BusError> {
        let mut slot = self.channel.lock().await;
        let channel = match slot.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => self.open().await?,
        };
        match timeout(BUS_CONFIRM, send(&channel, events)).await {
            Ok(Ok(confirmed)) => {
                *slot = Some(channel);
                Ok(confirmed)
            }
            Ok(Err(error)) => {
                self.bus.sent_unsurely();
                Err(error)
            }
            Err(_) => {
                self.bus.sent_unsurely();
                self.bus.0.sending.abandon().await;
                Err(BusError::TimedOut("a confirm"))
            }
        }
    }

    async fn open(&self) -> Result<Channel, BusError> {
        let channel = self.bus.0.sending.channel(&self.bus.0).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        within(BUS_ANSWER, "confirms", confirms).await?;
        // The queues are there; a broker that is killed now may forget whose log is whose, and
        // with it what it confirmed.
        let settled = &self.bus.0.settled;
        settled.get_or_init(|| tokio::time::sleep(BUS_NEW)).await;
        Ok(channel)
    }
}

async fn send(channel: &Channel, events: &[(i64, Event)]) -> Result<Vec<i64>, BusError> {
    let mut waiting = Vec::with_capacity(events.len());
    for (position, event) in events {
        let body = serde_json::to_vec(event).map_err(|_| BusError::Encode)?;
        let confirm = channel
            .basic_publish(
                EVENTS.into(),
                event.kind.as_str().into(),
                // Nobody may follow an event of this kind; then it has arrived as well.
                BasicPublishOptions::default(),
                &body,
                properties(*position, event),
            )
            .await?;
        metrics::counter!("hilum_bus_published_total").increment(1);
        waiting.push((*position, confirm));
    }
    let mut confirmed = Vec::with_capacity(waiting.len());
    for (position, confirm) in waiting {
        match confirm.await? {
            Confirmation::Ack(_) => confirmed.push(position),
            Confirmation::Nack(_) => metrics::counter!("hilum_bus_nacked_total").increment(1),
            Confirmation::NotRequested => return Err(BusError::Ended),
        }
    }
    let count = u64::try_from(confirmed.len()).unwrap_or(u64::MAX);
    metrics::counter!("hilum_bus_confirmed_total").increment(count);
    Ok(confirmed)
}

/// What stands beside the event: nothing of its content.
fn properties(position: i64, event: &Event) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(POSITION.into(), AMQPValue::LongLongInt(position));
    BasicProperties::default()
        .with_app_id("hilum".into())
        .with_content_type(CLOUDEVENT.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(event.id.to_string().into())
        .with_headers(headers)
}
