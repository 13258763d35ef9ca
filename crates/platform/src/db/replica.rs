//! A hot standby of PostgreSQL, for reading what need not be of this moment. How far
//! behind it is nobody says who could be believed when the way to it is cut: so the
//! server's own position in its log is remembered with the time at which it was asked,
//! and what the standby has replayed is held against that. No clock is compared with
//! another one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::time::timeout;

use super::DbError;
use crate::limits::{PG_REPLICA_ASKED, PG_REPLICA_WITHIN};

/// Positions that are remembered: a standby that is further behind counts as away.
const POSITIONS: usize = 128;

/// Bytes of the log, of the server and of what a standby has replayed.
const POSITION: &str = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint";
const REPLAYED: &str = "SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint";

/// A standby, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) pool: PgPool,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Where the server's log was, and when, the oldest first.
    positions: VecDeque<(Instant, i64)>,
    /// Everything that was committed before then is there.
    has_until: Option<Instant>,
    /// When it was asked last.
    asked: Option<Instant>,
}

impl Known {
    /// What the standby has replayed.
    fn replayed(&mut self, to: i64) {
        while let Some((at, _)) = self.positions.pop_front_if(|(_, position)| *position <= to) {
            self.has_until = Some(at);
        }
    }

    fn is_within(&self, stale: Duration) -> bool {
        self.has_until.is_some_and(|at| at.elapsed() <= stale)
    }
}

impl Replica {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            known: Arc::default(),
        }
    }

    /// Whether everything is there that was committed on `primary` longer ago than
    /// `stale`.
    pub(super) async fn is_within(&self, stale: Duration, primary: &PgPool) -> bool {
        let is_due = {
            let mut known = self.known();
            let is_due = known
                .asked
                .is_none_or(|asked| asked.elapsed() >= PG_REPLICA_ASKED.min(stale));
            if is_due {
                known.asked = Some(Instant::now());
            }
            is_due
        };
        if is_due && timeout(PG_REPLICA_WITHIN, self.ask(primary)).await.is_err() {
            self.is_away();
        }
        self.known().is_within(stale)
    }

    /// It did not answer: nobody waits for it again before it is asked how far it is.
    pub(super) fn is_away(&self) {
        tracing::warn!("the replica of PostgreSQL does not answer: the server itself is asked");
        self.known().has_until = None;
    }

    /// Asks both where they are. One that does not answer leaves what is known.
    async fn ask(&self, primary: &PgPool) {
        let at = Instant::now();
        let position = sqlx::query_scalar(POSITION).persistent(false);
        if let Ok(position) = position.fetch_one(primary).await {
            let mut known = self.known();
            if known.positions.len() >= POSITIONS {
                known.positions.pop_front();
            }
            known.positions.push_back((at, position));
        }
        let replayed = sqlx::query_scalar(REPLAYED).persistent(false);
        let replayed: Result<Option<i64>, DbError> = replayed.fetch_one(&self.pool).await;
        match replayed {
            Ok(Some(to)) => self.known().replayed(to),
            // It replays nothing: it is no standby, or has taken over.
            Ok(None) | Err(_) => self.is_away(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_as_old_as_the_last_position_that_was_replayed() {
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        let mut known = Known::default();
        assert!(!known.is_within(Duration::MAX));
        known.positions = [(ago(30), 10), (ago(20), 10), (ago(10), 40)].into();
        known.replayed(9);
        assert_eq!(known.has_until, None);
        known.replayed(39);
        assert_eq!(known.has_until, Some(ago(20)));
        assert!(known.is_within(Duration::from_secs(25)));
        assert!(!known.is_within(Duration::from_secs(15)));
        // It fell behind nothing: there was nothing more.
        known.replayed(40);
        assert_eq!(known.has_until, Some(ago(10)));
    }
}
