//! What a consumer has been told and has not done yet.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hilum_contracts::Event;
use hilum_contracts::ids::TenantId;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::db::{Db, DbError};
use crate::jobs::{backoff, shorten};
use crate::limits::{
    CONSUME_BATCH, EVENT_ATTEMPTS, EVENT_BACKOFF_MAX, INBOX_KEEP_DAYS, RELAY_POLL,
};

/// Why an event could not be consumed.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The database did not answer; tried again.
    #[error("database: {0}")]
    Db(#[from] DbError),
    /// The event does not have the form of its kind; a dead letter at once.
    #[error("event of an unknown form: {0}")]
    Form(#[from] serde_json::Error),
    /// Something else; tried again.
    #[error("{0}")]
    Other(String),
}

/// A service's interest in events.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Its name in the inbox; never changed, or repeats are not recognised.
    fn name(&self) -> &'static str;
    /// The kinds of event it follows.
    fn kinds(&self) -> &'static [&'static str];
    /// Does its own work in `tx`, which is committed together with the fact
    /// that the event was consumed.
    async fn consume(&self, event: &Event, tx: &mut SqliteConnection) -> Result<(), ConsumeError>;
    /// Called after the commit: ring bells, tell pages.
    fn consumed(&self, _event: &Event) {}
}

/// One consumer's inbox and the worker that empties it.
#[derive(Clone)]
pub struct Inbox {
    db: Db,
    clock: SharedClock,
    consumer: Arc<dyn Consumer>,
    bell: Arc<Notify>,
}

/// An event that is due.
struct Due {
    event_id: String,
    text: String,
    attempts: i64,
}

/// An event that a consumer could not take.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    /// The event's id.
    pub event_id: String,
    /// What happened.
    pub kind: String,
    /// How often it was tried.
    pub attempts: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

impl Inbox {
    /// The inbox of `consumer` in its service's database.
    #[must_use]
    pub fn new(db: Db, clock: SharedClock, consumer: Arc<dyn Consumer>) -> Self {
        Self {
            db,
            clock,
            consumer,
            bell: Arc::new(Notify::new()),
        }
    }

    /// Keeps those events that the consumer follows; repeats are ignored.
    /// When this returns, they are durable.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn receive(&self, events: &[(i64, Event)]) -> Result<(), DbError> {
        let kinds = self.consumer.kinds();
        let wanted: Vec<_> = events
            .iter()
            .filter(|(_, event)| kinds.contains(&event.kind.as_str()))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let now = self.clock.now_millis();
        let mut tx = self.db.begin().await?;
        for (position, event) in wanted {
            let text = serde_json::to_string(event).map_err(|e| DbError::Encode(Box::new(e)))?;
            sqlx::query(
                "INSERT INTO inbox (event_id, consumer, position, event, state, next_at, received_at)
                 VALUES ($1, $2, $3, $4, 'pending', $5, $5) ON CONFLICT DO NOTHING",
            )
            .bind(event.id.to_string())
            .bind(self.consumer.name())
            .bind(position)
            .bind(text)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        self.bell.notify_one();
        Ok(())
    }

