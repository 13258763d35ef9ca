//! What a service has to tell, written with the change it tells of.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::Event;
use hilum_contracts::error::ServiceError;
use tokio::sync::Notify;

use crate::db::{self, Across, Connection, Db, DbError};
use crate::traces;

/// The outbox did not answer.
#[derive(Debug, thiserror::Error)]
#[error("outbox: {0}")]
pub struct OutboxError(pub String);

impl From<DbError> for OutboxError {
    fn from(error: DbError) -> Self {
        Self(error.to_string())
    }
}

/// Where a relay finds unsent events. The rows are selected by being unsent,
/// never by a high-water mark: transactions commit out of order.
#[async_trait]
pub trait OutboxSource: Send + Sync {
    /// The oldest unsent events, each with the position to mark.
    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Event)>, OutboxError>;
    /// Every inbox has them.
    async fn mark_sent(&self, positions: &[i64]) -> Result<(), OutboxError>;
    /// Rung after a commit that appended.
    fn bell(&self) -> Arc<Notify>;
}

/// Appends an event in the transaction of the change it tells of. Ring the
/// outbox's bell after the commit.
///
/// # Errors
/// When the database does not answer.
pub async fn append(tx: &mut Connection, event: &Event) -> Result<(), DbError> {
    let mut event = Cow::Borrowed(event);
    if event.traceparent.is_none()
        && let Some(cause) = traces::cause(event.correlation_id)
    {
        event.to_mut().traceparent = Some(cause);
    }
    let text = serde_json::to_string(&*event).map_err(|e| DbError::Encode(Box::new(e)))?;
    db::query(db::each(
        "INSERT INTO outbox (event) VALUES ($1)",
        "INSERT INTO outbox (event, tenant) VALUES ($1, $2)",
    ))
    .bind(text)
    .bind(event.tenant.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

/// The outbox of a service's database.
#[derive(Clone, Debug)]
pub struct DbOutbox {
    db: Db,
    bell: Arc<Notify>,
}

impl DbOutbox {
    /// The outbox in `db`.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self {
            db,
            bell: Arc::new(Notify::new()),
        }
    }

    /// Tells the relay that a commit appended.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

#[async_trait]
impl OutboxSource for DbOutbox {
    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Event)>, OutboxError> {
        // Those of a tenant that is being moved go with it.
        let rows = db::query(db::each(
            "SELECT position, event FROM outbox WHERE sent = 0 ORDER BY position LIMIT $1",
            "SELECT position, event FROM outbox WHERE sent = 0 AND NOT moving(tenant)
             ORDER BY position LIMIT $1",
        ))
        .bind(limit)
        .fetch_all(self.db.read(Across::Events))
        .await?;
        rows.iter()
            .map(|row| {
                let text: String = row.try_get("event")?;
                let event =
                    serde_json::from_str(&text).map_err(|e| DbError::Decode(Box::new(e)))?;
                Ok((row.try_get("position")?, event))
            })
            .collect()
    }

    async fn mark_sent(&self, positions: &[i64]) -> Result<(), OutboxError> {
        let batch = serde_json::to_string(positions).map_err(|e| DbError::Encode(Box::new(e)))?;
        let mut tx = self.db.begin(Across::Events).await?;
        // What every inbox holds is not needed here any more.
        db::query(db::each(
            "DELETE FROM outbox WHERE position IN (SELECT value FROM json_each($1))",
            "DELETE FROM outbox WHERE position IN
                (SELECT value::bigint FROM json_array_elements_text($1::json) AS sent (value))",
        ))
        .bind(batch)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }
}

impl From<OutboxError> for ServiceError {
    fn from(error: OutboxError) -> Self {
        Self::internal(error.to_string())
    }
}
