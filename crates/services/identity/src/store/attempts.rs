//! Counters of failures. A key is a hash of what it counts against, so that
//! the table names nobody; it has none for who does not exist.

use hilum_platform::db::{self, Connection, DbError};

use crate::domain::settings::millis;
use crate::limits::FAILURES_FORGOTTEN;
use crate::secret::Hash;

/// What a counter says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) failures: u32,
    pub(crate) last_at: i64,
}

/// A counter that forgets after `forgotten_ms` without a failure.
pub(crate) async fn get(
    tx: &mut Connection,
    key: &Hash,
    now: i64,
    forgotten_ms: i64,
) -> Result<Count, DbError> {
    let row = db::query("SELECT failures, last_at FROM attempts WHERE key = $1 AND last_at > $2")
        .bind(key.as_slice())
        .bind(now - forgotten_ms)
        .fetch_optional(tx)
        .await?;
    let Some(row) = row else {
        return Ok(Count::default());
    };
    Ok(Count {
        failures: row.try_get("failures")?,
        last_at: row.try_get("last_at")?,
    })
}

/// One more; it begins at one when the last is older than `forgotten_ms`.
pub(crate) async fn count(
    tx: &mut Connection,
    key: &Hash,
    now: i64,
    forgotten_ms: i64,
) -> Result<(), DbError> {
    db::query(
        "INSERT INTO attempts (key, failures, last_at) VALUES ($1, 1, $2)
         ON CONFLICT (key) DO UPDATE SET
             failures = CASE WHEN attempts.last_at <= $3 THEN 1
                 WHEN attempts.failures < 1000000 THEN attempts.failures + 1
                 ELSE attempts.failures END,
             last_at = $2",
    )
    .bind(key.as_slice())
    .bind(now)
    .bind(now - forgotten_ms)
    .execute(tx)
    .await?;
    Ok(())
}

/// One fewer: an attempt that was counted before it was made succeeded.
pub(crate) async fn discount(tx: &mut Connection, key: &Hash) -> Result<(), DbError> {
    db::query("UPDATE attempts SET failures = failures - 1 WHERE key = $1 AND failures > 0")
        .bind(key.as_slice())
        .execute(tx)
        .await?;
    Ok(())
}

/// Begins again at nothing.
pub(crate) async fn reset(tx: &mut Connection, key: &Hash) -> Result<(), DbError> {
    db::query("DELETE FROM attempts WHERE key = $1")
        .bind(key.as_slice())
        .execute(tx)
        .await?;
    Ok(())
}

/// Deletes what is forgotten.
pub(crate) async fn upkeep(tx: &mut Connection, now: i64) -> Result<(), DbError> {
    db::query("DELETE FROM attempts WHERE last_at <= $1")
        .bind(now - millis(FAILURES_FORGOTTEN))
        .execute(tx)
        .await?;
    Ok(())
}
