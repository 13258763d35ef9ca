//! `GET /patients/by-study`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::patients::PatientState;
use hilum_platform::http::{May, Problem, ProblemBody, RepeatedQuery, database_error};
use serde::Serialize;
use utoipa::ToSchema;

use super::LIST_MAX;
use crate::PatientsService;

#[derive(Serialize, ToSchema)]
pub(crate) struct StudyStateList {
    items: Vec<StudyPatientState>,
}

#[derive(Serialize, ToSchema)]
struct StudyPatientState {
    study_uid: String,
    /// `pending`, `confirmed`, `conflict` or `no-patient-id`.
    #[schema(value_type = String)]
    state: PatientState,
    /// The open conflict, when the state is `conflict`.
    conflict_id: Option<String>,
}

/// What is known of the patients of the named studies.
#[utoipa::path(get, path = "/patients/by-study",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "patients",
    params(("study_uid" = Vec<String>, Query, description = "Study Instance UID; repeat it, up to 200 times")),
    responses((status = 200, body = StudyStateList), (status = 503, body = ProblemBody)))]
pub(crate) async fn states_of_studies(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<PatientsService>,
    query: RepeatedQuery,
) -> Result<Json<StudyStateList>, Problem> {
    let studies = query.values("study_uid", LIST_MAX as usize)?;
    let states = service
        .store
        .states_of_studies(&scope, &studies)
        .await
        .map_err(|error| database_error(&error))?;
    let items = states
        .into_iter()
        .map(|study| StudyPatientState {
            study_uid: study.study_uid,
            state: study.state,
            conflict_id: study.conflict,
        })
        .collect();
    Ok(Json(StudyStateList { items }))
}
