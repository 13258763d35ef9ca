//! `POST /exports/{id}`, `POST /exports/{id}/end`, `GET /exports`: the record
//! of who took images out to a folder. What is taken out is read through the
//! doors that everybody reads through.

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::Subject;
use hilum_contracts::error::ServiceError;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ImagingService;
use crate::limits::{EXPORTED_NAMED, LIST_MAX};
use crate::store::exports::{Begun, Ended, ExportRow};

/// How much is taken out.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Extent {
    /// Named studies.
    Studies,
    /// Everything of a patient.
    Patient,
    /// Everything of the tenant.
    Everything,
}

/// An export that is about to begin.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ExportRequest {
    extent: Extent,
    /// As received, without corrections.
    as_received: bool,
    /// How many studies.
    studies: u32,
    /// Which ones, where studies were named: for the audit trail alone.
    #[serde(default)]
    study_uids: Vec<String>,
    /// Whose, where a patient was named: for the audit trail alone.
    #[serde(default)]
    patient: Option<ExportedPatient>,
}

/// A patient of whom everything is taken out.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ExportedPatient {
    /// Patient ID (0010,0020).
    id: String,
    /// Issuer of Patient ID (0010,0021).
    issuer: Option<String>,
}

impl ExportRequest {
    /// Whom the trail's entry is about; nobody where it is everybody.
    fn about(&self) -> Vec<Subject> {
        let studies = self.study_uids.iter().map(Subject::study);
        let patient = self.patient.iter();
        studies
            .chain(patient.map(|one| Subject::patient(&*one.id, one.issuer.as_deref())))
            .collect()
    }
}

/// What an export took out.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub(crate) struct ExportEnd {
    files: u32,
    bytes: u64,
    /// Instances that could not be read.
    failed: u32,
    /// SHA-256 of the list of the files' digests, in hexadecimal.
    sha256: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ExportList {
    items: Vec<ExportEntry>,
}

/// An export as it is remembered: it names no patient and no folder.
#[derive(Serialize, ToSchema)]
struct ExportEntry {
    id: String,
    /// `studies`, `patient` or `everything`.
    extent: String,
    as_received: bool,
    by: String,
    studies: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    began_at: OffsetDateTime,
    /// Absent: it was not finished.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<OffsetDateTime>,
    files: Option<i64>,
    bytes: Option<i64>,
    failed: Option<i64>,
    sha256: Option<String>,
}

impl From<ExportRow> for ExportEntry {
    fn from(row: ExportRow) -> Self {
        let ended = row.ended.as_ref();
        Self {
            ended_at: ended.map(|ended| from_millis(ended.at)),
            files: ended.map(|ended| ended.files),
            bytes: ended.map(|ended| ended.bytes),
            failed: ended.map(|ended| ended.failed),
            sha256: ended.map(|ended| ended.sha256.clone()),
            id: row.id,
            extent: row.extent,
            as_received: row.as_received,
            by: row.by,
            studies: row.studies,
            began_at: from_millis(row.began_at),
        }
    }
}

/// Records that an export begins, before anything is taken out. `id` is any
/// UUID; to say again that the same one goes on changes nothing.
#[utoipa::path(post, path = "/exports/{id}",
    extensions(("x-hilum-action" = json!("export-studies"))), tag = "imaging",
    params(("id" = String, Path)), request_body = ExportRequest,
    responses((status = 204), (status = 400, body = ProblemBody)))]
pub(crate) async fn begin_export(
    May(scope, _): May<doors::ExportStudies>,
    State(service): State<ImagingService>,
    Path(id): Path<Uuid>,
    Json(request): Json<ExportRequest>,
) -> Result<StatusCode, Problem> {
    let begun = Begun {
        id: id.to_string(),
        extent: match request.extent {
            Extent::Studies => "studies",
            Extent::Patient => "patient",
            Extent::Everything => "everything",
        },
        as_received: request.as_received,
        by: scope.principal().to_string(),
        at: service.clock.now_millis(),
        studies: i64::from(request.studies),
    };
    if request.study_uids.len() > EXPORTED_NAMED {
        let text = format!("At most {EXPORTED_NAMED} studies are named in one export.");
        return Err(ServiceError::invalid(text).into());
    }
    service
        .store
        .begin_export(&scope, &service.trail, &begun, &request.about())
        .await
        .map_err(|error| database_error(&error))?;
    tracing::info!(
        target: "audit", by = %begun.by, export = %begun.id, extent = begun.extent,
        studies = begun.studies, as_received = begun.as_received, "an export began"
    );
    Ok(StatusCode::NO_CONTENT)
}

/// Records what an export took out.
#[utoipa::path(post, path = "/exports/{id}/end",
    extensions(("x-hilum-action" = json!("export-studies"))), tag = "imaging",
    params(("id" = String, Path)), request_body = ExportEnd,
    responses((status = 204), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub(crate) async fn end_export(
    May(scope, _): May<doors::ExportStudies>,
    State(service): State<ImagingService>,
    Path(id): Path<Uuid>,
    Json(end): Json<ExportEnd>,
) -> Result<StatusCode, Problem> {
    let digest = end.sha256.len() == 64 && end.sha256.bytes().all(|one| one.is_ascii_hexdigit());
    let (Ok(bytes), true) = (i64::try_from(end.bytes), digest) else {
        return Err(ServiceError::invalid("This is no end of an export.").into());
    };
    let ended = Ended {
        at: service.clock.now_millis(),
        files: i64::from(end.files),
        bytes,
        failed: i64::from(end.failed),
        sha256: end.sha256,
    };
    let known = service
        .store
        .end_export(&scope, &service.trail, &id.to_string(), &ended)
        .await
        .map_err(|error| database_error(&error))?;
    if !known {
        return Err(ServiceError::not_found("There is no such export.").into());
    }
    tracing::info!(
        target: "audit", by = %scope.principal(), export = %id,
        files = ended.files, bytes, failed = ended.failed, "an export ended"
    );
    Ok(StatusCode::NO_CONTENT)
}

/// The latest exports, the newest first.
#[utoipa::path(get, path = "/exports",
    extensions(("x-hilum-action" = json!("export-studies"))), tag = "imaging",
    responses((status = 200, body = ExportList)))]
pub(crate) async fn list_exports(
    May(scope, _): May<doors::ExportStudies>,
    State(service): State<ImagingService>,
) -> Result<Json<ExportList>, Problem> {
    let rows = service
        .store
        .exports(&scope, LIST_MAX)
        .await
        .map_err(|error| database_error(&error))?;
    let items = rows.into_iter().map(ExportEntry::from).collect();
    Ok(Json(ExportList { items }))
}
