//! Retrieve metadata (PS3.18 §10.4.1.1.2): DICOM JSON as it was written at
//! intake, in pieces of many instances, bulk data addresses made absolute.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use hilum_archive::{ArchiveError, MetadataForm, MetadataPiece, MetadataScope};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_dataset::{patch, with_bulk_addresses};
use hilum_dicomweb::accept::DICOM_JSON;
use hilum_platform::http::May;
use hilum_platform::scope::TenantScope;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use memchr::memmem;
use serde_json::{Map, Value};

use super::base::Base;
use super::coding::{Coding, Joiner};
use super::error::Failure;
use super::validator::{self, Validator};
use super::version::Version;
use super::wado_instances::{accepted, respond};
use crate::ImagingService;
use crate::overlay::steps;

/// `GET /studies/{study}/metadata`
pub(super) async fn study(
    May(scope, _): May<doors::ViewStudies>,
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
    May(scope, _): May<doors::ViewStudies>,
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
    May(scope, _): May<doors::ViewStudies>,
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
    let coding = Coding::chosen(headers);
    let form = ["metadata", coding.name().unwrap_or_default()];
    let validator = Validator::of_index(service, scope, &base, &of, &form).await?;
    if let Some(answer) = validator.not_modified(headers) {
        return Ok(varying(answer));
    }
    let document = Arc::new(Document { base, coding });
    let mut batches = service.archive.metadata(scope, of, document);
    let first = batches.next().await.transpose()?.unwrap_or_default();
    if first.pieces.is_empty() {
        return Err(Failure::not_found());
    }
    let mut joiner = Joiner::new(coding);
    let mut begin = joiner.join(first.pieces);
    let (body, length) = if first.last {
        begin.push(joiner.end());
        let length = begin.iter().map(|piece| piece.len() as u64).sum();
        let pieces = stream::iter(begin.into_iter().map(Ok::<_, ServiceError>));
        (Body::from_stream(pieces), Some(length))
    } else {
        let rest = stream::try_unfold(Some((batches, joiner)), |state| async move {
            let Some((mut batches, mut joiner)) = state else {
                return Ok(None);
            };
            let batch = batches.next().await.transpose()?.unwrap_or_default();
            let mut pieces = joiner.join(batch.pieces);
            // Also when it ended early: never without its end.
            let state = if batch.last {
                pieces.push(joiner.end());
                None
            } else {
                Some((batches, joiner))
            };
            let pieces = stream::iter(pieces.into_iter().map(Ok::<_, ServiceError>));
            Ok::<_, ServiceError>(Some((pieces, state)))
        });
        let begin = stream::iter(begin.into_iter().map(Ok));
        (Body::from_stream(begin.chain(rest.try_flatten())), None)
    };
    let mut answer = respond(StatusCode::OK, DICOM_JSON, length, body);
    if let Some(name) = coding.name() {
        let name = HeaderValue::from_static(name);
        answer.headers_mut().insert(header::CONTENT_ENCODING, name);
    }
    Ok(varying(validator.mark(answer)))
}

/// The coding is chosen by what the client accepts.
fn varying(mut answer: Response) -> Response {
    let value = HeaderValue::from_static("accept-encoding");
    answer.headers_mut().append(header::VARY, value);
    answer
}

/// Metadata as this door gives it out: corrected, without windows that are
/// none, and with addresses that begin where this client came in.
struct Document {
    base: Base,
    coding: Coding,
}

impl MetadataForm for Document {
    fn name(&self, study: &str, series: &str) -> [u8; 16] {
        let series = self.base.series(study, series);
        let coding = self.coding.name().unwrap_or_default();
        validator::digest([series.as_str(), coding].map(str::as_bytes)).to_be_bytes()
    }

    fn make(&self, piece: &MetadataPiece) -> hilum_archive::Result<Bytes> {
        let mut out = Vec::with_capacity(piece.text.len() + 160 * piece.instances.len());
        let windows = memmem::Finder::new(EMPTY_WINDOW);
        for instance in &piece.instances {
            let text = piece.text.get(instance.within.clone());
            let mut text = Cow::Borrowed(text.ok_or(ArchiveError::Corrupt)?);
            let overlay = instance.overlay(piece.overlay.as_ref());
            if let (Some(overlay), Some(origin)) = (&overlay, &instance.origin) {
                let steps = steps(overlay, origin).map_err(|_| ArchiveError::Corrupt)?;
                let corrected = patch::json(&text, &steps).ok_or(ArchiveError::Corrupt)?;
                text = Cow::Owned(corrected);
            }
            if windows.find(&text).is_some() {
                text = Cow::Owned(without_empty_window(&text).into_owned());
            }
            if !out.is_empty() {
                out.push(b',');
            }
            let uid = &instance.sop_instance;
            let prefix = self.base.bulk_data(&piece.study, &piece.series, uid);
            let version = Version::of(&instance.sha256, overlay.as_ref());
            with_bulk_addresses(&text, &prefix, &version.query(), &mut out);
        }
        Ok(self.coding.encode(out)?)
    }
}

/// How a window of width 0 begins, or one that is narrower than 1.
const EMPTY_WINDOW: &[u8] = br#""00281051":{"vr":"DS","Value":[0"#;

/// A Window Width is at least 1, or above 0 for a linear exact window (PS3.3
/// C.11.2.1.2); scanners write 0 for *none*. Viewers take it at its word and
/// show nothing, so the answer leaves such a window out. The data set keeps it.
fn without_empty_window(metadata: &[u8]) -> Cow<'_, [u8]> {
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