    /// Works until told to stop. Between events only, so that none is left half done.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.bell.notified() => {}
                        () = tokio::time::sleep(RELAY_POLL / 5) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(consumer = self.consumer.name(), %error, "inbox does not answer");
                    tokio::time::sleep(RELAY_POLL / 5).await;
                }
            }
        }
    }

    /// Consumes what is due, the oldest first. `false`: nothing was. Events are
    /// consumed together as long as all goes well, because each transaction
    /// costs a flush of the disk that intake commits to; otherwise one by one,
    /// so that one that fails holds up no other.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn step(&self) -> Result<bool, DbError> {
        let due = self.due().await?;
        if due.len() > 1 && self.consume(&due).await.is_ok() {
            return Ok(true);
        }
        for row in &due {
            if let Err(error) = self.consume(std::slice::from_ref(row)).await {
                self.failed(&row.event_id, row.attempts.saturating_add(1), &error)
                    .await?;
            }
        }
        Ok(!due.is_empty())
    }

    async fn due(&self) -> Result<Vec<Due>, DbError> {
        let rows = sqlx::query(
            "SELECT event_id, event, attempts FROM inbox
             WHERE consumer = $1 AND state = 'pending' AND next_at <= $2 ORDER BY position LIMIT $3",
        )
        .bind(self.consumer.name())
        .bind(self.clock.now_millis())
        .bind(CONSUME_BATCH)
        .fetch_all(self.db.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Due {
                    event_id: row.try_get("event_id")?,
                    text: row.try_get("event")?,
                    attempts: row.try_get("attempts")?,
                })
            })
            .collect()
    }

    /// Consumes events in one transaction: all of them or none.
    async fn consume(&self, due: &[Due]) -> Result<(), ConsumeError> {
        let mut consumed = Vec::with_capacity(due.len());
        let mut tx = self.db.begin().await?;
        for row in due {
            let event: Event = serde_json::from_str(&row.text)?;
            // Only the transition from pending may do the work: a second worker finds none.
            let first = sqlx::query(
                "UPDATE inbox SET state = 'done', event = '', attempts = attempts + 1
                 WHERE event_id = $1 AND consumer = $2 AND state = 'pending'",
            )
            .bind(&row.event_id)
            .bind(self.consumer.name())
            .execute(&mut *tx)
            .await?
            .rows_affected()
                == 1;
            if first {
                self.consumer.consume(&event, &mut tx).await?;
                consumed.push(event);
            }
        }
        tx.commit().await?;
        for event in &consumed {
            self.consumer.consumed(event);
        }
        Ok(())
    }

    async fn failed(&self, id: &str, attempts: i64, error: &ConsumeError) -> Result<(), DbError> {
        let dead = attempts >= EVENT_ATTEMPTS || matches!(error, ConsumeError::Form(_));
        let text = error.to_string();
        tracing::warn!(consumer = self.consumer.name(), event = id, attempts, dead, error = %text, "event not consumed");
        let wait = backoff(attempts, Duration::from_millis(200), EVENT_BACKOFF_MAX);
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "UPDATE inbox SET state = $1, attempts = $2, next_at = $3, last_error = $4
             WHERE event_id = $5 AND consumer = $6 AND state = 'pending'",
        )
        .bind(if dead { "dead" } else { "pending" })
        .bind(attempts)
        .bind(self.clock.now_millis().saturating_add(wait))
        .bind(shorten(&text))
        .bind(id)
        .bind(self.consumer.name())
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Events that could not be consumed, of one tenant.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn dead_letters(&self, tenant: &TenantId) -> Result<Vec<DeadLetter>, DbError> {
        let rows = sqlx::query(
            "SELECT event_id, event, attempts, last_error FROM inbox
             WHERE consumer = $1 AND state = 'dead' ORDER BY position LIMIT 200",
        )
        .bind(self.consumer.name())
        .fetch_all(self.db.read())
        .await?;
        let mut letters = Vec::new();
        for row in rows {
            let text: String = row.try_get("event")?;
            // What can't be read names no tenant; the log told of it.
            let Ok(event) = serde_json::from_str::<Event>(&text) else {
                continue;
            };
            if event.tenant == *tenant {
                letters.push(DeadLetter {
                    event_id: row.try_get("event_id")?,
                    kind: event.kind,
                    attempts: row.try_get("attempts")?,
                    last_error: row.try_get("last_error")?,
                });
            }
        }
        Ok(letters)
    }

    /// Forgets events consumed so long ago that no repeat can come.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_old(&self) -> Result<u64, DbError> {
        let keep = INBOX_KEEP_DAYS.saturating_mul(86_400_000);
        let mut tx = self.db.begin().await?;
        let gone = sqlx::query(
            "DELETE FROM inbox WHERE consumer = $1 AND state = 'done' AND received_at < $2",
        )
        .bind(self.consumer.name())
        .bind(self.clock.now_millis().saturating_sub(keep))
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(gone)
    }
}
