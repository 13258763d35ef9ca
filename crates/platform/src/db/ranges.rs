//! The numbers that the tables of a shard give out: of a range of its own, so that the
//! rows of a tenant keep theirs when they move to another shard.

use sqlx::postgres::PgConnection;

use super::DbError;
use crate::limits::SHARD_RANGE;

/// Under this name stands which shard a schema is of.
pub(super) const SHARD: &str = "shard";

/// Whether the schema is known to be of this shard; a new one is of none yet.
///
/// # Errors
/// When it is of another.
pub(super) async fn is_bound(connection: &mut PgConnection, number: u32) -> Result<bool, DbError> {
    let (bound, is_old): (Option<i64>, bool) = sqlx::query_as(
        "SELECT (SELECT version FROM schema_migrations WHERE owner = $1),
            EXISTS (SELECT 1 FROM schema_migrations)",
    )
    .bind(SHARD)
    .persistent(false)
    .fetch_one(connection)
    .await?;
    match bound {
        Some(bound) => fits(bound, number)?,
        // What was made without a number has given out those of the first.
        None if is_old => fits(0, number)?,
        None => {}
    }
    Ok(bound.is_some())
}

/// # Errors
/// When a schema is of another shard than the configuration says.
pub(super) fn fits(bound: i64, number: u32) -> Result<(), DbError> {
    if bound == i64::from(number) {
        return Ok(());
    }
    Err(DbError::Configuration(
        format!(
            "the tables give out the numbers of shard {bound}, and database.shard_number says \
             {number}: it is set once, before the tables are made, and another for each shard"
        )
        .into(),
    ))
}

/// Has every sequence of the schema begin in the range of this shard, where it does not
/// yet.
pub(super) fn begin(number: u32) -> String {
    let first = i64::from(number)
        .saturating_mul(SHARD_RANGE)
        .saturating_add(1);
    format!(
        "DO $$
DECLARE
    one RECORD;
    next BIGINT;
BEGIN
    FOR one IN SELECT relname FROM pg_class
        WHERE relnamespace = current_schema::regnamespace AND relkind = 'S'
    LOOP
        EXECUTE format('SELECT last_value FROM %I', one.relname) INTO next;
        IF next < {first} THEN
            PERFORM setval(format('%I', one.relname)::regclass, {first}, false);
        END IF;
    END LOOP;
END $$"
    )
}
