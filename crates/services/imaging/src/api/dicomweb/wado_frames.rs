//! Retrieve frames (PS3.18 §10.4.1.1.6): only the bytes of the frames asked
//! for are read, as stored or decoded.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_dataset::PixelLayout;
use hilum_dicomweb::accept::{EXPLICIT_VR_LITTLE_ENDIAN, FrameForm};
use hilum_dicomweb::frames;
use hilum_dicomweb::multipart::{PartHead, body_length, write};
use hilum_platform::http::May;
use http::{HeaderMap, StatusCode, header};

use super::base::Base;
use super::error::Failure;
use super::pixels::{Image, frame_ranges};
use super::stored::{First, Pieces, Stored, lies_native};
use super::validator::{Validator, cut};
use super::version;
use super::wado_instances::{accepted, respond};
use crate::ImagingService;

/// `GET …/instances/{instance}/frames/{frames}`
pub(super) async fn frames(
    May(scope, _): May<doors::RetrieveImages>,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series, instance, list)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let accept = accepted(&headers, query.as_deref())?;
    let numbers = frames::parse(&list)?;
    let address = (study, series, instance);
    let first = match numbers.first() {
        // Who has the answer already costs no read of it.
        Some(number) if !headers.contains_key(header::IF_NONE_MATCH) => First::Frame(*number),
        _ => First::Nothing,
    };
    let stored = Stored::find(&service, &scope, address, first).await?;
    let version = version::Asked::of(query.as_deref(), &stored.row);
    if let Some(answer) = version.instead() {
        return Ok(answer);
    }
    let forms = accept.frames(stored.transfer_syntax())?;
    let answer = give(stored, numbers, forms, &base, &headers).await?;
    Ok(version.mark(answer))
}

/// Gives frames, counted from 1, in the first form that is possible.
pub(super) async fn give(
    stored: Stored,
    numbers: Vec<u32>,
    forms: Vec<FrameForm>,
    base: &Base,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    if stored.layout.pixels.is_none() {
        return Err(Failure::not_found());
    }
    let decodable = hilum_pixels::can_decode(stored.transfer_syntax());
    let form = forms
        .into_iter()
        .find(|form| form.original || decodable)
        .ok_or_else(|| {
            Failure::not_acceptable("these frames can't be decoded; ask for them as stored")
        })?;
    let validator = validator(&stored, &numbers, &form, base);
    if let Some(answer) = validator.not_modified(headers) {
        return Ok(answer);
    }
    let source = Source::open(stored, &form).await?;
    let mut parts = Vec::with_capacity(numbers.len());
    for number in &numbers {
        parts.push((source.head(*number, &form, base)?, *number));
    }
    let (first_number, is_one) = match numbers.as_slice() {
        [one] => (*one, true),
        [first, ..] => (*first, false),
        [] => return Err(Failure::not_found()),
    };
    if !form.multipart {
        if !is_one {
            return Err(Failure::not_acceptable(
                "several frames are given as multipart/related only",
            ));
        }
        let head = source.head(first_number, &form, base)?;
        return source.alone(first_number, &head, &validator, headers).await;
    }
    // The first is opened before the answer begins, so that its failure is one.
    let first = source.frame(first_number, None).await?;
    let boundary = validator.boundary();
    let length = body_length(&boundary, parts.iter().map(|(head, _)| head));
    let content_type = boundary.content_type(form.media_type);
    let parts = stream::iter(parts)
        .scan(Some(first), |first, part| {
            let opened = first.take();
            std::future::ready(Some((part, opened)))
        })
        .then(move |((head, number), opened)| {
            let source = source.clone();
            async move {
                let pieces = match opened {
                    Some(pieces) => pieces,
                    None => source
                        .frame(number, None)
                        .await
                        .map_err(|_| ServiceError::internal("A frame can't be given."))?,
                };
                Ok::<_, ServiceError>((head, pieces))
            }
        });
    let body = Body::from_stream(write(boundary, parts));
    let answer = respond(StatusCode::OK, &content_type, length, body);
    Ok(validator.mark(answer))
}

fn validator(stored: &Stored, numbers: &[u32], form: &FrameForm, base: &Base) -> Validator {
    let row = &stored.row;
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    let encoding = if form.original { "stored" } else { "decoded" };
    // The parts of a multipart answer say where they are from.
    let location = if form.multipart {
        base.instance(&row.study, &row.series, &row.sop_instance)
    } else {
        String::new()
    };
    let form = [
        "frames",
        &numbers.join(","),
        form.media_type,
        encoding,
        &location,
    ];
    Validator::of_bytes(row, &form)
}

