//! RLE Lossless (PS3.5 annex G), written here because the registry's adapter allocates by the header's
//! unchecked segment count, panics on short headers, and knows no 32-bit samples.

use super::{Decoded, Layout};
use crate::description::ImageDescription;
use crate::error::PixelError;
use crate::frame::DecodedFrame;

/// PS3.5 G.5: a count and fifteen offsets.
const HEADER_BYTES: usize = 64;
const REFUSED: PixelError = PixelError::Codec("RLE");

pub(super) fn decode(description: &ImageDescription, bytes: &[u8]) -> Result<Decoded, PixelError> {
    if !matches!(description.bits_allocated, 8 | 16 | 32) {
        return Err(PixelError::Unsupported(
            "this number of bits allocated in RLE",
        ));
    }
    let width = usize::from(description.bits_allocated / 8);
    let samples = usize::from(description.samples_per_pixel);
    let segments = samples * width;
    let header: Vec<usize> = bytes
        .get(..HEADER_BYTES)
        .ok_or(REFUSED)?
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| usize::try_from(u32::from_le_bytes(*word)).unwrap_or(usize::MAX))
        .collect();
    let (&count, offsets) = header.split_first().ok_or(REFUSED)?;
    if count != segments {
        return Err(PixelError::Disagrees("number of RLE segments"));
    }
    let size = usize::try_from(description.decoded_bytes()).map_err(|_| REFUSED)?;
    let mut data = vec![0; size];
    for (segment, &start) in offsets.iter().take(segments).enumerate() {
        let end = if segment + 1 == segments {
            bytes.len()
        } else {
            *offsets.get(segment + 1).ok_or(REFUSED)?
        };
        let stream = bytes.get(start..end).ok_or(REFUSED)?;
        // PS3.5 G.2: segments go sample by sample, the most significant byte first.
        let (sample, significance) = (segment / width, segment % width);
        let position = sample * width + (width - 1 - significance);
        unpack(stream, data.iter_mut().skip(position).step_by(segments))?;
    }
    Ok(Decoded {
        frame: DecodedFrame::shaped(description, data),
        layout: Layout::ByPixel,
    })
}

/// PackBits (PS3.5 G.3.2) into the bytes that `target` gives, all of which must be reached.
fn unpack<'a>(
    mut stream: &[u8],
    mut target: impl ExactSizeIterator<Item = &'a mut u8>,
) -> Result<(), PixelError> {
    while target.len() > 0 {
        let (&control, rest) = stream.split_first().ok_or(REFUSED)?;
        stream = match control {
            0..=127 => {
                let (literal, rest) = rest
                    .split_at_checked(usize::from(control) + 1)
                    .ok_or(REFUSED)?;
                for (byte, slot) in std::iter::zip(literal, &mut target) {
                    *slot = *byte;
                }
                rest
            }
            128 => rest,
            129..=255 => {
                let (&byte, rest) = rest.split_first().ok_or(REFUSED)?;
                for slot in target.by_ref().take(257 - usize::from(control)) {
                    *slot = byte;
                }
                rest
            }
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_bits_is_the_standards() {
        let mut out = [0; 8];
        unpack(&[0xFE, 7, 128, 2, 1, 2, 3, 0xFF, 9, 99], out.iter_mut()).unwrap();
        assert_eq!(out, [7, 7, 7, 1, 2, 3, 9, 9]);
        assert!(unpack(&[0xFE], out.iter_mut()).is_err());
        assert!(unpack(&[5, 1, 2], out.iter_mut()).is_err());
        assert!(
            unpack(&[0xFE, 7], out.iter_mut()).is_err(),
            "too short for the frame"
        );
    }
}
