//! How events get from the outboxes of this process to the inboxes of all: from
//! one to the other in memory, or over the bus that is configured.

use std::sync::Arc;

use anyhow::Context as _;
use hilum_platform::config::Config;
use hilum_platform::events::broker::{Bus, Feeder, Topology};
use hilum_platform::events::{Inbox, OutboxSource, Relay, Transit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::neighbours::INTERESTS;

/// What carries events.
pub(super) struct Carrying {
    inboxes: Vec<Inbox>,
    bus: Option<Bus>,
    transit: Transit,
    feeders: TaskTracker,
}

impl Carrying {
    /// To `inboxes`, which are fed until `stop` from now on if there is a bus: an
    /// erasure needs to know that what is in the queues has arrived, also one
    /// that is carried out before anything is served.
    pub(super) fn new(
        config: &Config,
        inboxes: &[Inbox],
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let feeders = TaskTracker::new();
        let (mut bus, mut transit) = (None, Transit::default());
        if let Some(configured) = &config.bus {
            // Of all, wherever they run: a consumer that was never started misses nothing.
            let all = INTERESTS.iter().map(|(_, interest)| {
                let kinds = interest.kinds.iter().map(|kind| (*kind).to_owned());
                (interest.consumer.to_owned(), kinds.collect())
            });
            let topology = Topology::new(all.collect());
            let names = topology.consumers().map(ToOwned::to_owned).collect();
            let made = Bus::new(configured, topology).context("the bus can't be used")?;
            transit = Transit::over(made.clone(), names);
            for inbox in inboxes {
                feeders.spawn(Feeder::new(made.clone(), inbox.clone()).run(stop.clone()));
            }
            feeders.spawn(made.clone().watch(stop.clone()));
            bus = Some(made);
        }
        Ok(Self {
            inboxes: inboxes.to_vec(),
            bus,
            transit,
            feeders,
        })
    }

    /// What carries the events of an outbox.
    pub(super) fn relay(&self, outbox: Arc<dyn OutboxSource>) -> Relay {
        let transit = self.transit.clone();
        match &self.bus {
            Some(bus) => Relay::to_bus(outbox, bus.clone(), transit),
            None => Relay::new(outbox, self.inboxes.clone(), transit),
        }
    }

    /// The bus, where there is one.
    pub(super) fn bus(&self) -> Option<Bus> {
        self.bus.clone()
    }

    /// For who must know that no event is on its way.
    pub(super) fn transit(&self) -> Transit {
        self.transit.clone()
    }

    /// Returns when nothing is fed any more, after `stop`.
    pub(super) async fn ended(&self) {
        self.feeders.close();
        self.feeders.wait().await;
    }
}
