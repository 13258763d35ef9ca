//! Deliveries come into being, and come out of being held or given up.

use hilum_contracts::ids::CorrelationId;
use hilum_contracts::imaging::ResultsPublished;
use hilum_platform::db::{self, Connection, DbError};
use hilum_platform::jobs::{self, NewJob};
use hilum_platform::scope::TenantScope;
use uuid::Uuid;

use super::{destinations, job_kind};

/// A delivery to plan.
pub(crate) struct NewDelivery<'a> {
    pub(crate) results: &'a ResultsPublished,
    pub(crate) destination: &'a str,
    pub(crate) correlation_id: CorrelationId,
}

/// Plans a delivery with its job. One that exists stays as it is.
pub(crate) async fn plan(
    tx: &mut Connection,
    scope: &TenantScope,
    new: &NewDelivery<'_>,
    now: i64,
) -> Result<(), DbError> {
    let id = Uuid::now_v7().to_string();
    let inserted = db::query(
        "INSERT INTO deliveries (id, tenant, run_id, study_uid, destination, correlation_id, state, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'waiting', $7) ON CONFLICT DO NOTHING",
    )
    .bind(&id)
    .bind(scope.tenant().as_str())
    .bind(new.results.run.to_string())
    .bind(&new.results.study_uid)
    .bind(new.destination)
    .bind(new.correlation_id.to_string())
    .bind(now)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if inserted == 0 {
        return Ok(());
    }
    for (ordinal, instance) in (0_i64..).zip(&new.results.instances) {
        db::query(
            "INSERT INTO delivery_instances (delivery, ordinal, sop_class_uid, sop_instance_uid,
                 series_uid, transfer_syntax_uid, length) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&id)
        .bind(ordinal)
        .bind(&instance.sop_class_uid)
        .bind(&instance.sop_instance_uid)
        .bind(&instance.series_uid)
        .bind(&instance.transfer_syntax_uid)
        .bind(i64::try_from(instance.length).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
    }
    enqueue(tx, scope, &id, new.destination, new.correlation_id, now).await
}

/// Goes on with what was held because of a patient.
pub(crate) async fn release_held(
    tx: &mut Connection,
    scope: &TenantScope,
    study_uid: &str,
    now: i64,
) -> Result<(), DbError> {
    let held: Vec<String> = db::query_scalar(
        "SELECT id FROM deliveries WHERE tenant = $1 AND study_uid = $2 AND state = 'held'",
    )
    .bind(scope.tenant().as_str())
    .bind(study_uid)
    .fetch_all(&mut *tx)
    .await?;
    for id in held {
        start_anew(tx, scope, &id, now).await?;
    }
    Ok(())
}

/// Starts a held or given-up delivery anew; what the destination has
/// acknowledged is not sent again. Its study; `None`: it is neither, or not there, or
/// its destination was removed.
pub(crate) async fn start_anew(
    tx: &mut Connection,
    scope: &TenantScope,
    id: &str,
    now: i64,
) -> Result<Option<String>, DbError> {
    destinations::lock(tx, scope).await?;
    let row = db::query(
        "UPDATE deliveries SET state = 'waiting', reason = NULL, attempts = 0, next_attempt_at = NULL
         WHERE id = $1 AND tenant = $2 AND state IN ('held', 'given-up')
             AND NOT EXISTS (SELECT 1 FROM destinations g WHERE g.id = deliveries.destination
                 AND g.tenant = $2 AND g.state = 'removed')
         RETURNING destination, correlation_id, study_uid",
    )
    .bind(id)
    .bind(scope.tenant().as_str())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (destination, correlation): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let correlation = correlation
        .parse()
        .map_err(|e| DbError::Decode(Box::new(e)))?;
    enqueue(tx, scope, id, &destination, correlation, now).await?;
    row.try_get(2).map(Some)
}

async fn enqueue(
    tx: &mut Connection,
    scope: &TenantScope,
    id: &str,
    destination: &str,
    correlation_id: CorrelationId,
    now: i64,
) -> Result<(), DbError> {
    let job = NewJob {
        tenant: scope.tenant(),
        kind: &job_kind(scope.tenant(), destination),
        subject: id,
        correlation_id,
        run_at: now,
    };
    jobs::enqueue(tx, now, job).await
}
