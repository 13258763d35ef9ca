//! `GET /storage`

use axum::Json;
use axum::extract::State;
use hilum_platform::http::{Problem, ProblemBody, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ImagingService;

/// What the archive holds of this tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct Storage {
    studies: u64,
    series: u64,
    instances: u64,
    objects: u64,
    /// Bytes of all objects.
    bytes: u64,
    /// Instances with two contents, waiting for a person.
    conflicts: u64,
    quarantine_items: u64,
}

/// What the archive holds.
#[utoipa::path(get, path = "/storage", tag = "imaging",
    responses((status = 200, body = Storage), (status = 503, body = ProblemBody)))]
pub(crate) async fn storage_report(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
) -> Result<Json<Storage>, Problem> {
    let report = service.archive.storage(Some(&scope)).await?;
    Ok(Json(Storage {
        studies: report.studies,
        series: report.series,
        instances: report.instances,
        objects: report.objects,
        bytes: report.object_bytes,
        conflicts: report.conflicts,
        quarantine_items: report.quarantined,
    }))
}
