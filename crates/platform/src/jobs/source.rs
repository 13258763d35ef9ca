//! Jobs as people see them: listed, whichever service they are of, and started
//! anew when they were given up.

use async_trait::async_trait;
use hilum_contracts::error::ServiceError;
use hilum_contracts::scope::TenantScope;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::db::{self, Across, Db, DbError, Row};
use crate::http::database_error;
use crate::limits::{FIGURES_STALE, JOBS_LISTED};

/// Where a job stands that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is due now or later.
    Waiting,
    /// A worker holds it.
    Running,
    /// It was given up: a person may start it anew.
    Dead,
}

impl State {
    fn stored(self) -> &'static str {
        match self {
            Self::Waiting => "queued",
            Self::Running => "leased",
            Self::Dead => "dead",
        }
    }
}

/// A job that is not done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Its own id.
    pub id: String,
    /// What it is about: a run id, a delivery id.
    pub subject: String,
    /// The work it belongs to.
    pub correlation_id: String,
    /// Where it stands.
    pub state: State,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is or was due; milliseconds since 1970.
    pub due_at: i64,
    /// When it was made; milliseconds since 1970.
    pub created_at: i64,
    /// What went wrong last.
    pub reason: Option<String>,
    /// What is done, for people: `CT lung 1.0`, `to PACS`.
    pub what: String,
    /// The study that it is about.
    pub study_uid: Option<String>,
}

/// How much is to be done of every tenant's: figures for who watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// What is due now or later.
    pub waiting: u64,
    /// For how long what is due longest has been; milliseconds.
    pub oldest: i64,
    /// What was given up.
    pub dead: u64,
}

/// What a job does, for people.
#[derive(Clone, Debug)]
pub struct Described {
    /// As [`Listed::what`].
    pub what: String,
    /// As [`Listed::study_uid`].
    pub study_uid: String,
}

/// A service whose work is jobs in its own database.
#[async_trait]
pub trait JobSource: Send + Sync {
    /// The service's name.
    fn service(&self) -> &'static str;

    /// The database that its jobs are in.
    fn db(&self) -> &Db;

    /// Time.
    fn clock(&self) -> &dyn Clock;

    /// What a job of this subject does; none when the subject is gone.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn describe(
        &self,
        scope: &TenantScope,
        subject: &str,
    ) -> Result<Option<Described>, DbError>;

    /// Starts the work on a subject anew that came to its end without being done.
    /// `false`: it goes on by itself, is done, or is not there.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn start_anew(&self, scope: &TenantScope, subject: &str) -> Result<bool, DbError>;
}

/// The jobs of one service, here or in another process.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// The service's name.
    fn service(&self) -> &'static str;

    /// Jobs of the scope's tenant in a state, those first that were due first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn jobs(&self, scope: &TenantScope, state: State) -> Result<Vec<Listed>, ServiceError>;

    /// How much there is to do.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn backlog(&self) -> Result<Backlog, ServiceError>;

    /// Starts a job of the scope's tenant anew that was given up. `false`: there is
    /// no such job.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn replay(&self, scope: &TenantScope, id: &str) -> Result<bool, ServiceError>;
}

#[async_trait]
impl<T: JobSource> Jobs for T {
    fn service(&self) -> &'static str {
        JobSource::service(self)
    }

    async fn jobs(&self, scope: &TenantScope, state: State) -> Result<Vec<Listed>, ServiceError> {
        let failed = |error| database_error(&error);
        let mut listed = list(self.db(), scope, state).await.map_err(failed)?;
        for job in &mut listed {
            let described = self.describe(scope, &job.subject).await.map_err(failed)?;
            if let Some(Described { what, study_uid }) = described {
                (job.what, job.study_uid) = (what, Some(study_uid));
            }
        }
        Ok(listed)
    }

    async fn backlog(&self) -> Result<Backlog, ServiceError> {
        let backlog = backlog(self.db(), self.clock().now_millis()).await;
        backlog.map_err(|error| database_error(&error))
    }

    async fn replay(&self, scope: &TenantScope, id: &str) -> Result<bool, ServiceError> {
        let failed = |error| database_error(&error);
        let subject = subject_of_dead(self.db(), scope, id).await;
        match subject.map_err(failed)? {
            Some(subject) => self.start_anew(scope, &subject).await.map_err(failed),
            None => Ok(false),
        }
    }
}

/// Jobs of a tenant in a state; what they do and of which study is left open.
async fn list(db: &Db, scope: &TenantScope, state: State) -> Result<Vec<Listed>, DbError> {
    let rows = db::query(
        "SELECT id, subject, correlation_id, attempts, run_at, last_error, created_at FROM jobs
         WHERE tenant = $1 AND state = $2 AND state <> 'done' ORDER BY run_at, id LIMIT $3",
    )
    .bind(scope.tenant().as_str())
    .bind(state.stored())
    .bind(JOBS_LISTED)
    .fetch_all(db.read(scope))
    .await?;
    rows.iter().map(|row| read(row, state)).collect()
}

/// How much there is to do in a service's database.
async fn backlog(db: &Db, now: i64) -> Result<Backlog, DbError> {
    let (waiting, due, dead): (i64, Option<i64>, i64) = db::query_as(
        "SELECT count(*) FILTER (WHERE state = 'queued'), min(run_at) FILTER (WHERE state = 'queued'),
            count(*) FILTER (WHERE state = 'dead')
         FROM jobs WHERE state <> 'done'",
    )
    .fetch_one(db.read_stale(Across::Figures, FIGURES_STALE))
    .await?;
    Ok(Backlog {
        waiting: waiting.unsigned_abs(),
        oldest: due.map_or(0, |due| now.saturating_sub(due).max(0)),
        dead: dead.unsigned_abs(),
    })
}

/// What a job of the tenant is about that was given up.
async fn subject_of_dead(
    db: &Db,
    scope: &TenantScope,
    id: &str,
) -> Result<Option<String>, DbError> {
    db::query_scalar("SELECT subject FROM jobs WHERE id = $1 AND tenant = $2 AND state = 'dead'")
        .bind(id)
        .bind(scope.tenant().as_str())
        .fetch_optional(db.read(scope))
        .await
}

fn read(row: &Row, state: State) -> Result<Listed, DbError> {
    Ok(Listed {
        id: row.try_get("id")?,
        subject: row.try_get("subject")?,
        correlation_id: row.try_get("correlation_id")?,
        state,
        attempts: row.try_get("attempts")?,
        due_at: row.try_get("run_at")?,
        created_at: row.try_get("created_at")?,
        reason: row.try_get("last_error")?,
        what: String::new(),
        study_uid: None,
    })
}
