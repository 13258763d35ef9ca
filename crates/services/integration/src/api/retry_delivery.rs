//! `POST /deliveries/{id}/retry`

use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::jobs::JobSource as _;
use http::StatusCode;

use crate::IntegrationService;

/// Starts a delivery anew that was given up or is held.
#[utoipa::path(post, path = "/deliveries/{id}/retry",
    extensions(("x-hilum-action" = json!("retry-work"))), tag = "integration",
    params(("id" = String, Path)),
    responses((status = 202), (status = 409, body = ProblemBody)))]
pub(crate) async fn retry_delivery(
    May(scope, _): May<doors::RetryWork>,
    State(service): State<IntegrationService>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let started = service
        .start_anew(&scope, &id)
        .await
        .map_err(|error| database_error(&error))?;
    if !started {
        let text = "This delivery is neither held nor given up, so it goes on by itself, or its \
                    destination was removed.";
        return Err(Problem(ServiceError::new(ErrorCode::Conflict, text)));
    }
    Ok(StatusCode::ACCEPTED)
}
