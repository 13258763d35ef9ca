//! Destinations that tenants made.

use hilum_contracts::ids::TenantId;
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::jobs;
use hilum_platform::scope::TenantScope;

use super::{Store, job_kind};
use crate::domain::settings::Settings;

/// A destination.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) settings: Settings,
    /// Sealed.
    pub(crate) secret: Option<Vec<u8>>,
    pub(crate) created_at: i64,
    pub(crate) changed_at: i64,
}

/// What a delivery says while its destination is paused.
pub(crate) const PAUSED: &str = "The destination is paused.";
/// What it says when that was removed.
const REMOVED: &str = "The destination was removed.";

/// Holds up whoever plans deliveries of the tenant or changes its destinations: a
/// delivery is never planned for one that is being removed.
pub(crate) async fn lock(tx: &mut Connection, scope: &TenantScope) -> Result<(), DbError> {
    tx.lock(&format!("destinations/{}", scope.tenant())).await
}

const READ: &str = "SELECT id, name, state, settings, secret, created_at, changed_at
    FROM destinations WHERE tenant = $1 AND state <> 'removed'";

impl Store {
    /// One of a tenant's destinations.
    pub(crate) async fn destination(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Option<Made>, DbError> {
        let text = format!("{READ} AND id = $2");
        let row = db::query(db::AssertSqlSafe(text))
            .bind(scope.tenant().as_str())
            .bind(id)
            .fetch_optional(self.db().read(scope))
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All of them.
    pub(crate) async fn destinations(&self, scope: &TenantScope) -> Result<Vec<Made>, DbError> {
        let text = format!("{READ} ORDER BY name, id");
        db::query(db::AssertSqlSafe(text))
            .bind(scope.tenant().as_str())
            .fetch_all(self.db().read(scope))
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// How many deliveries wait for each destination of a tenant.
    pub(crate) async fn waiting(&self, scope: &TenantScope) -> Result<Vec<(String, i64)>, DbError> {
        db::query(
            "SELECT destination, COUNT(*) FROM deliveries
             WHERE tenant = $1 AND state IN ('waiting', 'sending') GROUP BY destination",
        )
        .bind(scope.tenant().as_str())
        .fetch_all(self.db().read(scope))
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
    }

    /// Destinations of all tenants that have something to send now, and are not paused.
    pub(crate) async fn at_work(
        &self,
        now: i64,
        limit: u32,
    ) -> Result<Vec<(TenantId, String)>, DbError> {
        db::query(
            "SELECT d.tenant, d.id FROM destinations d WHERE d.state = 'active' AND EXISTS (
                 SELECT 1 FROM jobs j WHERE j.kind = 'delivery/' || d.tenant || '/' || d.id
                     AND j.tenant = d.tenant
                     AND (j.state = 'leased' OR j.state = 'queued' AND j.run_at <= $1))
             ORDER BY d.id LIMIT $2",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(self.db().read(Across::Jobs))
        .await?
        .iter()
        .map(|row| {
            let tenant: String = row.try_get(0)?;
            let tenant = TenantId::new(tenant).map_err(|e| DbError::Decode(Box::new(e)))?;
            Ok((tenant, row.try_get(1)?))
        })
        .collect()
    }

    /// Notes that a destination is tested now; false when that was done after `before`.
    pub(crate) async fn begin_test(
        &self,
        scope: &TenantScope,
        id: &str,
        now: i64,
        before: i64,
    ) -> Result<bool, DbError> {
        let mut tx = self.db().begin(scope).await?;
        let done = db::query(
            "UPDATE destinations SET tested_at = $1 WHERE id = $2 AND tenant = $3
             AND (tested_at IS NULL OR tested_at <= $4)",
        )
        .bind(now)
        .bind(id)
        .bind(scope.tenant().as_str())
        .bind(before)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

/// Those that take results, as a planning transaction sees them.
pub(crate) async fn of_tenant(
    tx: &mut Connection,
    scope: &TenantScope,
) -> Result<Vec<Made>, DbError> {
    db::query(db::AssertSqlSafe(READ.to_owned()))
        .bind(scope.tenant().as_str())
        .fetch_all(tx)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Keeps a destination; false when the tenant has one of this name, or as many as it may.
pub(crate) async fn insert(
    tx: &mut Connection,
    scope: &TenantScope,
    made: &Made,
    most: u32,
) -> Result<bool, DbError> {
    let done = db::query(
        "INSERT INTO destinations (id, tenant, name, state, settings, secret, created_at, changed_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $7
         WHERE (SELECT COUNT(*) FROM destinations WHERE tenant = $2 AND state <> 'removed') < $8
         ON CONFLICT DO NOTHING",
    )
    .bind(&made.id)
    .bind(scope.tenant().as_str())
    .bind(&made.name)
    .bind(state(made.paused))
    .bind(written(&made.settings)?)
    .bind(&made.secret)
    .bind(made.created_at)
    .bind(most)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what a destination is from now on, if it is still as it was `before`. What
/// waits for it is tried at once, unless it is paused.
pub(crate) async fn update(
    tx: &mut Connection,
    scope: &TenantScope,
    made: &Made,
    before: i64,
) -> Result<Updated, DbError> {
    let taken = db::query(
        "SELECT 1 FROM destinations WHERE tenant = $1 AND name = $2 AND id <> $3
         AND state <> 'removed'",
    )
    .bind(scope.tenant().as_str())
    .bind(&made.name)
    .bind(&made.id)
    .fetch_optional(&mut *tx)
    .await?;
    if taken.is_some() {
        return Ok(Updated::NameTaken);
    }
    let done = db::query(
        "UPDATE destinations SET name = $1, state = $2, settings = $3, secret = $4,
             changed_at = $5 WHERE id = $6 AND tenant = $7 AND state <> 'removed' AND changed_at = $8",
    )
    .bind(&made.name)
    .bind(state(made.paused))
    .bind(written(&made.settings)?)
    .bind(&made.secret)
    .bind(made.changed_at)
    .bind(&made.id)
    .bind(scope.tenant().as_str())
    .bind(before)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(Updated::Changed);
    }
    db::query(
        "UPDATE deliveries SET reason = NULL, next_attempt_at = NULL
         WHERE tenant = $1 AND destination = $2 AND state = 'waiting'",
    )
    .bind(scope.tenant().as_str())
    .bind(&made.id)
    .execute(&mut *tx)
    .await?;
    if !made.paused {
        let kind = job_kind(scope.tenant(), &made.id);
        jobs::hasten(tx, scope.tenant(), &kind, made.changed_at).await?;
    }
    Ok(Updated::Done)
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updated {
    Done,
    /// Another destination has this name.
    NameTaken,
    /// It was changed or removed since it was read.
    Changed,
}

/// Removes a destination; its name. What waits for it is given up, and its worker
/// finds nothing any more. What was delivered goes on to say where.
pub(crate) async fn remove(
    tx: &mut Connection,
    scope: &TenantScope,
    id: &str,
    now: i64,
) -> Result<Option<String>, DbError> {
    let name: Option<String> = db::query_scalar(
        "UPDATE destinations SET state = 'removed', settings = '{}', secret = NULL, changed_at = $1
         WHERE id = $2 AND tenant = $3 AND state <> 'removed' RETURNING name",
    )
    .bind(now)
    .bind(id)
    .bind(scope.tenant().as_str())
    .fetch_optional(&mut *tx)
    .await?;
    if name.is_none() {
        return Ok(None);
    }
    db::query(
        "UPDATE deliveries SET state = 'given-up', reason = $1, next_attempt_at = NULL
         WHERE tenant = $2 AND destination = $3 AND state IN ('waiting', 'sending', 'held')",
    )
    .bind(REMOVED)
    .bind(scope.tenant().as_str())
    .bind(id)
    .execute(&mut *tx)
    .await?;
    jobs::forget_kind(tx, scope.tenant(), &job_kind(scope.tenant(), id)).await?;
    // A name that no delivery shows is of no use.
    db::query(
        "DELETE FROM destinations WHERE id = $1 AND tenant = $2
         AND NOT EXISTS (SELECT 1 FROM deliveries WHERE tenant = $2 AND destination = $1)",
    )
    .bind(id)
    .bind(scope.tenant().as_str())
    .execute(tx)
    .await?;
    Ok(name)
}

fn state(paused: bool) -> &'static str {
    match paused {
        true => "paused",
        false => "active",
    }
}

fn written(settings: &Settings) -> Result<String, DbError> {
    serde_json::to_string(settings).map_err(|error| DbError::Encode(Box::new(error)))
}

fn read(row: &Row) -> Result<Made, DbError> {
    let (state, settings): (String, String) = (row.try_get("state")?, row.try_get("settings")?);
    Ok(Made {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        paused: state == "paused",
        settings: serde_json::from_str(&settings)
            .map_err(|error| DbError::Decode(Box::new(error)))?,
        secret: row.try_get("secret")?,
        created_at: row.try_get("created_at")?,
        changed_at: row.try_get("changed_at")?,
    })
}

#[cfg(test)]
mod tests;
