//! What a worker reads and writes while it runs a model.

use hilum_contracts::Event;
use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::ids::{InputSetId, RunId};
use hilum_contracts::inference::RunFinished;
use hilum_platform::audit::Trail;
use hilum_platform::clock::from_millis;
use hilum_platform::db::{self, Connection, DbError};
use hilum_platform::events;
use hilum_platform::jobs::{self, End, Job};
use hilum_platform::scope::TenantScope;

use super::{RunRow, Store, read};

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// Its results are published. The columns are JSON.
    Succeeded {
        warnings: String,
        measurements: String,
        instances: String,
        seconds_model: f64,
    },
    /// The input must not be computed.
    Refused { code: String, reason: String },
    /// Given up.
    Failed { reason: String },
    /// To be tried again at this time; `counts` when the worker is to blame.
    Again {
        at: i64,
        reason: String,
        counts: bool,
    },
    /// To be tried at this time: a neighbour or the database does not answer.
    NotYet { at: i64, reason: String },
    /// Newer input took its place.
    Superseded,
    /// Stopped by a shutdown.
    HandedBack,
}

impl Ending {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "succeeded",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Again { .. } => "again",
            Self::NotYet { .. } => "not-yet",
            Self::Superseded => "superseded",
            Self::HandedBack => "handed-back",
        }
    }
}

impl Store {
    /// The run of a job that is about to be tried, now marked as running.
    /// `None` when it has ended meanwhile.
    pub(crate) async fn begin_attempt(
        &self,
        scope: &TenantScope,
        id: &str,
        now: i64,
    ) -> Result<Option<RunRow>, DbError> {
        let mut tx = self.db().begin(scope).await?;
        let row = db::query(
            "UPDATE runs SET state = 'running', progress = 0, step = 'waiting for memory', started_at = COALESCE(started_at, $1)
             WHERE id = $2 AND tenant = $3 AND state IN ('queued', 'running', 'publishing') RETURNING *",
        )
        .bind(now)
        .bind(id)
        .bind(scope.tenant().as_str())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.as_ref().map(read).transpose()
    }

    /// Records where a run is. What is no longer running stays as it is.
    pub(crate) async fn advance(
        &self,
        scope: &TenantScope,
        id: &str,
        state: &str,
        step: &str,
        progress: f64,
    ) -> Result<bool, DbError> {
        let mut tx = self.db().begin(scope).await?;
        let changed = db::query(
            "UPDATE runs SET state = $1, step = $2, progress = $3 WHERE id = $4 AND tenant = $5 AND state IN ('running', 'publishing')",
        )
        .bind(state)
        .bind(step)
        .bind(progress)
        .bind(id)
        .bind(scope.tenant().as_str())
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(changed == 1)
    }

    /// The results that a run takes the place of: those of the newest older
    /// revision that succeeded, as JSON.
    pub(crate) async fn superseded_results(
        &self,
        scope: &TenantScope,
        run: &RunRow,
    ) -> Result<Option<String>, DbError> {
        db::query_scalar(
            "SELECT result_instances FROM runs WHERE tenant = $1 AND series_uid = $2 AND model = $3 AND revision < $4
             AND result_instances <> '[]' ORDER BY revision DESC LIMIT 1",
        )
        .bind(scope.tenant().as_str())
        .bind(&run.series_uid)
        .bind(&run.model)
        .bind(run.revision)
        .fetch_optional(self.db().read(scope))
        .await
    }

