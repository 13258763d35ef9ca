//! A barrier: when it is passed, whatever was published before is in the inboxes
//! that it was about, and the queues hold nothing older.

use std::collections::HashSet;

use futures::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::protocol::BasicProperties;
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::topology::{ANSWERS, EVENTS, MARKER, bind};
use super::{Bus, BusError};
use crate::limits::{BUS_BARRIER, BUS_SETTLE, BUS_UNSURE};

impl Bus {
    /// Waits until each of these consumers' inboxes, in whichever process, holds
    /// what was published before: a marker goes through every queue, and is
    /// answered when all before it is durable. None sets out meanwhile only if
    /// the relays are halted ([`Transit`](super::super::Transit)).
    ///
    /// # Errors
    /// When one does not answer in time; what is missing may be on its way.
    pub async fn barrier(&self, consumers: &[String]) -> Result<(), BusError> {
        self.mark(consumers).await?;
        let unsure = self.sent_unsurely_at();
        if unsure.is_some_and(|at| at.elapsed() < BUS_UNSURE) {
            // What was sent on a connection that was given up may still be read by the broker,
            // beside what comes on the new one. When that has gone through as well, it has.
            tokio::time::sleep(BUS_SETTLE).await;
            self.mark(consumers).await?;
        }
        Ok(())
    }

    async fn mark(&self, consumers: &[String]) -> Result<(), BusError> {
        let marking = timeout(BUS_BARRIER, self.mark_and_wait(consumers)).await;
        marking.unwrap_or(Err(BusError::TimedOut(
            "an inbox did not say that it has everything",
        )))
    }

    async fn mark_and_wait(&self, consumers: &[String]) -> Result<(), BusError> {
        let channel = self.0.sending.channel(&self.0).await?;
        let id = uuid::Uuid::new_v4().to_string();
        // Of this connection, and gone with it.
        let answers = format!("{ANSWERS}{id}");
        let own = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(answers.as_str().into(), own, FieldTable::default())
            .await?;
        bind(&channel, &answers, EVENTS, &answers).await?;
        let unacknowledged = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let (queue, none) = (answers.as_str().into(), FieldTable::default());
        let mut coming = channel
            .basic_consume(queue, "".into(), unacknowledged, none)
            .await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let properties = BasicProperties::default().with_reply_to(answers.as_str().into());
        let options = BasicPublishOptions::default();
        let confirm = channel
            .basic_publish(EVENTS.into(), MARKER.into(), options, &[], properties)
            .await?;
        if !confirm.await?.is_ack() {
            return Err(BusError::Full);
        }
        let mut missing: HashSet<&[u8]> = consumers.iter().map(String::as_bytes).collect();
        while !missing.is_empty() {
            let answer = coming.next().await.ok_or(BusError::Ended)??;
            missing.remove(answer.data.as_slice());
        }
        Ok(())
    }
}
