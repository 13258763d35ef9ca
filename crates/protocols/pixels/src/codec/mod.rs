//! From one frame's bytes to its samples: picks the codec by transfer syntax, checks the compressed
//! stream's own header before the codec may allocate, contains a codec's panic, and brings every result
//! into one layout. Which bytes belong to which frame is the caller's knowledge.

mod deflate;
mod jpeg;
mod jpeg2000;
mod jpeg_12_bit;
mod jpeg_ls;
mod jpeg_xl;
mod marker;
mod native;
mod rle;

pub use native::{FrameLocation, native_frame_location};
pub(crate) use native::{take as take_native, to_little_endian};

use crate::color::{Ybr, expand_422, interleave_planes, ybr_to_rgb_8, ybr_to_rgb_16};
use crate::description::{ImageDescription, Photometric};
use crate::error::PixelError;
use crate::frame::DecodedFrame;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// VR of native pixel data, which decides how explicit VR big endian swaps bytes (PS3.5 §8.2, A.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelVr {
    /// Bytes stay as they are.
    Ob,
    /// 16-bit words, also when samples are smaller.
    Ow,
}

/// One frame as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct EncodedFrame<'a> {
    /// Transfer Syntax UID of the bytes.
    pub transfer_syntax: &'a str,
    /// The frame's fragments in order; native data is one "fragment".
    pub fragments: &'a [&'a [u8]],
    /// Native 1-bit data: bits of the first byte that belong to the frame before (0 to 7).
    pub bit_offset: u8,
    /// VR of native data.
    pub vr: PixelVr,
}

impl<'a> EncodedFrame<'a> {
    /// A frame that starts at a byte, of VR OW where it is native.
    pub fn new(transfer_syntax: &'a str, fragments: &'a [&'a [u8]]) -> Self {
        Self {
            transfer_syntax,
            fragments,
            bit_offset: 0,
            vr: PixelVr::Ow,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    NativeLittleEndian,
    NativeBigEndian,
    Deflate,
    Rle,
    Jpeg,
    JpegLs,
    Jpeg2000,
    JpegXl,
}

impl Codec {
    pub(crate) fn of(transfer_syntax: &str) -> Result<Self, PixelError> {
        // PS3.6 table A-1.
        Ok(match transfer_syntax.trim_end_matches(['\0', ' ']) {
            // Implicit, explicit, encapsulated uncompressed, deflated (the data set, not the frame).
            "1.2.840.10008.1.2"
            | "1.2.840.10008.1.2.1"
            | "1.2.840.10008.1.2.1.98"
            | "1.2.840.10008.1.2.1.99" => Self::NativeLittleEndian,
            "1.2.840.10008.1.2.2" => Self::NativeBigEndian,
            "1.2.840.10008.1.2.8.1" => Self::Deflate,
            "1.2.840.10008.1.2.5" => Self::Rle,
            "1.2.840.10008.1.2.4.50"
            | "1.2.840.10008.1.2.4.51"
            | "1.2.840.10008.1.2.4.57"
            | "1.2.840.10008.1.2.4.70" => Self::Jpeg,
            "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => Self::JpegLs,
            "1.2.840.10008.1.2.4.90"
            | "1.2.840.10008.1.2.4.91"
            | "1.2.840.10008.1.2.4.201"
            | "1.2.840.10008.1.2.4.202"
            | "1.2.840.10008.1.2.4.203" => Self::Jpeg2000,
            "1.2.840.10008.1.2.4.110" | "1.2.840.10008.1.2.4.111" | "1.2.840.10008.1.2.4.112" => {
                Self::JpegXl
            }
            _ => return Err(PixelError::UnsupportedTransferSyntax),
        })
    }

    pub(crate) fn is_native(self) -> bool {
        matches!(self, Self::NativeLittleEndian | Self::NativeBigEndian)
    }
}

/// Is there a decoder for this transfer syntax?
pub fn can_decode(transfer_syntax: &str) -> bool {
    Codec::of(transfer_syntax).is_ok()
}

/// Are frames of this transfer syntax stored without compression?
pub fn is_native(transfer_syntax: &str) -> bool {
    Codec::of(transfer_syntax).is_ok_and(Codec::is_native)
}

/// How a codec leaves the samples of colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    ByPixel,
    ByPlane,
    Chrominance422,
}

/// A codec's result; `frame.photometric` says what the samples are.
struct Decoded {
    frame: DecodedFrame,
    layout: Layout,
}

/// Decodes one frame: stored values, colour as RGB by pixel. 1-bit samples take a byte each.
///
/// # Errors
/// Any [`PixelError`] but [`PixelError::Parameter`] and [`PixelError::Encode`].
pub fn decode_frame(
    description: &ImageDescription,
    frame: &EncodedFrame<'_>,
) -> Result<DecodedFrame, PixelError> {
    description.validate()?;
    let codec = Codec::of(frame.transfer_syntax)?;
    let bytes = join(frame.fragments);
    // The decoders are written for speed and have panicked on hostile input before; a panic is this
    // frame's error and nobody else's. They hold no state that could be left broken.
    let decoded = catch_unwind(AssertUnwindSafe(|| match codec {
        Codec::NativeLittleEndian => native::decode(description, &bytes, frame.bit_offset),
        Codec::NativeBigEndian => native::decode_big_endian(description, &bytes, frame),
        Codec::Deflate => deflate::decode(description, &bytes),
        Codec::Rle => rle::decode(description, &bytes),
        Codec::Jpeg => jpeg::decode(description, &bytes),
        Codec::JpegLs => jpeg_ls::decode(description, &bytes),
        Codec::Jpeg2000 => jpeg2000::decode(description, &bytes),
        Codec::JpegXl => jpeg_xl::decode(description, &bytes),
    }))
    .unwrap_or(Err(PixelError::Codec("panicking")))?;
    normalise(decoded)
}

/// Fragments are cut anywhere (PS3.5 A.4), so a codec sees them joined.
fn join<'a>(fragments: &[&'a [u8]]) -> Cow<'a, [u8]> {
    match fragments {
        [one] => Cow::Borrowed(one),
        many => Cow::Owned(many.concat()),
    }
}

