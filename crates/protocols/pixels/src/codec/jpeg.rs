//! JPEG baseline, extended and lossless (PS3.5 §8.2.1, ITU-T T.81), decoded by `jpeg-decoder`, and by
//! libjpeg-turbo where samples have 12 bits. Which
//! colour space a stream is in is decided here, not guessed by the decoder.

use super::marker::JpegHeader;
use super::{Decoded, Layout, contain, jpeg_12_bit};
use crate::description::{ImageDescription, Photometric};
use crate::error::PixelError;
use jpeg_decoder::{ColorTransform, Decoder};

const REFUSED: PixelError = PixelError::Codec("JPEG");

pub(super) fn decode(description: &ImageDescription, bytes: &[u8]) -> Result<Decoded, PixelError> {
    let header = JpegHeader::read(bytes)?;
    header.check(description)?;
    if header.precision != 8 && matches!(header.start_of_frame, 0xC0..=0xC2) {
        let data = jpeg_12_bit::decode(description, &header, bytes)?;
        return Ok(Decoded {
            frame: contain(description, data, 2, header.precision)?,
            layout: Layout::ByPixel,
        });
    }
    let mut decoder = Decoder::new(bytes);
    // "RGB" leaves three components as they are; "None" panics for them in jpeg-decoder 0.3.2.
    decoder.set_color_transform(match description.samples_per_pixel {
        1 => ColorTransform::Grayscale,
        _ => ColorTransform::RGB,
    });
    let data = decoder.decode().map_err(|_| REFUSED)?;
    let samples = usize::try_from(description.pixel_count()).map_err(|_| REFUSED)?
        * usize::from(description.samples_per_pixel);
    let (data, width) = match data.len() {
        length if length == samples => (data, 1),
        // 16-bit samples come in the machine's byte order.
        length if length == samples * 2 => (
            data.as_chunks::<2>()
                .0
                .iter()
                .flat_map(|pair| u16::from_ne_bytes(*pair).to_le_bytes())
                .collect(),
            2,
        ),
        _ => return Err(REFUSED),
    };
    let mut frame = contain(description, data, width, header.precision)?;
    if frame.samples_per_pixel == 3 {
        frame.photometric = if is_ybr(&header, description) {
            Photometric::YbrFull
        } else {
            Photometric::Rgb
        };
    }
    Ok(Decoded {
        frame,
        layout: Layout::ByPixel,
    })
}

/// PS3.5 §8.2.1 lets Photometric Interpretation decide. Where the stream itself says otherwise, the
/// stream is right: converters copy data sets without mending them.
fn is_ybr(header: &JpegHeader, description: &ImageDescription) -> bool {
    let lossless = header.start_of_frame == 0xC3;
    match header.adobe_transform {
        Some(0) => return false,
        Some(1) if !lossless => return true,
        _ => {}
    }
    if header.jfif && !lossless {
        return true;
    }
    if header.component_ids == *b"RGB" {
        return false;
    }
    description.photometric != Photometric::Rgb
}
