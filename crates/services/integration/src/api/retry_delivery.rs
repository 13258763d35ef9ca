//! `POST /deliveries/{id}/retry`

use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::notices::Topic;
use http::StatusCode;

use crate::IntegrationService;
use crate::store::planning;

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
    let mut tx = service
        .store
        .db()
        .begin()
        .await
        .map_err(|error| database_error(&error))?;
    let started = planning::start_anew(&mut tx, &scope, &id, service.clock.now_millis())
        .await
        .map_err(|error| database_error(&error))?;
    let Some(study_uid) = started else {
        let text = "This delivery is neither held nor given up, so it goes on by itself.";
        return Err(Problem(ServiceError::new(ErrorCode::Conflict, text)));
    };
    let entry = Entry::new(Act::Retry)
        .about(Subject::study(study_uid))
        .with(Detail::Delivery, &id);
    let recorded = service.trail.append(&mut tx, &scope, entry).await;
    recorded.map_err(|error| database_error(&error))?;
    tx.commit().await.map_err(|error| database_error(&error))?;
    service.bell.notify_waiters();
    service
        .notices
        .tell(scope.tenant(), Topic::Deliveries, None);
    Ok(StatusCode::ACCEPTED)
}
