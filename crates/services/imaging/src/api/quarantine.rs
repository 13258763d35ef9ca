//! `GET /quarantine`, `DELETE /quarantine/{id}`

use axum::Json;
use axum::extract::{Path, State};
use hilum_archive::{Origin, Page};
use hilum_contracts::access::doors;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::Topic;
use http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ImagingService;
use crate::digest::hex;
use crate::limits::LIST_MAX;

#[derive(Serialize, ToSchema)]
pub(crate) struct QuarantineList {
    items: Vec<QuarantineEntry>,
}

#[derive(Serialize, ToSchema)]
struct QuarantineEntry {
    id: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    received_at: OffsetDateTime,
    /// `dimse:AETITLE`, `stow` or `import`.
    source: String,
    /// Why it was refused.
    reason_code: String,
    /// The same as a sentence.
    reason: String,
    /// Bytes.
    size: u64,
    sha256: String,
    /// How often the same bytes came.
    times: u64,
    correlation_id: String,
}

/// What was refused, the newest first.
#[utoipa::path(get, path = "/quarantine",
    extensions(("x-hilum-action" = json!("view-quarantine"))), tag = "imaging",
    responses((status = 200, body = QuarantineList)))]
pub(crate) async fn list_quarantine(
    May(scope, _): May<doors::ViewQuarantine>,
    State(service): State<ImagingService>,
) -> Result<Json<QuarantineList>, Problem> {
    let rows = service
        .archive
        .quarantined(&scope, Page::first(LIST_MAX))
        .await?;
    let items = rows
        .into_iter()
        .map(|row| QuarantineEntry {
            id: row.id,
            received_at: row.received_at,
            source: describe(&row.origin),
            reason_code: row.reason,
            reason: row.detail,
            size: row.length,
            sha256: hex(&row.sha256),
            times: row.times,
            correlation_id: row.correlation.to_string(),
        })
        .collect();
    Ok(Json(QuarantineList { items }))
}

/// `dimse:AETITLE`, `stow`, `import` or `hilum`.
pub(crate) fn describe(origin: &Origin) -> String {
    match origin {
        Origin::Dimse { calling_ae, .. } => format!("dimse:{calling_ae}"),
        Origin::Stow => "stow".to_owned(),
        Origin::Hilum => "hilum".to_owned(),
        Origin::Import => "import".to_owned(),
    }
}

/// Removes something that was refused, for good.
#[utoipa::path(delete, path = "/quarantine/{id}",
    extensions(("x-hilum-action" = json!("manage-quarantine"))), tag = "imaging",
    params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
pub(crate) async fn delete_quarantined(
    May(scope, _): May<doors::ManageQuarantine>,
    State(service): State<ImagingService>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    service.archive.delete_quarantined(&scope, id).await?;
    service
        .notices
        .tell(scope.tenant(), Topic::Quarantine, None);
    Ok(StatusCode::NO_CONTENT)
}
