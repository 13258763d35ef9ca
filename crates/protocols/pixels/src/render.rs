//! Rendering (PS3.18 §10.4.1, PS3.4 N.2): modality, VOI, presentation, to 8 bits, then viewport and media
//! type. For grey it makes one table from stored value to grey level, so the cost per pixel is one look-up.

use crate::codec::{EncodedFrame, decode_frame};
use crate::description::{ImageDescription, Photometric, SampleKind};
use crate::display::{Display, Modality, PresentationShape};
use crate::encode::encode;
use crate::error::PixelError;
use crate::frame::{DecodedFrame, integer_as_f64};
use crate::limits::{DEFAULT_JPEG_QUALITY, THUMBNAIL_SIDE};
use crate::lut::Lut;
use crate::request::{OutputFormat, RenderRequest};
use crate::viewport::Viewport;
use crate::voi::Window;

/// An 8-bit image, by pixel, top row first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedImage {
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 for grey, 3 for RGB.
    pub channels: u8,
    /// `width × height × channels` bytes.
    pub data: Vec<u8>,
}

/// Decodes and renders frame `number` (from 0) to the bytes of a JPEG or PNG file.
///
/// # Errors
/// Any [`PixelError`].
pub fn render_frame(
    description: &ImageDescription,
    display: &Display,
    number: u32,
    frame: &EncodedFrame<'_>,
    request: &RenderRequest,
) -> Result<Vec<u8>, PixelError> {
    let decoded = decode_frame(description, frame)?;
    let image = render_pixels(description, display, number, &decoded, request)?;
    encode(&image, request.format, request.quality)
}

/// Renders frame `number` as a thumbnail: at most [`THUMBNAIL_SIDE`] pixels a side, never enlarged.
///
/// # Errors
/// Any [`PixelError`].
pub fn thumbnail_frame(
    description: &ImageDescription,
    display: &Display,
    number: u32,
    frame: &EncodedFrame<'_>,
    format: OutputFormat,
) -> Result<Vec<u8>, PixelError> {
    let viewport = Some(Viewport::shrink(THUMBNAIL_SIDE));
    let request = RenderRequest {
        viewport,
        quality: DEFAULT_JPEG_QUALITY,
        ..RenderRequest::new(format)
    };
    render_frame(description, display, number, frame, &request)
}

/// Renders a decoded frame to pixels.
///
/// # Errors
/// [`PixelError::Missing`] or [`PixelError::Lie`] from a broken LUT or palette that rendering needs,
/// [`PixelError::Parameter`] from a viewport outside the image.
pub fn render_pixels(
    description: &ImageDescription,
    display: &Display,
    number: u32,
    frame: &DecodedFrame,
    request: &RenderRequest,
) -> Result<RenderedImage, PixelError> {
    let (channels, data) = match frame.photometric {
        Photometric::Monochrome1 | Photometric::Monochrome2 => (
            1,
            render_grey(description, display, number, frame, request)?,
        ),
        Photometric::PaletteColor => (3, render_palette(display, frame)?),
        _ => (3, render_rgb(frame)),
    };
    let image = RenderedImage {
        width: frame.columns,
        height: frame.rows,
        channels,
        data,
    };
    match &request.viewport {
        Some(viewport) => viewport.apply(image),
        None => Ok(image),
    }
}

/// The VOI transformation that was chosen.
enum Voi<'a> {
    Window(Window),
    Table(&'a Lut, f64),
}

impl Voi<'_> {
    /// Fraction of the display range.
    fn apply(&self, value: f64) -> f64 {
        match self {
            Self::Window(window) => window.apply(value),
            Self::Table(lut, scale) => f64::from(lut.look_up(value)) * scale,
        }
    }
}

/// Modality, VOI and presentation of one frame, from stored value to grey level.
struct Pipeline<'a> {
    modality: &'a Modality,
    voi: Voi<'a>,
    inverse: bool,
}

impl Pipeline<'_> {
    fn grey(&self, stored: f64) -> u8 {
        let fraction = self.voi.apply(self.modality.apply(stored));
        let fraction = if self.inverse {
            1.0 - fraction
        } else {
            fraction
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 255; NaN becomes 0"
        )]
        let level = (fraction * 255.0).round() as u8;
        level
    }
}

