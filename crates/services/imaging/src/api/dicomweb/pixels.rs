//! Frames of a stored image: their bytes by range, decoded or rendered. Holds
//! one frame of an image in memory, and only so many in the whole process.

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use hilum_contracts::error::ServiceError;
use hilum_dataset::{Encoding, Identity, PixelLayout, ScanOptions, scan};
use hilum_pixels::{
    DecodedFrame, Display, EncodedFrame, ImageDescription, NativeFrame, PixelError, PixelVr,
};
use tokio::sync::Semaphore;

use super::error::Failure;
use super::limits;
use super::stored::Stored;

static DECODERS: Semaphore = Semaphore::const_new(limits::DECODERS);

/// The attributes under which pixel data can stand (PS3.3 C.7.6.3, C.7.6.24).
const PIXEL_DATA: [&str; 3] = ["7FE00010", "7FE00008", "7FE00009"];

/// An image whose frames can be decoded.
#[derive(Clone)]
pub(crate) struct Image {
    pub(super) stored: Stored,
    pub(super) description: Arc<ImageDescription>,
    display: Arc<Display>,
}

/// What comes before and after the pixel data of a data set, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// Where the pixel data's element begins; the data set's end without one.
    pub(super) head: u64,
    /// Where the next element begins.
    pub(super) tail: u64,
}

/// Finds the pixel data's element.
pub(super) fn around(stored: &Stored) -> Around {
    let length = stored.length();
    let bulk = stored
        .layout
        .bulk
        .iter()
        .find(|bulk| PIXEL_DATA.contains(&bulk.path.as_str()));
    let (start, size, vr, encapsulated) = match (&stored.layout.pixels, bulk) {
        (None, _) | (Some(_), None) => match &stored.layout.pixels {
            Some(PixelLayout::Native { offset, length, .. }) => (*offset, *length, "OW", false),
            _ => {
                return Around {
                    head: length,
                    tail: length,
                };
            }
        },
        (Some(_), Some(bulk)) => (
            bulk.offset,
            bulk.length,
            bulk.vr.as_str(),
            bulk.encapsulated,
        ),
    };
    let short = matches!(vr, "US" | "SS");
    // PS3.5 §7.1.2, §7.1.3: implicit headers and those of short VRs take 8 bytes.
    let header = match stored.layout.encoding {
        Encoding::ImplicitLittle if !encapsulated => 8,
        _ if short => 8,
        _ => 12,
    };
    // The sequence delimiter of encapsulated data.
    let delimiter = if encapsulated { 8 } else { 0 };
    Around {
        head: start.saturating_sub(header),
        tail: start
            .saturating_add(size)
            .saturating_add(delimiter)
            .min(length),
    }
}

/// The transfer syntax that names how elements are encoded, and nothing else.
pub(super) fn plain_syntax(encoding: Encoding) -> dicom_transfer_syntax_registry::TransferSyntax {
    match encoding {
        Encoding::ImplicitLittle => entries::IMPLICIT_VR_LITTLE_ENDIAN.erased(),
        Encoding::ExplicitBig => entries::EXPLICIT_VR_BIG_ENDIAN.erased(),
        Encoding::ExplicitLittle => entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
    }
}

/// Everything before the pixel data.
pub(super) async fn head(stored: &Stored) -> Result<Bytes, Failure> {
    stored.read(0, head_length(stored)?).await
}

fn head_length(stored: &Stored) -> Result<u64, Failure> {
    let head = around(stored).head;
    if head > limits::HEAD_BYTES {
        return Err(Failure::not_acceptable(
            "this instance is too large to take apart; it is given as stored with transfer-syntax=*",
        ));
    }
    Ok(head)
}

fn without_pixels() -> Failure {
    Failure::not_acceptable("this instance has no pixel data")
}

impl Image {
    /// Reads what describes the pixels.
    pub(crate) async fn open(stored: Stored) -> Result<Self, Failure> {
        if stored.layout.pixels.is_none() {
            return Err(without_pixels());
        }
        let stored = stored.holding_if_small().await?;
        let bytes = head(&stored).await?;
        let encoding = stored.layout.encoding;
        let (description, display) = decoding(move || described(&bytes, encoding)).await?;
        Ok(Self {
            stored,
            description: Arc::new(description),
            display: Arc::new(display),
        })
    }

    /// How many frames there are.
    pub(crate) fn frames(&self) -> u32 {
        self.description.number_of_frames
    }

    /// Works on a frame, counted from 0, and on what describes it: in one turn
    /// of one thread where the instance is small.
    pub(super) async fn of_frame<T: Send + 'static>(
        stored: Stored,
        index: u32,
        work: impl FnOnce(&ImageDescription, &Display, &EncodedFrame<'_>) -> Result<T, PixelError>
        + Send
        + 'static,
    ) -> Result<T, Failure> {
        if stored.layout.pixels.is_none() {
            return Err(without_pixels());
        }
        let stored = stored.holding_if_small().await?;
        let Some(held) = stored.held() else {
            let image = Self::open(stored).await?;
            let (description, display) = (Arc::clone(&image.description), image.display.clone());
            return image
                .with_frame(index, move |frame| work(&description, &display, frame))
                .await;
        };
        decoding(move || {
            let part = |offset: u64, size: u64| {
                let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(held.len());
                let start = at(offset);
                held.get(start..at(offset.saturating_add(size)).max(start))
                    .unwrap_or_default()
            };
            let head = part(0, head_length(&stored)?);
            let (description, display) = described(head, stored.layout.encoding)?;
            let (ranges, bit_offset) = places(&stored, &description, index)?;
            let fragments: Vec<&[u8]> = ranges
                .into_iter()
                .map(|(offset, size)| part(offset, size))
                .collect();
            let frame = encoded(&stored, &fragments, bit_offset);
            Ok::<_, Failure>(work(&description, &display, &frame)?)
        })
        .await
    }

