//! Carries events from one service's outbox into the inboxes of this process.
//! An event is marked sent when every inbox has it; an inbox that fails is
//! tried again with the same events, which the others recognise as repeats.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Inbox, OutboxError, OutboxSource};
use crate::limits::{RELAY_BATCH, RELAY_GATHER, RELAY_POLL};

/// Carries one outbox to the inboxes of this process.
pub struct Relay {
    outbox: Arc<dyn OutboxSource>,
    inboxes: Vec<Inbox>,
}

impl Relay {
    /// A relay from `outbox` to `inboxes`.
    #[must_use]
    pub fn new(outbox: Arc<dyn OutboxSource>, inboxes: Vec<Inbox>) -> Self {
        Self { outbox, inboxes }
    }

    /// Carries until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let bell = self.outbox.bell();
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(carried) if carried >= RELAY_BATCH as usize => {}
                Ok(0) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = bell.notified() => {}
                        () = tokio::time::sleep(RELAY_POLL) => {}
                    }
                }
                Ok(_) => tokio::time::sleep(RELAY_GATHER).await,
                Err(error) => {
                    tracing::error!(%error, "relay: events wait");
                    tokio::time::sleep(RELAY_POLL / 5).await;
                }
            }
        }
    }

    /// Carries one batch; how many events it held.
    ///
    /// # Errors
    /// When a database does not answer; nothing is marked then.
    pub async fn step(&self) -> Result<usize, OutboxError> {
        let events = self.outbox.unsent(RELAY_BATCH).await?;
        if events.is_empty() {
            return Ok(0);
        }
        for inbox in &self.inboxes {
            inbox.receive(&events).await?;
        }
        let positions: Vec<i64> = events.iter().map(|(position, _)| *position).collect();
        self.outbox.mark_sent(&positions).await?;
        Ok(events.len())
    }
}
