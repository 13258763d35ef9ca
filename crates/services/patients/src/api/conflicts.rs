//! `GET /patient-conflicts`

use axum::Json;
use axum::extract::{Query, State};
use hilum_contracts::access::doors;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::LIST_MAX;
use crate::PatientsService;

#[derive(Deserialize, IntoParams)]
pub(crate) struct ConflictsQuery {
    /// `open` (the default) or `resolved`.
    state: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PatientConflictList {
    items: Vec<PatientConflict>,
}

#[derive(Serialize, ToSchema)]
struct PatientConflict {
    id: String,
    issuer: String,
    patient_id: String,
    /// `birth_date` or `sex`.
    attribute: String,
    /// The value that stood first.
    kept_value: String,
    kept_study_uid: Option<String>,
    /// The value that contradicts it.
    other_value: String,
    other_study_uid: String,
    state: String,
    /// What a person decided.
    resolution: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    opened_at: OffsetDateTime,
}

/// Identities that contradict each other and wait for a person.
#[utoipa::path(get, path = "/patient-conflicts",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "patients", params(ConflictsQuery),
    responses((status = 200, body = PatientConflictList), (status = 503, body = ProblemBody)))]
pub(crate) async fn list_patient_conflicts(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<PatientsService>,
    Query(query): Query<ConflictsQuery>,
) -> Result<Json<PatientConflictList>, Problem> {
    let state = query.state.as_deref().unwrap_or("open");
    let rows = service
        .store
        .conflicts(&scope, state, LIST_MAX)
        .await
        .map_err(|error| database_error(&error))?;
    let items = rows
        .into_iter()
        .map(|row| PatientConflict {
            id: row.id,
            issuer: row.issuer,
            patient_id: row.patient_id,
            attribute: row.attribute,
            kept_value: row.kept_value,
            kept_study_uid: row.kept_study_uid,
            other_value: row.other_value,
            other_study_uid: row.other_study_uid,
            state: row.state,
            resolution: row.resolution,
            opened_at: from_millis(row.opened_at),
        })
        .collect();
    Ok(Json(PatientConflictList { items }))
}