    /// Records how an attempt ended, with its job and its event, together or not at all.
    pub(crate) async fn end_attempt(
        &self,
        scope: &TenantScope,
        trail: &Trail,
        run: &RunRow,
        (job, owner): (&Job, &str),
        ending: &Ending,
        now: i64,
    ) -> Result<bool, DbError> {
        let mut tx = self.db().begin(scope).await?;
        let end = match ending {
            Ending::Succeeded { .. } | Ending::Refused { .. } | Ending::Superseded => End::Done,
            Ending::Failed { reason } => End::Dead(reason),
            Ending::Again { at, reason, .. } => End::Retry(*at, reason),
            Ending::NotYet { at, reason } => End::NotYet(*at, reason),
            Ending::HandedBack => End::HandBack,
        };
        if !jobs::finish(&mut tx, job, owner, end).await? {
            return Ok(false);
        }
        write_ending(&mut tx, scope, run, ending, now).await?;
        let goes_on = matches!(
            ending,
            Ending::Again { .. } | Ending::NotYet { .. } | Ending::HandedBack
        );
        if !goes_on {
            let event = finished_event(scope, run, job, ending, now)?;
            events::append(&mut tx, &event).await?;
            let outcome = match ending {
                Ending::Succeeded { .. } => Outcome::Success,
                Ending::Refused { .. } | Ending::Superseded => Outcome::Refused,
                Ending::Failed { .. }
                | Ending::Again { .. }
                | Ending::NotYet { .. }
                | Ending::HandedBack => Outcome::Failed,
            };
            let entry = Entry::new(Act::ModelRun)
                .ended(outcome)
                .about(Subject::study(&*run.study_uid))
                .with(Detail::Run, &run.id)
                .with(Detail::Model, format_args!("{} {}", run.model, run.version))
                .part_of(job.correlation_id);
            trail.append(&mut tx, scope, entry).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

async fn write_ending(
    tx: &mut Connection,
    scope: &TenantScope,
    run: &RunRow,
    ending: &Ending,
    now: i64,
) -> Result<(), DbError> {
    const UNFINISHED: &str =
        "id = $1 AND tenant = $2 AND state IN ('queued', 'running', 'publishing')";
    let tenant = scope.tenant().as_str();
    let query = match ending {
        Ending::Succeeded { warnings, measurements, instances, seconds_model } => {
            supersede_older(tx, scope, run, now).await?;
            // What is published is recorded, also of a run that was superseded while it published.
            db::query(
                "UPDATE runs SET state = CASE state WHEN 'superseded' THEN state ELSE 'succeeded' END, progress = 1, step = NULL,
                     reason = NULL, reason_code = NULL, warnings = $3, measurements = $4, result_instances = $5, seconds_model = $6, finished_at = $7
                 WHERE id = $1 AND tenant = $2",
            )
            .bind(&run.id)
            .bind(tenant)
            .bind(warnings)
            .bind(measurements)
            .bind(instances)
            .bind(seconds_model)
            .bind(now)
        }
        Ending::Refused { code, reason } => db::query(db::AssertSqlSafe(format!(
            "UPDATE runs SET state = 'refused', step = NULL, reason_code = $3, reason = $4, finished_at = $5 WHERE {UNFINISHED}"
        )))
        .bind(&run.id)
        .bind(tenant)
        .bind(code)
        .bind(reason)
        .bind(now),
        Ending::Failed { reason } => db::query(db::AssertSqlSafe(format!(
            "UPDATE runs SET state = 'failed', step = NULL, reason = $3, attempts = attempts + 1, finished_at = $4 WHERE {UNFINISHED}"
        )))
        .bind(&run.id)
        .bind(tenant)
        .bind(reason)
        .bind(now),
        Ending::Again { reason, counts, .. } => db::query(db::AssertSqlSafe(format!(
            "UPDATE runs SET state = 'queued', progress = 0, step = NULL, reason = $3, attempts = attempts + $4 WHERE {UNFINISHED}"
        )))
        .bind(&run.id)
        .bind(tenant)
        .bind(reason)
        .bind(i64::from(*counts)),
        Ending::NotYet { reason, .. } => db::query(db::AssertSqlSafe(format!(
            "UPDATE runs SET state = 'queued', progress = 0, step = NULL, reason = $3 WHERE {UNFINISHED}"
        )))
        .bind(&run.id)
        .bind(tenant)
        .bind(reason),
        Ending::Superseded => db::query(db::AssertSqlSafe(format!(
            "UPDATE runs SET state = 'superseded', step = NULL, reason = 'Newer images of the series arrived.', finished_at = $3 WHERE {UNFINISHED}"
        )))
        .bind(&run.id)
        .bind(tenant)
        .bind(now),
        Ending::HandedBack => db::query(db::AssertSqlSafe(format!(
            "UPDATE runs SET state = 'queued', progress = 0, step = NULL WHERE {UNFINISHED}"
        )))
        .bind(&run.id)
        .bind(tenant),
    };
    query.execute(tx).await?;
    Ok(())
}

/// Older results of the series are stale from the moment the newer ones are recorded.
async fn supersede_older(
    tx: &mut Connection,
    scope: &TenantScope,
    run: &RunRow,
    now: i64,
) -> Result<(), DbError> {
    db::query(
        "UPDATE runs SET state = 'superseded', finished_at = COALESCE(finished_at, $1)
         WHERE tenant = $2 AND series_uid = $3 AND model = $4 AND revision < $5 AND state <> 'superseded'",
    )
    .bind(now)
    .bind(scope.tenant().as_str())
    .bind(&run.series_uid)
    .bind(&run.model)
    .bind(run.revision)
    .execute(tx)
    .await?;
    Ok(())
}

fn finished_event(
    scope: &TenantScope,
    run: &RunRow,
    job: &Job,
    ending: &Ending,
    now: i64,
) -> Result<Event, DbError> {
    let decode = |e| DbError::Decode(Box::new(e));
    let reason = match ending {
        Ending::Refused { reason, .. } | Ending::Failed { reason } => Some(reason.clone()),
        _ => None,
    };
    let payload = RunFinished {
        run: run.id.parse::<RunId>().map_err(decode)?,
        input_set: run.input_set.parse::<InputSetId>().map_err(decode)?,
        study_uid: run.study_uid.clone(),
        state: ending.name().to_owned(),
        reason,
    };
    // A person may start a run anew: its second end is newer than its first.
    let sequence = u64::try_from(now).unwrap_or(0);
    Event::new(
        scope.tenant().clone(),
        job.correlation_id,
        from_millis(now),
        run.id.clone(),
        sequence,
        &payload,
    )
    .map_err(|e| DbError::Encode(Box::new(e)))
}
