//! `POST /imports/{id}/instances`

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::CorrelationId;
use hilum_platform::http::{May, Problem, ProblemBody};
use uuid::Uuid;

use crate::ImagingService;
use crate::intake::Imported;

/// Takes in one part-10 file of an import. Unlike STOW-RS it starts no models:
/// imported series wait for a person. `id` is any UUID, the same for every file
/// of one import.
#[utoipa::path(post, path = "/imports/{id}/instances",
    extensions(("x-hilum-action" = json!("store-images"))), tag = "imaging",
    params(("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/dicom"),
    responses((status = 200, body = Imported), (status = 400, body = ProblemBody)))]
pub(crate) async fn import_instance(
    May(scope, _): May<doors::StoreImages>,
    State(service): State<ImagingService>,
    Path(id): Path<Uuid>,
    body: Body,
) -> Result<Json<Imported>, Problem> {
    let imported = service
        .import(&scope, CorrelationId(id), body.into_data_stream())
        .await
        .map_err(|_| ServiceError::invalid("The file broke off; nothing of it was stored."))?;
    Ok(Json(imported))
}
