//! RabbitMQ as the bus between services in different processes: the topology
//! that everybody declares, the way there, what publishes an outbox, what feeds
//! an inbox, and a barrier behind which nothing is on its way. The bus carries
//! and decides nothing: an event is sent when the broker confirmed it, and taken
//! when the inbox holds it. Repeats, order, retries and dead letters of
//! consumers stay in their databases ([`Inbox`](super::Inbox)).

mod barrier;
mod connection;
mod consuming;
mod publishing;
mod reactor;
mod topology;
mod watching;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hilum_contracts::error::{ErrorCode, ServiceError};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::config;
use crate::jobs::backoff;
use crate::limits::{BUS_PAUSE_FIRST, BUS_PAUSE_MAX};
use crate::tls::TlsError;
use connection::{Address, Link};

pub use consuming::Feeder;
pub(super) use publishing::Publisher;
pub use topology::Topology;

/// Why the bus did not do it. Nothing in it is from an event.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Its address can't be used.
    #[error("configuration: {0}")]
    Address(String),
    /// Its authorities can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It can't be reached, or refused.
    #[error("the bus: {0}")]
    Refused(#[from] lapin::Error),
    /// It can't be reached, as another just saw.
    #[error("the bus can't be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("the bus did not answer in time: {0}")]
    TimedOut(&'static str),
    /// The channel ended.
    #[error("the bus ended the channel")]
    Ended,
    /// An event can't be written.
    #[error("an event can't be written as JSON")]
    Encode,
    /// What was taken could not be kept for so long that it goes back.
    #[error("the inbox of {0} could not keep what came: it goes back to the bus")]
    Unkept(&'static str),
    /// A queue is full.
    #[error("a queue of the bus is full: see that every service runs")]
    Full,
}

/// The way to the broker. Cheap to clone; one for a process.
#[derive(Clone)]
pub struct Bus(Arc<Shared>);

struct Shared {
    address: Address,
    topology: Topology,
    /// Apart, because the broker stops reading from those who publish while it
    /// is short of memory or disk: what is taken must be acknowledged then.
    sending: Link,
    taking: Link,
    connected: AtomicBool,
    /// Set when queues that this process made are as durable as what is put into them.
    settled: OnceCell<()>,
    /// When something was sent last of which nobody knows whether it arrived.
    unsure: Mutex<Option<Instant>>,
}

impl From<BusError> for ServiceError {
    fn from(error: BusError) -> Self {
        tracing::error!(%error, "the bus did not do it");
        let text = "The bus does not answer, or holds what a service has not taken. \
                    See that it and every service runs, and ask again.";
        Self::new(ErrorCode::Unavailable, text)
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("topology", &self.0.topology)
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// The bus at the configured address, with the queues of everybody who
    /// follows events. Nothing is connected yet.
    ///
    /// # Errors
    /// When the address or the authorities can't be used.
    pub fn new(config: &config::Bus, topology: Topology) -> Result<Self, BusError> {
        let address = Address::new(config)?;
        Ok(Self(Arc::new(Shared {
            address,
            topology,
            sending: Link::new("hilum publishes"),
            taking: Link::new("hilum consumes"),
            connected: AtomicBool::new(false),
            settled: OnceCell::new(),
            unsure: Mutex::default(),
        })))
    }

    /// Whether it was reached when it was last looked for ([`Bus::watch`]).
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.connected.load(Ordering::Relaxed)
    }

    fn sent_unsurely(&self) {
        let mut unsure = self.0.unsure.lock().unwrap_or_else(PoisonError::into_inner);
        *unsure = Some(Instant::now());
    }

    fn sent_unsurely_at(&self) -> Option<Instant> {
        *self.0.unsure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait after so many failures one after the other: longer each
/// time, and never all processes at once.
pub(super) fn pause(failures: i64) -> Duration {
    let wait = backoff(failures, BUS_PAUSE_FIRST, BUS_PAUSE_MAX).unsigned_abs();
    Duration::from_millis(wait).mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        for failures in 1..100 {
            let wait = pause(failures);
            assert!(
                wait >= BUS_PAUSE_FIRST / 2 && wait <= BUS_PAUSE_MAX,
                "{wait:?}"
            );
        }
        assert!(pause(50) >= BUS_PAUSE_MAX / 2);
        assert!((0..10).any(|_| pause(50) != pause(50)));
    }
}