fn render_grey(
    description: &ImageDescription,
    display: &Display,
    number: u32,
    frame: &DecodedFrame,
    request: &RenderRequest,
) -> Result<Vec<u8>, PixelError> {
    let transform = display.transform(number);
    let modality = transform.modality.as_ref().map_err(|error| *error)?;
    let chosen = request
        .window
        .as_ref()
        .or_else(|| transform.windows.iter().find(|window| window.is_valid()));
    let voi = match (chosen, transform.voi_luts.first()) {
        (Some(window), _) => Voi::Window(window.clone()),
        (None, Some(lut)) => Voi::Table(
            lut,
            1.0 / f64::from(u16::MAX >> (16 - lut.value_bits().clamp(1, 16))),
        ),
        (None, None) => Voi::Window(full_range(description, modality, frame)),
    };
    let inverse = frame.photometric == Photometric::Monochrome1
        || display.presentation == PresentationShape::Inverse;
    let pipeline = Pipeline {
        modality,
        voi,
        inverse,
    };
    if is_tabular(frame) {
        return Ok(by_table(frame, |stored| pipeline.grey(stored)));
    }
    let mut out = Vec::with_capacity(frame.pixel_count());
    frame.for_each_value(|stored| out.push(pipeline.grey(stored)));
    Ok(out)
}

/// Makes a grey level for each value that can occur between the frame's lowest and highest, and looks
/// up the pixels' levels.
fn by_table(frame: &DecodedFrame, grey: impl Fn(f64) -> u8) -> Vec<u8> {
    let bits = frame.stored_bits();
    let (low, high) = frame.range_of_ranks();
    // As long as a rank can be, so that looking up needs no check.
    let mut table = [0; 1 << 16];
    for rank in low..=high {
        if let Some(level) = table.get_mut(usize::from(rank)) {
            *level = grey(integer_as_f64(bits.value_of(rank)));
        }
    }
    frame.map_ranks(|rank| table.get(usize::from(rank)).copied().unwrap_or_default())
}

/// A table of all stored values is small enough to make.
fn is_tabular(frame: &DecodedFrame) -> bool {
    frame.kind == SampleKind::Integer && frame.bits_stored <= 16
}

fn look_up<T: Copy + Default>(table: &[T], pattern: u64) -> T {
    usize::try_from(pattern)
        .ok()
        .and_then(|index| table.get(index))
        .copied()
        .unwrap_or_default()
}

/// Without window and VOI LUT: darkest to brightest pixel that is no padding (PS3.3 C.11.2.1.2 leaves it
/// to the application). Masks keep 0 black and 1 white even where a frame holds just one of them.
fn full_range(description: &ImageDescription, modality: &Modality, frame: &DecodedFrame) -> Window {
    if frame.kind == SampleKind::Integer && frame.bits_stored == 1 {
        return Window::spanning(modality.apply(0.0), modality.apply(1.0));
    }
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut see = |stored: f64| {
        let value = modality.apply(stored);
        if value.is_finite()
            && !description
                .padding
                .is_some_and(|padding| padding.contains(stored))
        {
            low = low.min(value);
            high = high.max(value);
        }
    };
    if is_tabular(frame) {
        let bits = frame.stored_bits();
        let mut present: Vec<bool> = (0..=bits.mask).map(|_| false).collect();
        frame.for_each_raw(|raw| {
            let index = usize::try_from(bits.pattern(raw)).ok();
            if let Some(slot) = index.and_then(|index| present.get_mut(index)) {
                *slot = true;
            }
        });
        std::iter::zip(0.., &present)
            .filter(|(_, present)| **present)
            .for_each(|(pattern, _)| see(integer_as_f64(bits.value(pattern))));
    } else {
        frame.for_each_value(see);
    }
    // Nothing but padding: everything is black.
    if low > high {
        Window::spanning(0.0, 0.0)
    } else {
        Window::spanning(low, high)
    }
}

fn render_palette(display: &Display, frame: &DecodedFrame) -> Result<Vec<u8>, PixelError> {
    let palette = display
        .palette
        .as_ref()
        .ok_or(PixelError::Missing("Palette Color Lookup Table"))?
        .as_ref()
        .map_err(|error| *error)?;
    if !is_tabular(frame) {
        return Err(PixelError::Unsupported(
            "palette indices of more than 16 bits",
        ));
    }
    let bits = frame.stored_bits();
    let table: Vec<[u8; 3]> = (0..=bits.mask)
        .map(|pattern| palette.color(bits.value(pattern)))
        .collect();
    let mut out = Vec::with_capacity(frame.pixel_count() * 3);
    frame.for_each_raw(|raw| out.extend_from_slice(&look_up(&table, bits.pattern(raw))));
    Ok(out)
}

/// Windows do not apply to colour; wider samples are scaled to 8 bits.
fn render_rgb(frame: &DecodedFrame) -> Vec<u8> {
    let bits = frame.stored_bits();
    if frame.bits_allocated == 8 && bits.mask == 0xFF {
        return frame.data.clone();
    }
    let mut out = Vec::with_capacity(frame.pixel_count() * 3);
    frame.for_each_raw(|raw| {
        let level = (bits.pattern(raw) * 255 + bits.mask / 2) / bits.mask;
        out.push(u8::try_from(level).unwrap_or(u8::MAX));
    });
    out
}
