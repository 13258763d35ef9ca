//! `POST /runs/{id}/retry`

use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::jobs::JobSource as _;
use http::StatusCode;

use crate::service::InferenceService;

/// Starts a run anew that was refused or has failed.
#[utoipa::path(post, path = "/runs/{id}/retry",
    extensions(("x-hilum-action" = json!("retry-work"))), tag = "inference",
    params(("id" = String, Path)),
    responses((status = 202), (status = 409, body = ProblemBody)))]
pub(crate) async fn retry_run(
    May(scope, _): May<doors::RetryWork>,
    State(service): State<InferenceService>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let started = service
        .start_anew(&scope, &id)
        .await
        .map_err(|error| database_error(&error))?;
    if !started {
        let text = "There is no such run that was refused or has failed.";
        return Err(Problem(ServiceError::new(ErrorCode::Conflict, text)));
    }
    Ok(StatusCode::ACCEPTED)
}
