//! Feeds an inbox from its consumer's queue. What was taken is acknowledged when
//! the inbox holds it durably; what is no event goes to the dead letters.

use std::convert::Infallible;

use futures::{FutureExt as _, StreamExt as _};
use hilum_contracts::Event;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::within;
use super::publishing::POSITION;
use super::topology::{ANSWERS, EVENTS, MARKER, queue_of};
use super::{Bus, BusError, pause};
use crate::events::Inbox;
use crate::limits::{BUS_ANSWER, BUS_HOLD, BUS_PREFETCH};

/// Feeds one inbox.
pub struct Feeder {
    bus: Bus,
    inbox: Inbox,
}

/// What a message is.
enum Taken {
    Event(i64, Box<Event>),
    /// To be answered, to there, when everything before it is kept.
    Marker(Option<ShortString>),
    /// Nothing that Hilum sends.
    Foreign,
}

impl Feeder {
    /// A feeder of `inbox`.
    #[must_use]
    pub fn new(bus: Bus, inbox: Inbox) -> Self {
        Self { bus, inbox }
    }

    /// Feeds until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let Err(error) = self.feed(&stop, &mut failures).await;
            if stop.is_cancelled() {
                return;
            }
            failures += 1;
            tracing::warn!(consumer = self.inbox.consumer(), %error, "nothing comes from the bus");
            stop.run_until_cancelled(tokio::time::sleep(pause(failures)))
                .await;
        }
    }

    async fn feed(
        &self,
        stop: &CancellationToken,
        failures: &mut i64,
    ) -> Result<Infallible, BusError> {
        let opened = stop.run_until_cancelled(self.open()).await;
        let (channel, mut messages) = opened.ok_or(BusError::Ended)??;
        *failures = 0;
        loop {
            let next = stop.run_until_cancelled(messages.next()).await;
            let first = next.flatten().ok_or(BusError::Ended)??;
            let mut batch = vec![first];
            // What is there already comes along: one transaction for all of it.
            while batch.len() < usize::from(BUS_PREFETCH)
                && let Some(next) = messages.next().now_or_never()
            {
                batch.push(next.ok_or(BusError::Ended)??);
            }
            self.take(&channel, batch, stop).await?;
        }
    }

    async fn open(&self) -> Result<(Channel, Consumer), BusError> {
        let channel = self.bus.0.taking.channel(&self.bus.0).await?;
        let messages = within(BUS_ANSWER, "a consumer", self.consume(&channel)).await?;
        Ok((channel, messages))
    }

    async fn consume(&self, channel: &Channel) -> lapin::Result<Consumer> {
        channel
            .basic_qos(BUS_PREFETCH, BasicQosOptions::default())
            .await?;
        let queue = queue_of(self.inbox.consumer());
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        channel
            .basic_consume(queue.into(), "".into(), options, none)
            .await
    }

    async fn take(
        &self,
        channel: &Channel,
        batch: Vec<Delivery>,
        stop: &CancellationToken,
    ) -> Result<(), BusError> {
        let (mut events, mut markers, mut last) = (Vec::new(), Vec::new(), None);
        for message in batch {
            match read(&message) {
                Taken::Event(position, event) => events.push((position, *event)),
                Taken::Marker(to) => markers.extend(to),
                Taken::Foreign => {
                    self.reject(&message).await?;
                    continue;
                }
            }
            last = Some(message.delivery_tag);
        }
        self.keep(&events, channel, stop).await?;
        if let Some(last) = last {
            channel
                .basic_ack(last, BasicAckOptions { multiple: true })
                .await?;
        }
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        metrics::counter!("hilum_bus_consumed_total", "for" => self.inbox.consumer())
            .increment(count);
        for to in markers {
            if let Err(error) = self.answer(to).await {
                tracing::warn!(%error, "a marker was not answered; whoever waits for it asks again");
            }
        }
        Ok(())
    }

    /// Has the inbox keep events, however often it takes. They stay in hand
    /// meanwhile: each time that a message goes back counts towards the queue's
    /// delivery limit, so that an hour without a database would make dead
    /// letters of them. Only when the broker's own patience (`consumer_timeout`,
    /// half an hour unless set) comes to its end they go back, in their order,
    /// and are taken again: so a week without a database is far below the limit.
    async fn keep(
        &self,
        events: &[(i64, Event)],
        channel: &Channel,
        stop: &CancellationToken,
    ) -> Result<(), BusError> {
        let (began, mut failures) = (Instant::now(), 0);
        while let Err(error) = self.inbox.receive(events).await {
            failures += 1;
            tracing::error!(consumer = self.inbox.consumer(), %error, "events wait: the inbox does not take them");
            stop.run_until_cancelled(tokio::time::sleep(pause(failures)))
                .await;
            let is_held = began.elapsed() < BUS_HOLD && channel.status().connected();
            if stop.is_cancelled() || !is_held {
                return Err(BusError::Unkept(self.inbox.consumer()));
            }
        }
        Ok(())
    }

    async fn reject(&self, message: &Delivery) -> Result<(), BusError> {
        let consumer = self.inbox.consumer();
        // Whoever sent it may have written anything there: an id is shown and nothing else.
        let id = message.properties.message_id().as_ref();
        let id = id.and_then(|id| id.as_str().parse::<uuid::Uuid>().ok());
        tracing::error!(consumer, message = ?id, "a message is no event: it goes to the dead letters of the bus");
        metrics::counter!("hilum_bus_rejected_total", "for" => consumer).increment(1);
        message
            .reject(BasicRejectOptions { requeue: false })
            .await?;
        Ok(())
    }

    /// Says to who waits behind a marker that everything before it is kept.
    async fn answer(&self, to: ShortString) -> Result<(), BusError> {
        if !to.as_str().starts_with(ANSWERS) {
            return Ok(());
        }
        let channel = self.bus.0.sending.channel(&self.bus.0).await?;
        let (name, none) = (self.inbox.consumer().as_bytes(), BasicProperties::default());
        let options = BasicPublishOptions::default();
        let answering = channel.basic_publish(EVENTS.into(), to, options, name, none);
        within(BUS_ANSWER, "an answer", answering).await?;
        Ok(())
    }
}

fn read(message: &Delivery) -> Taken {
    if message.routing_key.as_str() == MARKER {
        return Taken::Marker(message.properties.reply_to().clone());
    }
    let headers = message.properties.headers().as_ref();
    let position = headers.and_then(|headers| headers.inner().get(POSITION));
    let Some(AMQPValue::LongLongInt(position)) = position else {
        return Taken::Foreign;
    };
    match serde_json::from_slice::<Event>(&message.data) {
        Ok(event) if event.specversion == "1.0" => Taken::Event(*position, Box::new(event)),
        _ => Taken::Foreign,
    }
}
