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
    RenderRequest,
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
    let head = around(stored).head;
    if head > limits::HEAD_BYTES {
        return Err(Failure::not_acceptable(
            "this instance is too large to take apart; it is given as stored with transfer-syntax=*",
        ));
    }
    stored.read(0, head).await
}

impl Image {
    /// Reads what describes the pixels.
    pub(crate) async fn open(stored: Stored) -> Result<Self, Failure> {
        if stored.layout.pixels.is_none() {
            return Err(Failure::not_acceptable("this instance has no pixel data"));
        }
        let stored = stored.holding_if_small().await?;
        let bytes = head(&stored).await?;
        let syntax = plain_syntax(stored.layout.encoding);
        let (description, display) = decoding(move || {
            let data_set = InMemDicomObject::read_dataset_with_ts(Cursor::new(bytes), &syntax)
                .map_err(|_| PixelError::Unsupported("the attributes can't be read"))?;
            let description = ImageDescription::from_dataset(&data_set)?;
            let display = Display::from_dataset(&data_set, &description);
            Ok((description, display))
        })
        .await?;
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

    /// The bytes of a frame, counted from 0.
    async fn encoded(&self, index: u32) -> Result<(Vec<Bytes>, u8), Failure> {
        let (ranges, bit_offset) = match &self.stored.layout.pixels {
            Some(PixelLayout::Native { offset, length, .. }) => {
                let place = hilum_pixels::native_frame_location(&self.description, index)?;
                let end = place.bytes.end.min(*length);
                let size = end.saturating_sub(place.bytes.start);
                (
                    vec![(offset.saturating_add(place.bytes.start), size)],
                    place.bit_offset,
                )
            }
            Some(pixels) => (frame_ranges(pixels, index)?, 0),
            None => return Err(Failure::not_found()),
        };
        let total: u64 = ranges.iter().map(|(_, size)| size).sum();
        if total > limits::FRAME_BYTES {
            return Err(Failure::not_acceptable("this frame is too large to decode"));
        }
        let mut fragments = Vec::with_capacity(ranges.len());
        for (offset, size) in ranges {
            fragments.push(self.stored.read(offset, size).await?);
        }
        Ok((fragments, bit_offset))
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

    /// A frame, counted from 0, as a JPEG or PNG file.
    pub(super) async fn render(
        &self,
        index: u32,
        request: RenderRequest,
    ) -> Result<Vec<u8>, Failure> {
        let (description, display) = (Arc::clone(&self.description), Arc::clone(&self.display));
        self.with_frame(index, move |frame| {
            hilum_pixels::render_frame(&description, &display, index, frame, &request)
        })
        .await
    }

    /// A frame, counted from 0, as a small JPEG or PNG file.
    pub(super) async fn thumbnail(
        &self,
        index: u32,
        format: hilum_pixels::OutputFormat,
    ) -> Result<Vec<u8>, Failure> {
        let (description, display) = (Arc::clone(&self.description), Arc::clone(&self.display));
        self.with_frame(index, move |frame| {
            hilum_pixels::thumbnail_frame(&description, &display, index, frame, format)
        })
        .await
    }

    async fn with_frame<T: Send + 'static>(
        &self,
        index: u32,
        work: impl FnOnce(&EncodedFrame<'_>) -> Result<T, PixelError> + Send + 'static,
    ) -> Result<T, Failure> {
        if index >= self.frames() {
            return Err(Failure::not_found());
        }
        let (fragments, bit_offset) = self.encoded(index).await?;
        let transfer_syntax = self.stored.transfer_syntax().to_owned();
        let words = self
            .stored
            .layout
            .bulk
            .iter()
            .all(|bulk| bulk.path != PIXEL_DATA[0] || bulk.vr != "OB");
        decoding(move || {
            let fragments: Vec<&[u8]> = fragments.iter().map(AsRef::as_ref).collect();
            let frame = EncodedFrame {
                bit_offset,
                vr: if words { PixelVr::Ow } else { PixelVr::Ob },
                ..EncodedFrame::new(&transfer_syntax, &fragments)
            };
            work(&frame)
        })
        .await
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

async fn decoding<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PixelError> + Send + 'static,
) -> Result<T, Failure> {
    let ended = || Failure::Service(ServiceError::internal("Decoding ended early."));
    let permit = DECODERS.acquire().await.map_err(|_| ended())?;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    Ok(done.await.map_err(|_| ended())??)
}
