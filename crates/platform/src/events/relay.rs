//! Carries events from one service's outbox into the inboxes of this process.
//! An event is marked sent when every inbox has it; an inbox that fails is
//! tried again with the same events, which the others recognise as repeats.

use std::sync::Arc;

use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio_util::sync::CancellationToken;

use super::{Inbox, OutboxError, OutboxSource};
use crate::limits::{RELAY_BATCH, RELAY_GATHER, RELAY_POLL};

/// What the relays of this process share, for who must know where events are.
#[derive(Clone, Debug, Default)]
pub struct Transit(Arc<RwLock<()>>);

impl Transit {
    /// Waits until every event that was on its way is where it goes; none sets
    /// out while the guard lives. Without it an event that names what is being
    /// erased could arrive after the inbox was searched for it.
    pub async fn halt(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write().await
    }
}

/// Carries one outbox to the inboxes of this process.
pub struct Relay {
    outbox: Arc<dyn OutboxSource>,
    inboxes: Vec<Inbox>,
    transit: Transit,
}

impl Relay {
    /// A relay from `outbox` to `inboxes`.
    #[must_use]
    pub fn new(outbox: Arc<dyn OutboxSource>, inboxes: Vec<Inbox>, transit: Transit) -> Self {
        Self {
            outbox,
            inboxes,
            transit,
        }
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
        let _carrying = self.transit.0.read().await;
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
