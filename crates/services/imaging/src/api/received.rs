//! `GET /studies/{study_uid}/series/{series_uid}/instances/{sop_instance_uid}/received`

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use futures::stream;
use hilum_archive::MetadataScope;
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::http::{May, Problem, ProblemBody};
use http::header;

use super::dicomweb::file_head;
use crate::ImagingService;

/// An instance exactly as it was received, without any correction. Who asks is
/// recorded.
#[utoipa::path(get,
    path = "/studies/{study_uid}/series/{series_uid}/instances/{sop_instance_uid}/received",
    extensions(("x-hilum-action" = json!("view-received"))),
    tag = "imaging",
    params(("study_uid" = String, Path), ("series_uid" = String, Path),
        ("sop_instance_uid" = String, Path)),
    responses((status = 200, content_type = "application/dicom"),
        (status = 404, body = ProblemBody)))]
pub(crate) async fn received_instance(
    May(scope, _): May<doors::ViewReceived>,
    State(service): State<ImagingService>,
    Path((study, series, instance)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let of = MetadataScope::Instance {
        study,
        series,
        instance,
    };
    let mut found = service.archive.instance_metadata(&scope, of);
    let found = found
        .next()
        .await
        .transpose()?
        .ok_or_else(|| ServiceError::not_found("There is no such instance."))?;
    let head = file_head(&found.row)?;
    let data_set = service.received(&scope, &found.row).await?;
    tracing::info!(
        target: "audit",
        by = %scope.principal(),
        "an instance was read as received"
    );
    metrics::counter!("hilum_received_reads_total").increment(1);
    let pieces = stream::iter([Ok(head)]).chain(data_set);
    let kind = [(header::CONTENT_TYPE, "application/dicom")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}
