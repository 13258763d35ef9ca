//! `POST /patient-conflicts/{id}/resolve`

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::error::ServiceError;
use hilum_contracts::patients::ConflictResolved;
use hilum_contracts::{CorrelationId, Event};
use hilum_platform::events::append;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::notices::Topic;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::PatientsService;
use crate::store::{Decision, ResolveError, conflicts};

#[derive(Deserialize, ToSchema)]
pub(crate) struct Resolution {
    /// `keep-first`, `take-second` or `different-patients`.
    #[schema(value_type = String)]
    decision: Decision,
}

/// Ends a conflict with a person's decision; what was held goes on.
#[utoipa::path(post, path = "/patient-conflicts/{id}/resolve",
    extensions(("x-hilum-action" = json!("decide-conflicts"))), tag = "patients",
    params(("id" = String, Path)), request_body = Resolution,
    responses((status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn resolve_patient_conflict(
    May(scope, _): May<doors::DecideConflicts>,
    State(service): State<PatientsService>,
    Path(id): Path<String>,
    Json(resolution): Json<Resolution>,
) -> Result<StatusCode, Problem> {
    let now = service.clock.now();
    let mut tx = service
        .store
        .db()
        .begin(&scope)
        .await
        .map_err(ResolveError::Db)?;
    let study_uids = conflicts::resolve(
        &mut tx,
        &scope,
        &id,
        resolution.decision,
        service.clock.now_millis(),
    )
    .await?;
    let mut entry = Entry::new(Act::DecideConflict)
        .with(Detail::Conflict, &id)
        .with(Detail::Change, resolution.decision.as_str());
    for uid in &study_uids {
        entry = entry.about(Subject::study(&**uid));
    }
    let recorded = service.trail.append(&mut tx, &scope, entry).await;
    recorded.map_err(|error| database_error(&error))?;
    let event = Event::new(
        scope.tenant().clone(),
        CorrelationId::new(),
        now,
        &id,
        1,
        &ConflictResolved { study_uids },
    )
    .map_err(|error| ServiceError::internal(error.to_string()))?;
    append(&mut tx, &event)
        .await
        .map_err(|e| database_error(&e))?;
    tx.commit().await.map_err(|e| database_error(&e))?;
    service.outbox.ring();
    service.notices.tell(scope.tenant(), Topic::Patients, None);
    Ok(StatusCode::NO_CONTENT)
}
