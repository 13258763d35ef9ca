//! Retrieve metadata (PS3.18 §10.4.1.1.2): DICOM JSON as it was written at
//! intake, streamed instance by instance, bulk data addresses made absolute.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hilum_archive::{InstanceMetadata, MetadataScope};
use hilum_contracts::error::ServiceError;
use hilum_dataset::with_bulk_prefix;
use hilum_dicomweb::accept::DICOM_JSON;
use hilum_platform::http::Scope;
use hilum_platform::scope::TenantScope;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::base::Base;
use super::error::Failure;
use super::validator::Validator;
use super::wado_instances::{accepted, respond};
use crate::ImagingService;

/// `GET /studies/{study}/metadata`
pub(super) async fn study(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
    base: Base,
    Path(study): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let of = MetadataScope::Study(study);
    metadata(&service, &scope, base, of, query.as_deref(), &headers).await
}

/// `GET /studies/{study}/series/{series}/metadata`
pub(super) async fn series(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let of = MetadataScope::Series { study, series };
    metadata(&service, &scope, base, of, query.as_deref(), &headers).await
}

/// `GET /studies/{study}/series/{series}/instances/{instance}/metadata`
pub(super) async fn instance(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series, instance)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let of = MetadataScope::Instance {
        study,
        series,
        instance,
    };
    metadata(&service, &scope, base, of, query.as_deref(), &headers).await
}

async fn metadata(
    service: &ImagingService,
    scope: &TenantScope,
    base: Base,
    of: MetadataScope,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    accepted(headers, query)?.dicom_json()?;
    let validator = Validator::of_index(service, scope, &base, &of, "metadata").await?;
    if let Some(answer) = validator.not_modified(headers) {
        return Ok(answer);
    }
    let mut found = service.archive.instance_metadata(scope, of);
    let Some(first) = found.next().await.transpose()? else {
        return Err(Failure::not_found());
    };
    let first = document(&first, &base, b'[')?;
    let rest = found.map(move |next| {
        next.map_err(ServiceError::from)
            .and_then(|next| document(&next, &base, b','))
    });
    let end = stream::iter([Ok(Bytes::from_static(b"]"))]);
    let body = stream::iter([Ok(first)]).chain(rest).chain(end);
    let answer = respond(StatusCode::OK, DICOM_JSON, None, Body::from_stream(body));
    Ok(validator.mark(answer))
}

fn document(of: &InstanceMetadata, base: &Base, before: u8) -> Result<Bytes, ServiceError> {
    let row = &of.row;
    let prefix = base.bulk_data(&row.study, &row.series, &row.sop_instance);
    let mut document = vec![before];
    let metadata = crate::overlay::metadata(of)?;
    let metadata = without_empty_window(&metadata);
    document.extend_from_slice(&with_bulk_prefix(&metadata, &prefix));
    Ok(Bytes::from(document))
}

/// A Window Width is at least 1, or above 0 for a linear exact window (PS3.3
/// C.11.2.1.2); scanners write 0 for *none*. Viewers take it at its word and
/// show nothing, so the answer leaves such a window out. The data set keeps it.
fn without_empty_window(metadata: &[u8]) -> Cow<'_, [u8]> {
    const WIDTH: &[u8] = br#""00281051":{"vr":"DS","Value":[0"#;
    if !metadata.windows(WIDTH.len()).any(|part| part == WIDTH) {
        return Cow::Borrowed(metadata);
    }
    let Ok(mut document) = serde_json::from_slice::<Map<String, Value>>(metadata) else {
        return Cow::Borrowed(metadata);
    };
    let width = document.get("00281051").and_then(|w| w.pointer("/Value/0"));
    if width
        .and_then(Value::as_f64)
        .is_some_and(|width| width <= 0.0)
    {
        document.remove("00281050");
        document.remove("00281051");
    }
    serde_json::to_vec(&document).map_or(Cow::Borrowed(metadata), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_width_0_is_left_out_and_any_other_is_kept() {
        let empty = br#"{"00281050":{"vr":"DS","Value":[0]},"00281051":{"vr":"DS","Value":[0]}}"#;
        assert_eq!(without_empty_window(empty).as_ref(), b"{}");
        let narrow =
            br#"{"00281050":{"vr":"DS","Value":[1]},"00281051":{"vr":"DS","Value":[0.5]}}"#;
        assert_eq!(without_empty_window(narrow).as_ref(), narrow);
    }
}
