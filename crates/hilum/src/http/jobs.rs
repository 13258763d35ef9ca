//! `GET /api/v1/jobs`: work that waits, is done or was given up.

use axum::Json;
use axum::extract::{Query, State};
use hilum_contracts::access::doors;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::jobs;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::Own;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// Where the jobs stand [default: dead].
    #[param(inline)]
    state: Option<JobState>,
}

/// Where a job stands.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum JobState {
    /// It is due now or later.
    Waiting,
    /// A worker holds it.
    Running,
    /// It was given up, and waits for a person.
    Dead,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct JobList {
    items: Vec<JobItem>,
    /// Services that did not answer, whose jobs are not listed.
    silent: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct JobItem {
    id: String,
    /// The service whose work it is.
    service: &'static str,
    /// What is done, for people: a model's name, a destination.
    what: String,
    state: JobState,
    /// What it is about: a run id, a delivery id.
    subject: String,
    study_uid: Option<String>,
    correlation_id: String,
    attempts: i64,
    /// What went wrong last.
    reason: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// When it is or was due.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    due_at: OffsetDateTime,
}

impl From<JobState> for jobs::State {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Waiting => Self::Waiting,
            JobState::Running => Self::Running,
            JobState::Dead => Self::Dead,
        }
    }
}

/// Jobs in one state, those first that were due first; at most 500 of each service.
#[utoipa::path(get, path = "/jobs",
    extensions(("x-hilum-action" = json!("view-dead-letters"))), tag = "platform", params(Asked),
    responses((status = 200, body = JobList), (status = 400, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub(crate) async fn list_jobs(
    May(scope, _): May<doors::ViewDeadLetters>,
    State(own): State<Own>,
    Query(asked): Query<Asked>,
) -> Result<Json<JobList>, Problem> {
    let state = asked.state.unwrap_or(JobState::Dead);
    let (mut items, mut silent) = (Vec::new(), Vec::new());
    for source in own.jobs.iter() {
        let Ok(listed) = source.jobs(&scope, state.into()).await else {
            silent.push(source.service());
            continue;
        };
        items.extend(listed.into_iter().map(|job| JobItem {
            id: job.id,
            service: source.service(),
            what: job.what,
            state,
            subject: job.subject,
            study_uid: job.study_uid,
            correlation_id: job.correlation_id,
            attempts: job.attempts,
            reason: job.reason,
            created_at: from_millis(job.created_at),
            due_at: from_millis(job.due_at),
        }));
    }
    Ok(Json(JobList { items, silent }))
}
