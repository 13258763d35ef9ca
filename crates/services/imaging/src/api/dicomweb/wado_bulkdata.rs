//! Retrieve bulk data (PS3.18 §10.4.1.1.4): the values that metadata refers
//! to. Encapsulated pixel data is given frame by frame.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hilum_contracts::error::ServiceError;
use hilum_dataset::{BulkRange, Encoding, PixelLayout};
use hilum_dicomweb::accept::{EXPLICIT_VR_LITTLE_ENDIAN, OCTET_STREAM};
use hilum_dicomweb::multipart::{Boundary, PartHead, body_length, write};
use hilum_platform::http::Scope;
use http::{HeaderMap, StatusCode};

use super::base::Base;
use super::error::Failure;
use super::explicit::word;
use super::stored::{Pieces, Stored};
use super::wado_instances::{accepted, respond};
use super::{limits, wado_frames};
use crate::ImagingService;

/// `GET …/instances/{instance}/bulkdata/{path}`
pub(super) async fn bulk_data(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series, instance, path)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let accept = accepted(&headers, query.as_deref())?;
    let stored = Stored::find(&service, &scope, (study, series, instance)).await?;
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
        return wado_frames::give(stored, (1..=frames).collect(), forms, &base).await;
    }
    let multipart = accept.bulk_data()?;
    let row = &stored.row;
    let location = base.bulk_data(&row.study, &row.series, &row.sop_instance);
    let head = PartHead {
        content_type: format!("{OCTET_STREAM}; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}"),
        location: Some(format!("{location}{path}")),
        length: Some(bulk.length),
    };
    let value = little_endian(&stored, &bulk).await?;
    if !multipart {
        return Ok(respond(
            StatusCode::OK,
            OCTET_STREAM,
            head.length,
            Body::from_stream(value),
        ));
    }
    let boundary = Boundary::from_bits(uuid::Uuid::new_v4().as_u128());
    let length = body_length(&boundary, [&head]);
    let content_type = boundary.content_type(OCTET_STREAM);
    let parts = stream::iter([Ok::<_, ServiceError>((head, value))]);
    let body = Body::from_stream(write(boundary, parts));
    Ok(respond(StatusCode::OK, &content_type, length, body))
}

async fn little_endian(stored: &Stored, bulk: &BulkRange) -> Result<Pieces, Failure> {
    let word = word(&bulk.vr);
    if word == 1 || bulk.encapsulated || !matches!(stored.layout.encoding, Encoding::ExplicitBig) {
        return stored.stream(bulk.offset, bulk.length).await;
    }
    if bulk.length > limits::HEAD_BYTES {
        return Err(Failure::not_acceptable(
            "this value is too large to be turned to little endian",
        ));
    }
    let mut bytes = Vec::from(stored.read(bulk.offset, bulk.length).await?);
    bytes.chunks_exact_mut(word).for_each(<[u8]>::reverse);
    Ok(stream::iter([Ok(Bytes::from(bytes))]).boxed())
}
