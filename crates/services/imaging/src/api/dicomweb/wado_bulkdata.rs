//! Retrieve bulk data (PS3.18 §10.4.1.1.4): the values that metadata refers
//! to. Encapsulated pixel data is given frame by frame.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_dataset::{BulkRange, Encoding, PixelLayout};
use hilum_dicomweb::accept::{Accept, EXPLICIT_VR_LITTLE_ENDIAN, OCTET_STREAM};
use hilum_dicomweb::multipart::{PartHead, body_length, write};
use hilum_platform::http::May;
use http::{HeaderMap, StatusCode};

use super::base::Base;
use super::error::Failure;
use super::explicit::word;
use super::stored::{First, Pieces, Stored};
use super::validator::Validator;
use super::version;
use super::wado_instances::{accepted, respond};
use super::{limits, wado_frames};
use crate::ImagingService;

/// `GET …/instances/{instance}/bulkdata/{path}`
pub(super) async fn bulk_data(
    May(scope, _): May<doors::RetrieveImages>,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series, instance, path)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let accept = accepted(&headers, query.as_deref())?;
    let stored = Stored::find(&service, &scope, (study, series, instance), First::Nothing).await?;
    let version = version::Asked::of(query.as_deref(), &stored.row);
    if let Some(answer) = version.instead() {
        return Ok(answer);
    }
    let answer = value(stored, path, &accept, &base, &headers).await?;
    Ok(version.mark(answer))
}

async fn value(
    stored: Stored,
    path: String,
    accept: &Accept,
    base: &Base,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let bulk = stored
        .layout
        .bulk
        .iter()
        .find(|bulk| bulk.path == path)
        .cloned()
        .ok_or_else(Failure::not_found)?;
    let frames = match &stored.layout.pixels {
        Some(PixelLayout::Encapsulated { frames }) if path == "7FE00010" => {
            u32::try_from(frames.len()).ok()
        }
        _ => None,
    };
    if let Some(frames) = frames {
        let forms = accept.frames(stored.transfer_syntax())?;
        return wado_frames::give(stored, (1..=frames).collect(), forms, base, headers).await;
    }
    let multipart = accept.bulk_data()?;
    let row = &stored.row;
    let location = base.bulk_data(&row.study, &row.series, &row.sop_instance);
    let head = PartHead {
        content_type: format!("{OCTET_STREAM}; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}"),
        location: Some(format!("{location}{path}")),
        length: Some(bulk.length),
    };
    let form = if multipart { &location } else { "" };
    let validator = Validator::of_bytes(row, &["bulkdata", &path, form]);
    if let Some(answer) = validator.not_modified(headers) {
        return Ok(answer);
    }
    if !multipart {
        let wanted = validator.wanted(headers, bulk.length);
        let range = match wanted.range(bulk.length) {
            Ok(range) => range,
            Err(answer) => return Ok(*answer),
        };
        let value = little_endian(&stored, &bulk, &range).await?;
        let length = Some(range.end - range.start);
        let body = Body::from_stream(value);
        let answer = respond(StatusCode::OK, OCTET_STREAM, length, body);
        return Ok(validator.mark(wanted.mark(answer, bulk.length)));
    }
    let value = little_endian(&stored, &bulk, &(0..bulk.length)).await?;
    let boundary = validator.boundary();
    let length = body_length(&boundary, [&head]);
    let content_type = boundary.content_type(OCTET_STREAM);
    let parts = stream::iter([Ok::<_, ServiceError>((head, value))]);
    let body = Body::from_stream(write(boundary, parts));
    let answer = respond(StatusCode::OK, &content_type, length, body);
    Ok(validator.mark(answer))
}

async fn little_endian(
    stored: &Stored,
    bulk: &BulkRange,
    range: &Range<u64>,
) -> Result<Pieces, Failure> {
    let word = word(&bulk.vr);
    if word == 1 || bulk.encapsulated || !matches!(stored.layout.encoding, Encoding::ExplicitBig) {
        let offset = bulk.offset.saturating_add(range.start);
        return stored.stream(offset, range.end - range.start).await;
    }
    if bulk.length > limits::HEAD_BYTES {
        return Err(Failure::not_acceptable(
            "this value is too large to be turned to little endian",
        ));
    }
    let mut bytes = Vec::from(stored.read(bulk.offset, bulk.length).await?);
    bytes.chunks_exact_mut(word).for_each(<[u8]>::reverse);
    let at = |place: u64| usize::try_from(place).map_or(bytes.len(), |at| at.min(bytes.len()));
    let (from, to) = (at(range.start), at(range.end));
    let part = Bytes::from(bytes).slice(from..to);
    Ok(stream::iter([Ok(part)]).boxed())
}
