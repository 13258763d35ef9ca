//! JPEG 2000 and HTJ2K (PS3.5 §8.2.4, ITU-T T.800 annex A), decoded by OpenJPEG, which undoes the
//! codestream's own colour transformation.

use super::{Decoded, Layout, contain};
use crate::description::{ImageDescription, Photometric};
use crate::error::PixelError;
use crate::limits::{MAX_JPEG_2000_TILES, MAX_WIDE_CODEC_SAMPLES};

const REFUSED: PixelError = PixelError::Codec("JPEG 2000");

pub(super) fn decode(description: &ImageDescription, bytes: &[u8]) -> Result<Decoded, PixelError> {
    let header = Header::read(bytes)?;
    header.check(description)?;
    let image = jpeg2k::Image::from_bytes(bytes).map_err(|_| REFUSED)?;
    let components = image.components();
    let samples = usize::from(description.samples_per_pixel);
    if components.len() != samples {
        return Err(PixelError::Disagrees("samples per pixel"));
    }
    let width = if header.precision > 8 { 2 } else { 1 };
    let pixels = usize::try_from(description.pixel_count()).map_err(|_| REFUSED)?;
    let mut data = vec![0; pixels * samples * width];
    for (index, component) in components.iter().enumerate() {
        let same_size =
            component.width() == description.columns && component.height() == description.rows;
        let values = component.data();
        if !same_size || values.len() != pixels {
            return Err(PixelError::Disagrees("rows or columns of a component"));
        }
        if width == 1 {
            for (target, value) in
                std::iter::zip(data.iter_mut().skip(index).step_by(samples), values)
            {
                let [low, ..] = value.to_le_bytes();
                *target = low;
            }
        } else {
            let targets = data
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .skip(index)
                .step_by(samples);
            for (target, value) in std::iter::zip(targets, values) {
                let [low, high, ..] = value.to_le_bytes();
                *target = [low, high];
            }
        }
    }
    let mut frame = contain(description, data, width, header.precision)?;
    if width == 1 && frame.bits_allocated > 8 && header.signed && frame.signed {
        // `contain` widened without the sign; the precision says where it is.
        frame.bits_stored = header.precision;
        frame.high_bit = header.precision - 1;
    }
    if samples == 3
        && (header.color_transform
            || !matches!(
                frame.photometric,
                Photometric::YbrFull | Photometric::YbrFull422
            ))
    {
        frame.photometric = Photometric::Rgb;
    }
    Ok(Decoded {
        frame,
        layout: Layout::ByPixel,
    })
}

/// What the main header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    columns: u32,
    rows: u32,
    tiles: u64,
    components: u16,
    subsampled: bool,
    precision: u16,
    signed: bool,
    /// The multiple component transformation of COD.
    color_transform: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, PixelError> {
        // A codestream, or wrongly a whole JP2 file, in which the codestream is found by its start: SOC
        // directly followed by SIZ.
        let start = bytes
            .windows(4)
            .position(|window| window == [0xFF, 0x4F, 0xFF, 0x51])
            .ok_or(REFUSED)?;
        let mut rest = bytes.get(start + 2..).ok_or(REFUSED)?;
        let mut header = None;
        let mut color_transform = false;
        // Segments of the main header, up to the first tile-part; OpenJPEG leaves planes without memory
        // when there is none, so its presence is part of the check.
        loop {
            let (&[marker1, marker0, length1, length0], _) =
                rest.split_first_chunk::<4>().ok_or(REFUSED)?;
            let length = usize::from(u16::from_be_bytes([length1, length0]));
            let segment = rest.get(4..length + 2).ok_or(REFUSED)?;
            rest = rest.get(length + 2..).ok_or(REFUSED)?;
            match [marker1, marker0] {
                [0xFF, 0x51] => header = Some(Self::read_size(segment)?),
                [0xFF, 0x52] => {
                    color_transform = segment.get(4).is_some_and(|&transform| transform == 1)
                }
                [0xFF, 0x90] => break,
                _ => {}
            }
        }
        header
            .map(|header| Self {
                color_transform,
                ..header
            })
            .ok_or(REFUSED)
    }

    fn read_size(segment: &[u8]) -> Result<Self, PixelError> {
        let word = |offset: usize| -> Result<u32, PixelError> {
            let bytes = segment
                .get(offset..)
                .and_then(<[u8]>::first_chunk::<4>)
                .ok_or(REFUSED)?;
            Ok(u32::from_be_bytes(*bytes))
        };
        let [x1, y1, x0, y0, tile_width, tile_height, tile_x, tile_y] =
            [2, 6, 10, 14, 18, 22, 26, 30].map(word);
        let columns = x1?.checked_sub(x0?).ok_or(REFUSED)?;
        let rows = y1?.checked_sub(y0?).ok_or(REFUSED)?;
        let across = |end: u32, origin: u32, size: u32| match (end.checked_sub(origin), size) {
            (Some(extent), 1..) => Ok(u64::from(extent.div_ceil(size))),
            _ => Err(REFUSED),
        };
        let tiles =
            across(x1?, tile_x?, tile_width?)?.saturating_mul(across(y1?, tile_y?, tile_height?)?);
        let count = segment
            .get(34..)
            .and_then(<[u8]>::first_chunk::<2>)
            .ok_or(REFUSED)?;
        let components = segment.get(36..).ok_or(REFUSED)?.as_chunks::<3>().0;
        let first = components.first().ok_or(REFUSED)?;
        Ok(Self {
            columns,
            rows,
            tiles,
            components: u16::from_be_bytes(*count),
            subsampled: components.iter().any(|&[_, dx, dy]| dx != 1 || dy != 1),
            precision: components
                .iter()
                .map(|[depth, ..]| u16::from(depth & 0x7F) + 1)
                .max()
                .unwrap_or(0),
            signed: first.first().is_some_and(|depth| depth & 0x80 != 0),
            color_transform: false,
        })
    }

    fn check(&self, description: &ImageDescription) -> Result<(), PixelError> {
        if self.rows != description.rows || self.columns != description.columns {
            return Err(PixelError::Disagrees("rows or columns"));
        }
        if self.components != description.samples_per_pixel {
            return Err(PixelError::Disagrees("samples per pixel"));
        }
        if self.subsampled {
            return Err(PixelError::Unsupported("subsampled JPEG 2000 components"));
        }
        if self.precision > description.bits_allocated.min(16) {
            return Err(PixelError::Disagrees("more bits than allocated"));
        }
        let samples = description.pixel_count() * u64::from(description.samples_per_pixel);
        if samples > MAX_WIDE_CODEC_SAMPLES {
            return Err(PixelError::TooLarge {
                bytes: samples * 4,
                limit: MAX_WIDE_CODEC_SAMPLES * 4,
            });
        }
        if self.tiles > MAX_JPEG_2000_TILES {
            return Err(PixelError::Unsupported("this many JPEG 2000 tiles"));
        }
        Ok(())
    }
}
