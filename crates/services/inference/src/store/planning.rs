//! Runs come into being with their jobs, give way to newer input, and are
//! started anew when a person asks.

use hilum_contracts::ids::{CorrelationId, RunId};
use hilum_contracts::imaging::InputSetReady;
use hilum_platform::clock::to_millis;
use hilum_platform::db::{self, Connection, DbError};
use hilum_platform::jobs::{self, NewJob};
use hilum_platform::scope::TenantScope;

use super::JOB_KIND;

/// A run to plan.
pub(crate) struct NewRun<'a> {
    pub(crate) input: &'a InputSetReady,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) model: &'a str,
    pub(crate) version: &'a str,
    pub(crate) model_digest: &'a str,
}

/// Plans a run with its job; one that exists stays as it is. Unfinished runs
/// of the same model on older revisions of the series give way.
pub(crate) async fn plan(
    tx: &mut Connection,
    scope: &TenantScope,
    new: &NewRun<'_>,
    now: i64,
) -> Result<(), DbError> {
    let id = RunId::new().to_string();
    let inserted = db::query(
        "INSERT INTO runs (id, tenant, input_set, input_digest, revision, study_uid, series_uid, correlation_id,
             model, version, model_digest, state, last_slice_at, queued_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued', $12, $13) ON CONFLICT DO NOTHING",
    )
    .bind(&id)
    .bind(scope.tenant().as_str())
    .bind(new.input.input_set.to_string())
    .bind(&new.input.digest)
    .bind(new.input.revision)
    .bind(&new.input.study_uid)
    .bind(&new.input.series_uid)
    .bind(new.correlation_id.to_string())
    .bind(new.model)
    .bind(new.version)
    .bind(new.model_digest)
    .bind(to_millis(new.input.last_instance_at))
    .bind(now)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if inserted == 0 {
        return Ok(());
    }
    db::query(
        "UPDATE runs SET state = 'superseded', finished_at = $1, reason = 'Newer images of the series arrived.'
         WHERE tenant = $2 AND series_uid = $3 AND model = $4 AND revision < $5 AND state IN ('queued', 'running', 'publishing')",
    )
    .bind(now)
    .bind(scope.tenant().as_str())
    .bind(&new.input.series_uid)
    .bind(new.model)
    .bind(new.input.revision)
    .execute(&mut *tx)
    .await?;
    let job = NewJob {
        tenant: scope.tenant(),
        kind: JOB_KIND,
        subject: &id,
        correlation_id: new.correlation_id,
        run_at: now,
    };
    jobs::enqueue(tx, now, job).await
}

/// Starts a run anew that was refused or has failed. Its study, or `None` when
/// there is no such run in such a state.
pub(crate) async fn start_anew(
    tx: &mut Connection,
    scope: &TenantScope,
    id: &str,
    now: i64,
) -> Result<Option<String>, DbError> {
    let row = db::query(
        "UPDATE runs SET state = 'queued', attempts = 0, progress = 0, step = NULL, reason = NULL, reason_code = NULL, finished_at = NULL
         WHERE id = $1 AND tenant = $2 AND state IN ('refused', 'failed') RETURNING study_uid, correlation_id",
    )
    .bind(id)
    .bind(scope.tenant().as_str())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let correlation: String = row.try_get("correlation_id")?;
    let correlation_id = correlation
        .parse()
        .map_err(|e| DbError::Decode(Box::new(e)))?;
    let job = NewJob {
        tenant: scope.tenant(),
        kind: JOB_KIND,
        subject: id,
        correlation_id,
        run_at: now,
    };
    jobs::enqueue(tx, now, job).await?;
    row.try_get("study_uid").map(Some)
}
