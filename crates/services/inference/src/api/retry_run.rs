//! `POST /runs/{id}/retry`

use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::notices::Topic;
use http::StatusCode;

use crate::service::InferenceService;
use crate::store;

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
    let mut tx = service
        .store
        .db()
        .begin()
        .await
        .map_err(|error| database_error(&error))?;
    let started = store::start_anew(&mut tx, &scope, &id, service.clock.now_millis())
        .await
        .map_err(|error| database_error(&error))?;
    let Some(study_uid) = started else {
        let text = "There is no such run that was refused or has failed.";
        return Err(Problem(ServiceError::new(ErrorCode::Conflict, text)));
    };
    let entry = Entry::new(Act::Retry)
        .about(Subject::study(&*study_uid))
        .with(Detail::Run, &id);
    let recorded = service.trail.append(&mut tx, &scope, entry).await;
    recorded.map_err(|error| database_error(&error))?;
    tx.commit().await.map_err(|error| database_error(&error))?;
    service.bell.notify_one();
    service
        .notices
        .tell(scope.tenant(), Topic::Runs, Some(&study_uid));
    Ok(StatusCode::ACCEPTED)
}
