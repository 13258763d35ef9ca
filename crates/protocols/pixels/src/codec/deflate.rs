//! Deflated Image Frame Compression (PS3.5 §10.20): a raw deflate stream around a native frame.

use super::{Decoded, native};
use crate::description::ImageDescription;
use crate::error::PixelError;
use std::io::Read;

pub(super) fn decode(description: &ImageDescription, bytes: &[u8]) -> Result<Decoded, PixelError> {
    let expected = description.native_bits().div_ceil(8);
    let mut inflated = Vec::new();
    // Bounded by what is needed, whatever the stream would expand to.
    flate2::read::DeflateDecoder::new(bytes)
        .take(expected)
        .read_to_end(&mut inflated)
        .map_err(|_| PixelError::Codec("deflate"))?;
    native::decode(description, &inflated, 0)
}