#[derive(Clone)]
enum Source {
    /// Bytes as they lie.
    AsStored(Stored),
    Decoded(Image),
}

impl Source {
    async fn open(stored: Stored, form: &FrameForm) -> Result<Self, Failure> {
        let is_native = matches!(&stored.layout.pixels, Some(PixelLayout::Native { .. }));
        if lies_native(&stored.layout) || (form.original && !is_native) {
            Ok(Self::AsStored(stored))
        } else {
            Ok(Self::Decoded(Image::open(stored).await?))
        }
    }

    fn stored(&self) -> &Stored {
        match self {
            Self::AsStored(stored) => stored,
            Self::Decoded(image) => &image.stored,
        }
    }

    /// Where a frame lies; empty when it is decoded.
    fn ranges(&self, number: u32) -> Result<Vec<(u64, u64)>, Failure> {
        let index = number.checked_sub(1).ok_or_else(Failure::not_found)?;
        match self {
            Self::AsStored(stored) => match &stored.layout.pixels {
                Some(pixels) => frame_ranges(pixels, index),
                None => Err(Failure::not_found()),
            },
            Self::Decoded(image) if index < image.frames() => Ok(Vec::new()),
            Self::Decoded(_) => Err(Failure::not_found()),
        }
    }

    fn head(&self, number: u32, form: &FrameForm, base: &Base) -> Result<PartHead, Failure> {
        let ranges = self.ranges(number)?;
        let stored = self.stored();
        let compressed = !matches!(&stored.layout.pixels, Some(PixelLayout::Native { .. }));
        let (syntax, length) = match self {
            Self::AsStored(stored) => {
                let length = ranges.iter().map(|(_, length)| length).sum();
                let syntax = if compressed {
                    stored.transfer_syntax()
                } else {
                    EXPLICIT_VR_LITTLE_ENDIAN
                };
                (syntax, Some(length))
            }
            Self::Decoded(_) => (EXPLICIT_VR_LITTLE_ENDIAN, None),
        };
        let row = &stored.row;
        let instance = base.instance(&row.study, &row.series, &row.sop_instance);
        Ok(PartHead {
            content_type: format!("{}; transfer-syntax={syntax}", form.media_type),
            location: Some(format!("{instance}/frames/{number}")),
            length,
        })
    }

    /// One frame, or a range of it, as an answer of its own.
    async fn alone(
        &self,
        number: u32,
        head: &PartHead,
        validator: &Validator,
        headers: &HeaderMap,
    ) -> Result<Response, Failure> {
        let Some(length) = head.length else {
            let body = Body::from_stream(self.frame(number, None).await?);
            let answer = respond(StatusCode::OK, &head.content_type, None, body);
            return Ok(validator.mark(answer));
        };
        let wanted = validator.wanted(headers, length);
        let range = match wanted.range(length) {
            Ok(range) => range,
            Err(answer) => return Ok(*answer),
        };
        let given = Some(range.end - range.start);
        let body = Body::from_stream(self.frame(number, Some(&range)).await?);
        let answer = respond(StatusCode::OK, &head.content_type, given, body);
        Ok(validator.mark(wanted.mark(answer, length)))
    }

    /// A frame's bytes; of a frame that lies as stored, `within` alone.
    async fn frame(&self, number: u32, within: Option<&Range<u64>>) -> Result<Pieces, Failure> {
        let mut ranges = self.ranges(number)?;
        if let Some(within) = within {
            ranges = cut(&ranges, within);
        }
        match self {
            Self::AsStored(stored) => {
                let stored = stored.clone();
                let mut streams = Vec::with_capacity(ranges.len().min(1));
                let mut ranges = ranges.into_iter();
                if let Some((offset, length)) = ranges.next() {
                    streams.push(stored.stream(offset, length).await?);
                }
                let rest = stream::iter(ranges)
                    .then(move |(offset, length)| {
                        let stored = stored.clone();
                        async move {
                            match stored.stream(offset, length).await {
                                Ok(pieces) => pieces,
                                Err(_) => stream::iter([Err(ServiceError::internal(
                                    "A fragment can't be read.",
                                ))])
                                .boxed(),
                            }
                        }
                    })
                    .flatten();
                Ok(stream::iter(streams).flatten().chain(rest).boxed())
            }
            Self::Decoded(image) => {
                let index = number.checked_sub(1).ok_or_else(Failure::not_found)?;
                let frame = image.native(index).await?;
                Ok(stream::iter([Ok(Bytes::from(frame.data))]).boxed())
            }
        }
    }
}
