//! Events that a consumer could not take: listed, tried anew when a person says
//! so, and what was consumed long ago forgotten. Never the content of an event.

use async_trait::async_trait;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_contracts::scope::TenantScope;
use serde::{Deserialize, Serialize};

use super::{Inbox, consumed};
use crate::db::{self, Across, DbError};
use crate::http::database_error;
use crate::jobs::Backlog;
use crate::limits::{DEAD_LETTERS_LISTED, FIGURES_STALE};

/// An event that a consumer could not take.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The event's id.
    pub event_id: String,
    /// Who could not take it.
    pub consumer: String,
    /// What happened.
    pub kind: String,
    /// How often it was tried.
    pub attempts: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it came; milliseconds since 1970.
    pub received_at: i64,
}

/// What one consumer, here or in another process, was told and has not done.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// The consumer's name.
    fn consumer(&self) -> &'static str;

    /// See [`Inbox::dead_letters`].
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn dead_letters(&self, scope: &TenantScope) -> Result<Vec<DeadLetter>, ServiceError>;

    /// See [`Inbox::backlog`].
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn backlog(&self) -> Result<Backlog, ServiceError>;

    /// See [`Inbox::replay`].
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn replay(&self, scope: &TenantScope, event_id: &str) -> Result<bool, ServiceError>;
}

#[async_trait]
impl DeadLetters for Inbox {
    fn consumer(&self) -> &'static str {
        Self::consumer(self)
    }

    async fn dead_letters(&self, scope: &TenantScope) -> Result<Vec<DeadLetter>, ServiceError> {
        let letters = Self::dead_letters(self, scope).await;
        letters.map_err(|error| database_error(&error))
    }

    async fn backlog(&self) -> Result<Backlog, ServiceError> {
        let backlog = Self::backlog(self).await;
        backlog.map_err(|error| database_error(&error))
    }

    async fn replay(&self, scope: &TenantScope, event_id: &str) -> Result<bool, ServiceError> {
        let found = Self::replay(self, scope, event_id).await;
        found.map_err(|error| database_error(&error))
    }
}

impl Inbox {
    /// The consumer's name.
    #[must_use]
    pub fn consumer(&self) -> &'static str {
        self.consumer.name()
    }

    /// Events of the scope's tenant that could not be consumed, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn dead_letters(&self, scope: &TenantScope) -> Result<Vec<DeadLetter>, DbError> {
        let rows = db::query(
            "SELECT event_id, kind, attempts, last_error, received_at FROM inbox
             WHERE consumer = $1 AND tenant = $2 AND state = 'dead'
             ORDER BY received_at DESC, event_id DESC LIMIT $3",
        )
        .bind(self.consumer.name())
        .bind(scope.tenant().as_str())
        .bind(DEAD_LETTERS_LISTED)
        .fetch_all(self.db.read(scope))
        .await?;
        rows.iter()
            .map(|row| {
                Ok(DeadLetter {
                    event_id: row.try_get("event_id")?,
                    consumer: self.consumer.name().to_owned(),
                    kind: row.try_get("kind")?,
                    attempts: row.try_get("attempts")?,
                    last_error: row.try_get("last_error")?,
                    received_at: row.try_get("received_at")?,
                })
            })
            .collect()
    }

    /// How many events of every tenant wait, for how long the first of them has, in
    /// milliseconds, and how many could not be consumed: figures for who watches.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn backlog(&self) -> Result<Backlog, DbError> {
        let (waiting, first): (i64, Option<i64>) = db::query_as(
            "SELECT count(*), min(received_at) FROM inbox WHERE consumer = $1 AND state = 'pending'",
        )
        .bind(self.consumer.name())
        .fetch_one(self.db.read_stale(Across::Figures, FIGURES_STALE))
        .await?;
        let dead: i64 =
            db::query_scalar("SELECT count(*) FROM inbox WHERE consumer = $1 AND state = 'dead'")
                .bind(self.consumer.name())
                .fetch_one(self.db.read_stale(Across::Figures, FIGURES_STALE))
                .await?;
        let now = self.clock.now_millis();
        Ok(Backlog {
            waiting: waiting.unsigned_abs(),
            oldest: first.map_or(0, |first| now.saturating_sub(first).max(0)),
            dead: dead.unsigned_abs(),
        })
    }

    /// Has a dead letter of the scope's tenant tried anew, as if it had just
    /// come. `false`: there is no such dead letter.
    ///
    /// # Errors
    /// When the database does not answer, or the inbox has no trail to record it
    /// in.
    pub async fn replay(&self, scope: &TenantScope, event_id: &str) -> Result<bool, DbError> {
        let trail = self.trail.as_ref().ok_or(DbError::WorkerCrashed)?;
        let mut tx = self.db.begin(scope).await?;
        let found = db::query(
            "UPDATE inbox SET state = 'pending', attempts = 0, next_at = $1, last_error = NULL
             WHERE event_id = $2 AND consumer = $3 AND tenant = $4 AND state = 'dead'",
        )
        .bind(self.clock.now_millis())
        .bind(event_id)
        .bind(self.consumer.name())
        .bind(scope.tenant().as_str())
        .execute(&mut *tx)
        .await?
        .rows_affected()
            == 1;
        if found {
            let entry = Entry::new(Act::Retry)
                .with(Detail::Event, event_id)
                .with(Detail::Setting, self.consumer.name());
            trail.append(&mut tx, scope, entry).await?;
        }
        tx.commit().await?;
        if found {
            self.bell.notify_one();
        }
        Ok(found)
    }

    /// Forgets events consumed so long ago that no repeat can come; how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_old(&self) -> Result<u64, DbError> {
        let consumer = self.number().await?;
        let mut forgotten: u64 = 0;
        loop {
            let gone = consumed::forget(&self.db, consumer, self.clock.now_millis()).await?;
            if gone == 0 {
                return Ok(forgotten);
            }
            forgotten = forgotten.saturating_add(gone);
        }
    }
}
