//! Looks whether the bus is there, and how much waits in its queues.

use std::sync::atomic::Ordering;

use futures::future::try_join_all;
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::topology::{DEAD, queue_of};
use super::{Bus, BusError};
use crate::limits::{BUS_CONFIRM, BUS_LOOK_EVERY};

impl Bus {
    /// Looks again and again until `stop`, and tells the figures.
    pub async fn watch(self, stop: CancellationToken) {
        let mut was_there = None;
        while !stop.is_cancelled() {
            let looking = timeout(BUS_CONFIRM, self.look());
            let Some(seen) = stop.run_until_cancelled(looking).await else {
                return;
            };
            let seen = seen.unwrap_or(Err(BusError::TimedOut("a look")));
            let is_there = seen.is_ok();
            self.0.connected.store(is_there, Ordering::Relaxed);
            metrics::gauge!("hilum_bus_connected").set(if is_there { 1.0 } else { 0.0 });
            match seen {
                Ok(()) if was_there == Some(false) => tracing::info!("the bus is back"),
                Ok(()) => {}
                Err(error) => {
                    if was_there != Some(false) {
                        tracing::warn!(%error, "the bus can't be reached: events wait");
                    }
                    self.0.sending.abandon().await;
                }
            }
            was_there = Some(is_there);
            stop.run_until_cancelled(tokio::time::sleep(BUS_LOOK_EVERY))
                .await;
        }
    }

    async fn look(&self) -> Result<(), BusError> {
        self.0.taking.connection(&self.0).await?;
        let channel = self.0.sending.channel(&self.0).await?;
        let dead = waiting(&channel, DEAD).await?;
        metrics::gauge!("hilum_bus_dead_letters").set(dead);
        // All at once: on a slow way each question would wait for the answer before.
        let consumers: Vec<_> = self.0.topology.consumers().collect();
        let asked = consumers.iter().map(|consumer| {
            let (channel, queue) = (&channel, queue_of(consumer));
            async move { waiting(channel, &queue).await }
        });
        let depths = try_join_all(asked).await?;
        for (consumer, depth) in consumers.into_iter().zip(depths) {
            metrics::gauge!("hilum_bus_waiting", "for" => consumer.to_owned()).set(depth);
        }
        channel.close(200, "seen".into()).await?;
        Ok(())
    }
}

/// Messages of a queue that nobody has in hand.
async fn waiting(channel: &Channel, queue: &str) -> Result<f64, BusError> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    Ok(f64::from(declared.message_count()))
}
