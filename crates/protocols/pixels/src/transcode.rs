//! One frame of any transfer syntax as a native little-endian frame, and the attributes that change with
//! it (PS3.18 §8.7.3: explicit VR little endian is what everybody must be given).

use crate::codec::{Codec, EncodedFrame, decode_frame, take_native, to_little_endian};
use crate::description::{ImageDescription, Photometric, PlanarConfiguration};
use crate::error::PixelError;

/// Transfer Syntax UID of every [`NativeFrame`].
pub const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// Attributes of the Image Pixel Module as they are after transcoding; the rest stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeChanges {
    /// (0028,0004).
    pub photometric: Photometric,
    /// (0028,0006), only for colour.
    pub planar_configuration: Option<u16>,
    /// (0028,0101).
    pub bits_stored: u16,
    /// (0028,0102).
    pub high_bit: u16,
}

/// A native frame. Bits Allocated, Samples per Pixel and Pixel Representation are those of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeFrame {
    /// The frame as Pixel Data of explicit VR little endian holds it, without a padding byte.
    pub data: Vec<u8>,
    /// What the data set must say.
    pub changes: AttributeChanges,
}

/// Transcodes a frame. Native frames keep colour space and planar configuration; decompressed colour is
/// RGB by pixel.
///
/// # Errors
/// As [`decode_frame`].
pub fn transcode_frame(
    description: &ImageDescription,
    frame: &EncodedFrame<'_>,
) -> Result<NativeFrame, PixelError> {
    let codec = Codec::of(frame.transfer_syntax)?;
    if codec.is_native() {
        description.validate()?;
        let bytes = frame.fragments.concat();
        let bytes = if codec == Codec::NativeBigEndian {
            to_little_endian(description, &bytes, frame.vr)
        } else {
            bytes
        };
        let data = take_native(description, &bytes, frame.bit_offset)?;
        let data = if description.bits_allocated == 1 && frame.bit_offset > 0 {
            let bits = data
                .iter()
                .flat_map(|&byte| (0..8).map(move |bit| byte >> bit & 1));
            pack_bits(
                bits.skip(frame.bit_offset.min(7).into()),
                description.native_bits(),
            )
        } else {
            data.to_vec()
        };
        let planar = match description.planar_configuration {
            PlanarConfiguration::ByPixel => 0,
            PlanarConfiguration::ByPlane => 1,
        };
        let changes = AttributeChanges {
            photometric: description.photometric,
            planar_configuration: (description.samples_per_pixel > 1).then_some(planar),
            bits_stored: description.bits_stored,
            high_bit: description.high_bit,
        };
        return Ok(NativeFrame { data, changes });
    }
    let decoded = decode_frame(description, frame)?;
    let changes = AttributeChanges {
        photometric: decoded.photometric,
        planar_configuration: (decoded.samples_per_pixel > 1).then_some(0),
        bits_stored: decoded.bits_stored,
        high_bit: decoded.high_bit,
    };
    let data = if description.bits_allocated == 1 {
        pack_bits(decoded.data.iter().copied(), description.native_bits())
    } else {
        decoded.data
    };
    Ok(NativeFrame { data, changes })
}

/// Eight values 0 or 1 to a byte, the first in the least significant bit (PS3.5 §8.1.1).
fn pack_bits(bits: impl Iterator<Item = u8>, count: u64) -> Vec<u8> {
    let mut bits = bits.take(usize::try_from(count).unwrap_or(0)).peekable();
    let mut out = Vec::new();
    while bits.peek().is_some() {
        out.push(
            bits.by_ref()
                .take(8)
                .zip(0..)
                .fold(0, |byte, (bit, index)| byte | bit << index),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_packed_from_the_least_significant() {
        assert_eq!(
            pack_bits([1, 0, 0, 0, 0, 0, 0, 1, 1].into_iter(), 9),
            [0x81, 0x01]
        );
    }
}
