//! What the archive's events change of input sets: what arrived opens one or
//! goes on with it, what was deleted takes it away. When one is ready is decided
//! elsewhere.

use hilum_contracts::ids::InputSetId;
use hilum_contracts::imaging::{InstancesDeleted, InstancesStored};
use hilum_platform::clock::to_millis;
use hilum_platform::db::{self, Connection, DbError};
use hilum_platform::scope::TenantScope;

use crate::domain::readiness::IMPORTED;

/// Follows what was deleted: input sets of what is there no more go too.
pub(crate) async fn deleted(
    tx: &mut Connection,
    scope: &TenantScope,
    event: &InstancesDeleted,
) -> Result<(), DbError> {
    // A set that has lost an instance stays: it says what a run was made of.
    if event.sop_instance_uid.is_some() {
        return Ok(());
    }
    for sql in [
        "DELETE FROM input_set_instances WHERE input_set IN (SELECT id FROM input_sets
            WHERE tenant = $1 AND study_uid = $2 AND ($3 IS NULL OR series_uid = $3))",
        "DELETE FROM input_sets
            WHERE tenant = $1 AND study_uid = $2 AND ($3 IS NULL OR series_uid = $3)",
        "DELETE FROM senders
            WHERE tenant = $1 AND study_uid = $2 AND ($3 IS NULL OR series_uid = $3)",
    ] {
        db::query(sql)
            .bind(scope.tenant().as_str())
            .bind(&event.study_uid)
            .bind(event.series_uid.as_deref())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Follows what became durable: opens a revision, or goes on with the open one.
pub(crate) async fn stored(
    tx: &mut Connection,
    scope: &TenantScope,
    event: &InstancesStored,
    quiet_ms: i64,
) -> Result<(), DbError> {
    let tenant = scope.tenant().as_str();
    if event.origin == "hilum" {
        db::query(
            "INSERT INTO own_series (tenant, series_uid) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(tenant)
        .bind(&event.series_uid)
        .execute(tx)
        .await?;
        return Ok(());
    }
    let at = to_millis(event.last_stored_at);
    let added = i64::try_from(event.added).unwrap_or(i64::MAX);
    let imported = event.origin == "import";
    // What a sender adds makes an imported set one that is being received; what
    // an import adds leaves an open set as it is.
    let open = db::query(
        "UPDATE input_sets SET instance_count = instance_count + $1,
             last_instance_at = CASE WHEN last_instance_at < $2 THEN $2 ELSE last_instance_at END,
             state = CASE WHEN $6 THEN state ELSE 'receiving' END,
             reason = CASE WHEN $6 THEN reason END,
             reason_code = CASE WHEN $6 THEN reason_code END,
             imported = imported AND $6
         WHERE tenant = $3 AND study_uid = $4 AND series_uid = $5 AND state IN ('receiving', 'incomplete')
             AND NOT EXISTS (SELECT 1 FROM own_series WHERE tenant = $3 AND series_uid = $5)",
    )
    .bind(added)
    .bind(at)
    .bind(tenant)
    .bind(&event.study_uid)
    .bind(&event.series_uid)
    .bind(imported)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if open == 0 {
        if is_own(tx, scope, &event.series_uid).await? {
            return Ok(());
        }
        db::query(
            "INSERT INTO input_sets (id, tenant, study_uid, series_uid, revision, state, modality,
                 instance_count, correlation_id, opened_at, last_instance_at, imported, reason_code,
                 reason)
             SELECT $1, $2, $3, $4, COALESCE(MAX(revision), 0) + 1,
                 CASE WHEN $9 THEN 'incomplete' ELSE 'receiving' END, $5,
                 COALESCE(MAX(instance_count), 0) + $6, $7, $8, $8, $9,
                 CASE WHEN $9 THEN 'imported' END, CASE WHEN $9 THEN $10 END
             FROM input_sets WHERE tenant = $2 AND study_uid = $3 AND series_uid = $4",
        )
        .bind(InputSetId::new().to_string())
        .bind(tenant)
        .bind(&event.study_uid)
        .bind(&event.series_uid)
        .bind(&event.modality)
        .bind(added)
        .bind(event.intake_id.to_string())
        .bind(at)
        .bind(imported)
        .bind(IMPORTED)
        .execute(&mut *tx)
        .await?;
    }
    if imported {
        return Ok(());
    }
    db::query(
        "INSERT INTO senders (tenant, study_uid, series_uid, intake_id, quiet_ms)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(tenant)
    .bind(&event.study_uid)
    .bind(&event.series_uid)
    .bind(event.intake_id.to_string())
    .bind(quiet_ms)
    .execute(tx)
    .await?;
    Ok(())
}

async fn is_own(
    tx: &mut Connection,
    scope: &TenantScope,
    series_uid: &str,
) -> Result<bool, DbError> {
    let own: Option<i64> =
        db::query_scalar("SELECT 1 FROM own_series WHERE tenant = $1 AND series_uid = $2")
            .bind(scope.tenant().as_str())
            .bind(series_uid)
            .fetch_optional(tx)
            .await?;
    Ok(own.is_some())
}
