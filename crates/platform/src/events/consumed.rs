//! What a consumer has done: the ids of events by the day they last came, so
//! that a repeat is recognised. Never anything that an event said.

use crate::db::{self, Across, Connection, Db, DbError};
use crate::limits::{FORGET_BATCH, INBOX_KEEP_DAYS};

const DAY_MS: i64 = 86_400_000;

/// The short number under which a consumer of this name is known in this
/// database from now on.
pub(super) async fn number(db: &Db, consumer: &str) -> Result<i64, DbError> {
    let mut tx = db.begin(Across::Events).await?;
    db::query("INSERT INTO inbox_consumer (name) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(consumer)
        .execute(&mut *tx)
        .await?;
    let number = db::query_scalar("SELECT id FROM inbox_consumer WHERE name = $1")
        .bind(consumer)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(number)
}

/// Which of `ids` (a JSON array) were consumed before, as indices into them.
/// These have come now as well.
pub(super) async fn recognise(
    tx: &mut Connection,
    consumer: i64,
    ids: &str,
    now: i64,
) -> Result<Vec<i64>, DbError> {
    let today = now.div_euclid(DAY_MS);
    if tx.is_shared() {
        return db::query_scalar(
            "UPDATE inbox_consumed AS done SET day = greatest(done.day, $3)
             FROM json_array_elements_text($2::json) WITH ORDINALITY AS told (value, place)
             WHERE done.consumer = $1 AND done.event = decode(replace(told.value, '-', ''), 'hex')
             RETURNING told.place - 1",
        )
        .bind(consumer)
        .bind(ids)
        .bind(today)
        .fetch_all(tx)
        .await;
    }
    // The days there are, not those there should be: a clock may have jumped.
    let rows = db::query(
        "WITH RECURSIVE held (day) AS (
            SELECT max(day) FROM inbox_consumed WHERE consumer = $1
            UNION ALL
            SELECT (SELECT max(day) FROM inbox_consumed WHERE consumer = $1 AND day < held.day)
            FROM held WHERE held.day IS NOT NULL)
         SELECT told.key, done.day, done.event FROM held CROSS JOIN json_each($2) AS told
            CROSS JOIN inbox_consumed AS done ON done.consumer = $1 AND done.day = held.day
                AND done.event = unhex(told.value, '-')",
    )
    .bind(consumer)
    .bind(ids)
    .fetch_all(&mut *tx)
    .await?;
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        known.push(row.try_get("key")?);
        let day: i64 = row.try_get("day")?;
        if day < today {
            db::query(
                "UPDATE OR REPLACE inbox_consumed SET day = $1
                 WHERE consumer = $2 AND day = $3 AND event = $4",
            )
            .bind(today)
            .bind(consumer)
            .bind(day)
            .bind(row.try_get::<Vec<u8>, _>("event")?)
            .execute(&mut *tx)
            .await?;
        }
    }
    Ok(known)
}

/// Remembers `ids` (a JSON array) as consumed; those that were before, by another
/// process.
pub(super) async fn remember(
    tx: &mut Connection,
    consumer: i64,
    ids: &str,
    now: i64,
) -> Result<Vec<String>, DbError> {
    let mut before = Vec::new();
    if tx.is_shared() {
        before = db::query_scalar(
            "SELECT told.value FROM json_array_elements_text($2::json) AS told (value)
             JOIN inbox_consumed AS done ON done.consumer = $1
                AND done.event = decode(replace(told.value, '-', ''), 'hex')",
        )
        .bind(consumer)
        .bind(ids)
        .fetch_all(&mut *tx)
        .await?;
    }
    db::query(db::each(
        "INSERT OR IGNORE INTO inbox_consumed (consumer, day, event)
         SELECT $1, $2, unhex(value, '-') FROM json_each($3) ORDER BY 3",
        "INSERT INTO inbox_consumed (consumer, day, event)
         SELECT $1, $2, decode(replace(told.value, '-', ''), 'hex')
         FROM json_array_elements_text($3::json) AS told (value) ON CONFLICT DO NOTHING",
    ))
    .bind(consumer)
    .bind(now.div_euclid(DAY_MS))
    .bind(ids)
    .execute(tx)
    .await?;
    Ok(before)
}

/// Forgets a batch of what last came before the days that are kept; how many
/// went, none when there are no more.
pub(super) async fn forget(db: &Db, consumer: i64, now: i64) -> Result<u64, DbError> {
    let mut tx = db.begin(Across::Events).await?;
    // Of one day, so that what goes is looked up and not searched for.
    let day: Option<i64> =
        db::query_scalar("SELECT min(day) FROM inbox_consumed WHERE consumer = $1 AND day < $2")
            .bind(consumer)
            .bind(now.div_euclid(DAY_MS).saturating_sub(INBOX_KEEP_DAYS))
            .fetch_one(&mut *tx)
            .await?;
    let Some(day) = day else { return Ok(0) };
    let gone = db::query(
        "DELETE FROM inbox_consumed WHERE consumer = $1 AND day = $2 AND event IN (
            SELECT event FROM inbox_consumed WHERE consumer = $1 AND day = $2 LIMIT $3)",
    )
    .bind(consumer)
    .bind(day)
    .bind(FORGET_BATCH)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(gone)
}
