//! JPEG XL (PS3.5 §8.2.16, ISO/IEC 18181), decoded by `jxl-oxide`, which accounts for its memory.

use super::{Decoded, Layout, contain};
use crate::description::{ImageDescription, Photometric};
use crate::error::PixelError;
use crate::limits::{MAX_JPEG_XL_BYTES, MAX_WIDE_CODEC_SAMPLES};
use jxl_oxide::{AllocTracker, JxlImage};

const REFUSED: PixelError = PixelError::Codec("JPEG XL");

pub(super) fn decode(description: &ImageDescription, bytes: &[u8]) -> Result<Decoded, PixelError> {
    let samples = description.pixel_count() * u64::from(description.samples_per_pixel);
    if samples > MAX_WIDE_CODEC_SAMPLES {
        return Err(PixelError::TooLarge {
            bytes: samples * 4,
            limit: MAX_WIDE_CODEC_SAMPLES * 4,
        });
    }
    let image = JxlImage::builder()
        .alloc_tracker(AllocTracker::with_limit(MAX_JPEG_XL_BYTES))
        .read(bytes)
        .map_err(|_| REFUSED)?;
    if image.width() != description.columns || image.height() != description.rows {
        return Err(PixelError::Disagrees("rows or columns"));
    }
    let precision = u16::try_from(image.image_header().metadata.bit_depth.bits_per_sample())
        .unwrap_or(u16::MAX);
    if precision > description.bits_allocated.min(16) {
        return Err(PixelError::Disagrees("more bits than allocated"));
    }
    let render = image.render_frame(0).map_err(|_| REFUSED)?;
    let mut stream = render.stream_no_alpha();
    if stream.channels() != u32::from(description.samples_per_pixel) {
        return Err(PixelError::Disagrees("samples per pixel"));
    }
    let mut values = vec![0_f32; usize::try_from(samples).map_err(|_| REFUSED)?];
    if stream.write_to_buffer(&mut values) != values.len() {
        return Err(REFUSED);
    }
    // Fractions of the full range; an f32 holds every value of 16 bits exactly.
    let scale = f32::from(u16::MAX >> (16 - precision.clamp(1, 16)));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of u16"
    )]
    let integers = values
        .iter()
        .map(|value| (value * scale).round().clamp(0.0, scale) as u16);
    let (data, width) = if precision > 8 {
        (integers.flat_map(u16::to_le_bytes).collect(), 2)
    } else {
        (
            integers
                .map(|value| u8::try_from(value).unwrap_or(u8::MAX))
                .collect(),
            1,
        )
    };
    let mut frame = contain(description, data, width, precision)?;
    if frame.samples_per_pixel == 3 {
        frame.photometric = Photometric::Rgb;
    }
    Ok(Decoded {
        frame,
        layout: Layout::ByPixel,
    })
}
