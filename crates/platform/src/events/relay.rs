//! Carries events from one service's outbox into the inboxes of this process, or
//! to the bus. An event is marked sent when every inbox, or the bus, has it; what
//! fails is tried again with the same events, which who has them recognises as
//! repeats.

use std::sync::Arc;

use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio_util::sync::CancellationToken;

use super::broker::{Bus, BusError, Publisher, pause};
use super::{Inbox, OutboxError, OutboxSource};
use crate::limits::{RELAY_BATCH, RELAY_GATHER, RELAY_POLL};

/// What the relays of this process share, for who must know where events are.
#[derive(Clone, Debug, Default)]
pub struct Transit {
    carrying: Arc<RwLock<()>>,
    /// Where events go, and by which inboxes they must have been kept.
    bus: Option<(Bus, Arc<[String]>)>,
}

impl Transit {
    /// The same, for relays that publish on `bus`, which feeds the inboxes of
    /// these consumers.
    #[must_use]
    pub fn over(bus: Bus, consumers: Vec<String>) -> Self {
        Self {
            bus: Some((bus, consumers.into())),
            ..Self::default()
        }
    }

    /// Waits until this process carries nothing; it carries nothing while the guard
    /// lives. What was published is on the bus then, and may not have arrived.
    pub async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.carrying.write().await
    }

    /// Waits until every event that was on its way is where it goes; none sets
    /// out while the guard lives. Without it an event that names what is being
    /// erased could arrive after the inbox was searched for it.
    ///
    /// # Errors
    /// When the bus does not say that they have arrived.
    pub async fn halt(&self) -> Result<RwLockWriteGuard<'_, ()>, BusError> {
        let halted = self.carrying.write().await;
        if let Some((bus, consumers)) = &self.bus {
            bus.barrier(consumers).await?;
        }
        Ok(halted)
    }
}

/// Carries one outbox.
pub struct Relay {
    outbox: Arc<dyn OutboxSource>,
    way: Way,
    transit: Transit,
}

enum Way {
    Inboxes(Vec<Inbox>),
    Bus(Publisher),
}

impl Relay {
    /// A relay from `outbox` to `inboxes`.
    #[must_use]
    pub fn new(outbox: Arc<dyn OutboxSource>, inboxes: Vec<Inbox>, transit: Transit) -> Self {
        Self {
            outbox,
            way: Way::Inboxes(inboxes),
            transit,
        }
    }

    /// A relay from `outbox` to the bus.
    #[must_use]
    pub fn to_bus(outbox: Arc<dyn OutboxSource>, bus: Bus, transit: Transit) -> Self {
        Self {
            outbox,
            way: Way::Bus(Publisher::new(bus)),
            transit,
        }
    }

    /// Carries until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let bell = self.outbox.bell();
        let mut failures = 0;
        while !stop.is_cancelled() {
            let step = match self.way {
                Way::Inboxes(_) => Some(self.step().await),
                // What is on its way to the bus may be given up: it is published again.
                Way::Bus(_) => stop.run_until_cancelled(self.step()).await,
            };
            let Some(step) = step else { return };
            failures = if step.is_ok() { 0 } else { failures + 1 };
            match step {
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
                    let wait = match self.way {
                        Way::Inboxes(_) => RELAY_POLL / 5,
                        Way::Bus(_) => pause(failures),
                    };
                    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                }
            }
        }
    }

    /// Carries one batch; how many events it held.
    ///
    /// # Errors
    /// When a database or the bus does not answer; nothing is marked then. When
    /// the bus took some only, they are marked.
    pub async fn step(&self) -> Result<usize, OutboxError> {
        let _carrying = self.transit.carrying.read().await;
        let events = self.outbox.unsent(RELAY_BATCH).await?;
        if events.is_empty() {
            return Ok(0);
        }
        let carried = match &self.way {
            Way::Inboxes(inboxes) => {
                for inbox in inboxes {
                    inbox.receive(&events).await?;
                }
                events.iter().map(|(position, _)| *position).collect()
            }
            Way::Bus(publisher) => publisher.publish(&events).await?,
        };
        self.outbox.mark_sent(&carried).await?;
        if carried.len() < events.len() {
            return Err(BusError::Full.into());
        }
        Ok(events.len())
    }
}

impl From<BusError> for OutboxError {
    fn from(error: BusError) -> Self {
        Self(error.to_string())
    }
}
