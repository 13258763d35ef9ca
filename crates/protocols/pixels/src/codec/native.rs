//! Native pixel data (PS3.5 §8.1, A.1–A.3): packing, byte order, and where in an element a frame lies.

use super::{Decoded, EncodedFrame, Layout, PixelVr};
use crate::description::{ImageDescription, PlanarConfiguration};
use crate::error::PixelError;
use crate::frame::DecodedFrame;
use std::ops::Range;

/// Where a native frame lies in the value of its Pixel Data element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameLocation {
    /// The bytes that hold the frame. Of explicit VR big endian with VR OW and 8-bit samples read whole
    /// words, one byte more where the end is odd; a frame of it that starts at an odd byte (retired, and
    /// never seen) cannot be read on its own.
    pub bytes: Range<u64>,
    /// 1-bit data: bits of the first byte that belong to the frame before. Give it to
    /// [`EncodedFrame::bit_offset`].
    pub bit_offset: u8,
}

/// Finds a frame, the first being 0: frames follow each other without padding, 1-bit frames without
/// even byte boundaries (PS3.5 §8.1.1).
///
/// # Errors
/// [`PixelError::NoSuchFrame`].
pub fn native_frame_location(
    description: &ImageDescription,
    frame: u32,
) -> Result<FrameLocation, PixelError> {
    if frame >= description.number_of_frames {
        return Err(PixelError::NoSuchFrame);
    }
    let bits = description.native_bits();
    let start = bits
        .checked_mul(frame.into())
        .ok_or(PixelError::NoSuchFrame)?;
    let end = start.checked_add(bits).ok_or(PixelError::NoSuchFrame)?;
    Ok(FrameLocation {
        bytes: start / 8..end.div_ceil(8),
        bit_offset: u8::try_from(start % 8).unwrap_or_default(),
    })
}

pub(super) fn decode(
    description: &ImageDescription,
    bytes: &[u8],
    bit_offset: u8,
) -> Result<Decoded, PixelError> {
    let data = take(description, bytes, bit_offset)?;
    let data = if description.bits_allocated == 1 {
        unpack_bits(description, data, bit_offset)
    } else {
        data.to_vec()
    };
    let mut frame = DecodedFrame::shaped(description, data);
    if frame.bits_allocated == 1 {
        frame.bits_allocated = 8;
    }
    let layout = match description.planar_configuration {
        _ if description.photometric.is_subsampled() => Layout::Chrominance422,
        PlanarConfiguration::ByPlane if description.samples_per_pixel > 1 => Layout::ByPlane,
        _ => Layout::ByPixel,
    };
    Ok(Decoded { frame, layout })
}

pub(super) fn decode_big_endian(
    description: &ImageDescription,
    bytes: &[u8],
    frame: &EncodedFrame<'_>,
) -> Result<Decoded, PixelError> {
    let swapped = to_little_endian(description, bytes, frame.vr);
    decode(description, &swapped, frame.bit_offset)
}

/// Exactly the bytes of the frame; what follows is padding.
pub(crate) fn take<'a>(
    description: &ImageDescription,
    bytes: &'a [u8],
    bit_offset: u8,
) -> Result<&'a [u8], PixelError> {
    let expected = (description.native_bits() + u64::from(bit_offset.min(7))).div_ceil(8);
    let actual = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    usize::try_from(expected)
        .ok()
        .and_then(|length| bytes.get(..length))
        .ok_or(PixelError::Truncated { expected, actual })
}

/// Swaps what explicit VR big endian swapped: containers of more than a byte, and with OW always words.
pub(crate) fn to_little_endian(
    description: &ImageDescription,
    bytes: &[u8],
    vr: PixelVr,
) -> Vec<u8> {
    let width = match (description.bits_allocated, vr) {
        (64, _) => 8,
        (32, _) => 4,
        (16, _) | (_, PixelVr::Ow) => 2,
        _ => 1,
    };
    let mut out = bytes.to_vec();
    out.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    out
}

/// One byte, 0 or 1, for each bit, the least significant bit first.
fn unpack_bits(description: &ImageDescription, bytes: &[u8], bit_offset: u8) -> Vec<u8> {
    let pixels = usize::try_from(description.pixel_count()).unwrap_or(0);
    let bits = bytes
        .iter()
        .flat_map(|&byte| (0..8).map(move |bit| byte >> bit & 1));
    let mut out = Vec::with_capacity(pixels);
    out.extend(bits.skip(bit_offset.min(7).into()).take(pixels));
    out
}