fn normalise(decoded: Decoded) -> Result<DecodedFrame, PixelError> {
    let Decoded { mut frame, layout } = decoded;
    let columns = usize::try_from(frame.columns).unwrap_or(usize::MAX);
    match layout {
        Layout::ByPixel => {}
        Layout::ByPlane => {
            frame.data = interleave_planes(
                &frame.data,
                usize::from(frame.samples_per_pixel),
                usize::from(frame.bits_allocated / 8),
            );
        }
        Layout::Chrominance422 => frame.data = expand_422(&frame.data, columns),
    }
    if let Some(ybr) = Ybr::of(frame.photometric) {
        match frame.bits_allocated {
            8 => ybr_to_rgb_8(ybr, &mut frame.data),
            16 => ybr_to_rgb_16(ybr, &mut frame.data, frame.bits_stored),
            _ => return Err(PixelError::Unsupported("YBR of more than 16 bits")),
        }
    }
    if !frame.photometric.is_single() {
        frame.photometric = Photometric::Rgb;
    }
    let expected = u64::from(frame.rows)
        * u64::from(frame.columns)
        * u64::from(frame.samples_per_pixel)
        * u64::from(frame.bits_allocated / 8);
    let actual = u64::try_from(frame.data.len()).unwrap_or(u64::MAX);
    // Pairs with `validate`: whatever a codec did, later code may rely on the size.
    if actual == expected {
        Ok(frame)
    } else {
        Err(PixelError::Truncated { expected, actual })
    }
}

/// A codec's samples of `width` bytes, little endian, in the container that the data set describes.
/// `precision`: significant bits that the codec found.
fn contain(
    description: &ImageDescription,
    data: Vec<u8>,
    width: usize,
    precision: u16,
) -> Result<DecodedFrame, PixelError> {
    let data = match (width, description.bits_allocated) {
        (1, 8) | (2, 16) => data,
        (1, 16) => data.iter().flat_map(|&byte| [byte, 0]).collect(),
        (2, 8) => return Err(PixelError::Disagrees("more bits than allocated")),
        _ => {
            return Err(PixelError::Unsupported(
                "this number of bits allocated in compressed data",
            ));
        }
    };
    let mut frame = DecodedFrame::shaped(description, data);
    // The stream knows its own precision: one that is wider than Bits Stored would lose its upper bits
    // and its sign. A decoder leaves values at the container's low end.
    frame.bits_stored = description
        .bits_stored
        .max(precision)
        .min(description.bits_allocated);
    frame.high_bit = frame.bits_stored - 1;
    Ok(frame)
}
