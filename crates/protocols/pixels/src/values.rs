//! A frame's measurements: modality values as `f32`, for computing rather than looking.

use crate::codec::{EncodedFrame, decode_frame};
use crate::description::ImageDescription;
use crate::display::Display;
use crate::error::PixelError;

/// Decodes frame `number` (from 0) to `rows × columns` values in row order, after the modality
/// transformation (PS3.3 C.11.1), in its unit (Hounsfield for CT). Padding is not marked: compare with
/// [`ImageDescription::padding`] on stored values where that matters.
///
/// # Errors
/// As [`decode_frame`]; colour is [`PixelError::Unsupported`].
pub fn decode_frame_f32(
    description: &ImageDescription,
    display: &Display,
    number: u32,
    frame: &EncodedFrame<'_>,
) -> Result<Vec<f32>, PixelError> {
    if !description.photometric.is_monochrome() {
        return Err(PixelError::Unsupported("measurements of colour"));
    }
    let modality = display
        .transform(number)
        .modality
        .as_ref()
        .map_err(|error| *error)?;
    let decoded = decode_frame(description, frame)?;
    let mut values = Vec::with_capacity(decoded.pixel_count());
    #[expect(clippy::cast_possible_truncation, reason = "f32 is what is asked for")]
    decoded.for_each_value(|stored| values.push(modality.apply(stored) as f32));
    Ok(values)
}
