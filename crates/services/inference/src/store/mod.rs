//! The only SQL of this service. Every function takes the scope whose rows it
//! may touch.

pub(crate) mod erasure;
mod lists;
mod planning;
mod progress;

pub(crate) use lists::RunFilter;
pub(crate) use planning::{NewRun, plan, start_anew};
pub(crate) use progress::Ending;

use hilum_platform::db::{Db, DbError, Row};

/// The kind of job that runs a model.
pub(crate) const JOB_KIND: &str = "run";

/// The service's rows.
#[derive(Clone, Debug)]
pub(crate) struct Store(Db);

impl Store {
    pub(crate) fn new(db: Db) -> Self {
        Self(db)
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0
    }
}

/// A run as it is stored. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct RunRow {
    pub(crate) id: String,
    pub(crate) input_set: String,
    pub(crate) revision: i64,
    pub(crate) study_uid: String,
    pub(crate) series_uid: String,
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) model_digest: String,
    pub(crate) state: String,
    pub(crate) progress: f64,
    pub(crate) step: Option<String>,
    pub(crate) attempts: i64,
    pub(crate) reason_code: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) warnings: String,
    pub(crate) measurements: String,
    pub(crate) result_instances: String,
    pub(crate) seconds_model: Option<f64>,
    pub(crate) last_slice_at: i64,
    pub(crate) queued_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
}

fn read(row: &Row) -> Result<RunRow, DbError> {
    Ok(RunRow {
        id: row.try_get("id")?,
        input_set: row.try_get("input_set")?,
        revision: row.try_get("revision")?,
        study_uid: row.try_get("study_uid")?,
        series_uid: row.try_get("series_uid")?,
        model: row.try_get("model")?,
        version: row.try_get("version")?,
        model_digest: row.try_get("model_digest")?,
        state: row.try_get("state")?,
        progress: row.try_get("progress")?,
        step: row.try_get("step")?,
        attempts: row.try_get("attempts")?,
        reason_code: row.try_get("reason_code")?,
        reason: row.try_get("reason")?,
        warnings: row.try_get("warnings")?,
        measurements: row.try_get("measurements")?,
        result_instances: row.try_get("result_instances")?,
        seconds_model: row.try_get("seconds_model")?,
        last_slice_at: row.try_get("last_slice_at")?,
        queued_at: row.try_get("queued_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}
