//! JPEG-LS lossless and near-lossless (PS3.5 §8.2.3, ITU-T T.87), decoded by CharLS.

use super::marker::JpegHeader;
use super::{Decoded, Layout, contain};
use crate::description::{ImageDescription, Photometric};
use crate::error::PixelError;

pub(super) fn decode(description: &ImageDescription, bytes: &[u8]) -> Result<Decoded, PixelError> {
    let header = JpegHeader::read(bytes)?;
    if header.start_of_frame != 0xF7 {
        return Err(PixelError::Disagrees("the stream is not JPEG-LS"));
    }
    header.check(description)?;
    // CharLS 2.4.5 never returns from some streams that end without EOI, so such a stream is refused
    // here. Zeros may follow: fragments have even lengths (PS3.5 A.4).
    let end = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    if !bytes
        .get(..end)
        .is_some_and(|stream| stream.ends_with(&[0xFF, 0xD9]))
    {
        return Err(PixelError::Codec("JPEG-LS"));
    }
    let data = charls::CharLS::default()
        .decode(bytes)
        .map_err(|_| PixelError::Codec("JPEG-LS"))?;
    let width = if header.precision > 8 { 2 } else { 1 };
    let mut frame = contain(description, data, width, header.precision)?;
    if frame.photometric == Photometric::YbrFull422 {
        // JPEG-LS in DICOM has no subsampling (PS3.5 §8.2.3).
        frame.photometric = Photometric::YbrFull;
    }
    // CharLS gives planes for planes and pixels for everything else.
    let planes = header.interleave == 0 && frame.samples_per_pixel > 1;
    Ok(Decoded {
        frame,
        layout: if planes {
            Layout::ByPlane
        } else {
            Layout::ByPixel
        },
    })
}
