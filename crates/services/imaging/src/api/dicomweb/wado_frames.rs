//! Retrieve frames (PS3.18 §10.4.1.1.6): only the bytes of the frames asked
//! for are read, as stored or decoded.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hilum_contracts::error::ServiceError;
use hilum_dataset::{Encoding, PixelLayout};
use hilum_dicomweb::accept::{EXPLICIT_VR_LITTLE_ENDIAN, FrameForm};
use hilum_dicomweb::frames;
use hilum_dicomweb::multipart::{Boundary, PartHead, body_length, write};
use hilum_platform::http::Scope;
use http::{HeaderMap, StatusCode};

use super::base::Base;
use super::error::Failure;
use super::pixels::{Image, frame_ranges};
use super::stored::{Pieces, Stored};
use super::wado_instances::{accepted, respond};
use crate::ImagingService;

/// `GET …/instances/{instance}/frames/{frames}`
pub(super) async fn frames(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series, instance, list)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let accept = accepted(&headers, query.as_deref())?;
    let numbers = frames::parse(&list)?;
    let address = (study, series, instance);
    let stored = Stored::find(&service, &scope, address).await?;
    let forms = accept.frames(stored.transfer_syntax())?;
    give(stored, numbers, forms, &base).await
}

/// Gives frames, counted from 1, in the first form that is possible.
pub(super) async fn give(
    stored: Stored,
    numbers: Vec<u32>,
    forms: Vec<FrameForm>,
    base: &Base,
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
    // The first is opened before the answer begins, so that its failure is one.
    let first = source.frame(first_number).await?;
    if !form.multipart {
        if !is_one {
            return Err(Failure::not_acceptable(
                "several frames are given as multipart/related only",
            ));
        }
        let head = source.head(first_number, &form, base)?;
        return Ok(respond(
            StatusCode::OK,
            &head.content_type,
            head.length,
            Body::from_stream(first),
        ));
    }
    let boundary = Boundary::from_bits(uuid::Uuid::new_v4().as_u128());
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
                        .frame(number)
                        .await
                        .map_err(|_| ServiceError::internal("A frame can't be given."))?,
                };
                Ok::<_, ServiceError>((head, pieces))
            }
        });
    let body = Body::from_stream(write(boundary, parts));
    Ok(respond(StatusCode::OK, &content_type, length, body))
}

#[derive(Clone)]
enum Source {
    /// Bytes as they lie.
    AsStored(Stored),
    Decoded(Image),
}

impl Source {
    async fn open(stored: Stored, form: &FrameForm) -> Result<Self, Failure> {
        // Native little endian is the same in every syntax that has it.
        let lies_native = matches!(
            &stored.layout.pixels,
            Some(PixelLayout::Native {
                frame_length: Some(_),
                ..
            })
        ) && !matches!(stored.layout.encoding, Encoding::ExplicitBig);
        let is_native = matches!(&stored.layout.pixels, Some(PixelLayout::Native { .. }));
        if lies_native || (form.original && !is_native) {
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

    async fn frame(&self, number: u32) -> Result<Pieces, Failure> {
        let ranges = self.ranges(number)?;
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
