//! `GET /patients`

use axum::Json;
use axum::extract::{Query, State};
use hilum_contracts::access::doors;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::LIST_MAX;
use crate::PatientsService;

#[derive(Deserialize, IntoParams)]
pub(crate) struct PatientsQuery {
    /// Patient ID, exactly.
    id: Option<String>,
    /// Part of an id or name, in any case and with or without accents.
    q: Option<String>,
    /// Most patients to answer, up to 200.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PatientList {
    items: Vec<Patient>,
}

#[derive(Serialize, ToSchema)]
struct Patient {
    /// The record's own id.
    id: String,
    /// Issuer of Patient ID; empty when unknown.
    issuer: String,
    patient_id: String,
    /// As DICOM writes it: components separated by `^`.
    name: String,
    /// `YYYYMMDD`; empty when unknown.
    birth_date: String,
    sex: String,
    /// `confirmed` or `conflict`.
    state: &'static str,
    /// Study Instance UIDs.
    studies: Vec<String>,
}

/// Patients that images have named, the last changed first.
#[utoipa::path(get, path = "/patients",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "patients", params(PatientsQuery),
    responses((status = 200, body = PatientList), (status = 503, body = ProblemBody)))]
pub(crate) async fn list_patients(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<PatientsService>,
    Query(query): Query<PatientsQuery>,
) -> Result<Json<PatientList>, Problem> {
    let limit = query.limit.unwrap_or(50).min(LIST_MAX);
    let rows = service
        .store
        .patients(&scope, query.id.as_deref(), query.q.as_deref(), limit)
        .await
        .map_err(|error| database_error(&error))?;
    let items = rows
        .into_iter()
        .map(|row| Patient {
            id: row.id,
            issuer: row.issuer,
            patient_id: row.patient_id,
            name: row.name,
            birth_date: row.birth_date,
            sex: row.sex,
            state: if row.in_conflict {
                "conflict"
            } else {
                "confirmed"
            },
            studies: row.studies,
        })
        .collect();
    Ok(Json(PatientList { items }))
}
