//! `POST /api/v1/jobs/{service}/{id}/replay`

use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody};
use http::StatusCode;

use super::Own;

/// Starts a job anew that was given up.
#[utoipa::path(post, path = "/jobs/{service}/{id}/replay",
    extensions(("x-hilum-action" = json!("replay-dead-letters"))), tag = "platform",
    params(("service" = String, Path), ("id" = String, Path)),
    responses((status = 202), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub(crate) async fn replay_job(
    May(scope, _): May<doors::ReplayDeadLetters>,
    State(own): State<Own>,
    Path((service, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let source = own.jobs.iter().find(|one| one.service() == service);
    let replayed = match source {
        Some(source) => source.replay(&scope, &id).await.map_err(Problem)?,
        None => false,
    };
    if !replayed {
        let text = "There is no such job that was given up; it may have been started anew already.";
        return Err(Problem(ServiceError::new(ErrorCode::Conflict, text)));
    }
    tracing::info!(by = ?scope.principal(), service, job = id, "a job is started anew");
    Ok(StatusCode::ACCEPTED)
}