    /// What the instance says that it is.
    pub(crate) async fn identity(&self) -> Result<Identity, Failure> {
        let bytes = head(&self.stored).await?;
        let syntax = plain_syntax(self.stored.layout.encoding);
        decoding(move || {
            scan(bytes.as_ref(), syntax.uid(), &ScanOptions::default())
                .map(|scan| scan.identity)
                .map_err(|_| PixelError::Unsupported("the attributes can't be read"))
        })
        .await
    }

    /// A frame, counted from 0, as samples.
    pub(crate) async fn decoded(&self, index: u32) -> Result<DecodedFrame, Failure> {
        let description = Arc::clone(&self.description);
        self.with_frame(index, move |frame| {
            hilum_pixels::decode_frame(&description, frame)
        })
        .await
    }

    /// A frame, counted from 0, as native little endian.
    pub(super) async fn native(&self, index: u32) -> Result<NativeFrame, Failure> {
        let description = Arc::clone(&self.description);
        self.with_frame(index, move |frame| {
            hilum_pixels::transcode_frame(&description, frame)
        })
        .await
    }

    async fn with_frame<T: Send + 'static>(
        &self,
        index: u32,
        work: impl FnOnce(&EncodedFrame<'_>) -> Result<T, PixelError> + Send + 'static,
    ) -> Result<T, Failure> {
        let (ranges, bit_offset) = places(&self.stored, &self.description, index)?;
        let mut fragments = Vec::with_capacity(ranges.len());
        for (offset, size) in ranges {
            fragments.push(self.stored.read(offset, size).await?);
        }
        let stored = self.stored.clone();
        decoding(move || {
            let fragments: Vec<&[u8]> = fragments.iter().map(AsRef::as_ref).collect();
            work(&encoded(&stored, &fragments, bit_offset))
        })
        .await
    }
}

/// What a data set's elements before its pixels say of them.
fn described(head: &[u8], encoding: Encoding) -> Result<(ImageDescription, Display), PixelError> {
    let syntax = plain_syntax(encoding);
    let data_set = InMemDicomObject::read_dataset_with_ts(Cursor::new(head), &syntax)
        .map_err(|_| PixelError::Unsupported("the attributes can't be read"))?;
    let description = ImageDescription::from_dataset(&data_set)?;
    let display = Display::from_dataset(&data_set, &description);
    Ok((description, display))
}

/// Where the bytes of a frame lie, counted from 0, and how many bits of the
/// first are another's.
fn places(
    stored: &Stored,
    description: &ImageDescription,
    index: u32,
) -> Result<(Vec<(u64, u64)>, u8), Failure> {
    if index >= description.number_of_frames {
        return Err(Failure::not_found());
    }
    let (ranges, bit_offset) = match &stored.layout.pixels {
        Some(PixelLayout::Native { offset, length, .. }) => {
            let place = hilum_pixels::native_frame_location(description, index)?;
            let end = place.bytes.end.min(*length);
            let size = end.saturating_sub(place.bytes.start);
            let start = offset.saturating_add(place.bytes.start);
            (vec![(start, size)], place.bit_offset)
        }
        Some(pixels) => (frame_ranges(pixels, index)?, 0),
        None => return Err(Failure::not_found()),
    };
    let total: u64 = ranges.iter().map(|(_, size)| size).sum();
    if total > limits::FRAME_BYTES {
        return Err(Failure::not_acceptable("this frame is too large to decode"));
    }
    Ok((ranges, bit_offset))
}

fn encoded<'a>(stored: &'a Stored, fragments: &'a [&'a [u8]], bit_offset: u8) -> EncodedFrame<'a> {
    let words = stored
        .layout
        .bulk
        .iter()
        .all(|bulk| bulk.path != PIXEL_DATA[0] || bulk.vr != "OB");
    EncodedFrame {
        bit_offset,
        vr: if words { PixelVr::Ow } else { PixelVr::Ob },
        ..EncodedFrame::new(stored.transfer_syntax(), fragments)
    }
}

/// The ranges of an encapsulated frame, counted from 0.
pub(super) fn frame_ranges(pixels: &PixelLayout, index: u32) -> Result<Vec<(u64, u64)>, Failure> {
    match pixels {
        PixelLayout::Fragments { .. } => Err(Failure::not_acceptable(
            "the frames of this instance can't be told apart; it is given whole",
        )),
        known => known.frame(index).ok_or_else(Failure::not_found),
    }
}

async fn decoding<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    let ended = || Failure::Service(ServiceError::internal("Decoding ended early."));
    let permit = DECODERS.acquire().await.map_err(|_| ended())?;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|_| ended())?.map_err(Into::into)
}
