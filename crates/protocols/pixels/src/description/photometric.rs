//! Photometric Interpretation (PS3.3 C.7.6.3.1.2), as the closed set that can be rendered.

use crate::error::PixelError;

/// What the samples of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    /// Lowest value white.
    Monochrome1,
    /// Lowest value black.
    Monochrome2,
    /// An index into three palettes.
    PaletteColor,
    /// Red, green, blue.
    Rgb,
    /// Luminance and chrominance of full range.
    YbrFull,
    /// As [`Photometric::YbrFull`], chrominance at half the horizontal resolution when native.
    YbrFull422,
    /// Luminance 16–235, chrominance 16–240 (retired), subsampled when native.
    YbrPartial422,
    /// As [`Photometric::YbrPartial422`], also vertically subsampled; only ever compressed.
    YbrPartial420,
    /// JPEG 2000 irreversible colour transformation.
    YbrIct,
    /// JPEG 2000 reversible colour transformation.
    YbrRct,
    /// JPEG XL's own colour space.
    Xyb,
}

impl Photometric {
    pub(crate) fn parse(text: Option<&str>, samples_per_pixel: u16) -> Result<Self, PixelError> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            // Type 1, but absent in old scanners' files: the number of samples leaves one likely meaning.
            return match samples_per_pixel {
                1 => Ok(Self::Monochrome2),
                3 => Ok(Self::Rgb),
                _ => Err(PixelError::Missing("Photometric Interpretation")),
            };
        };
        Ok(match text {
            "MONOCHROME1" => Self::Monochrome1,
            "MONOCHROME2" => Self::Monochrome2,
            "PALETTE COLOR" => Self::PaletteColor,
            "RGB" => Self::Rgb,
            "YBR_FULL" => Self::YbrFull,
            "YBR_FULL_422" => Self::YbrFull422,
            "YBR_PARTIAL_422" => Self::YbrPartial422,
            "YBR_PARTIAL_420" => Self::YbrPartial420,
            "YBR_ICT" => Self::YbrIct,
            "YBR_RCT" => Self::YbrRct,
            "XYB" => Self::Xyb,
            _ => return Err(PixelError::Unsupported("this photometric interpretation")),
        })
    }

    /// The Defined Term of (0028,0004).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monochrome1 => "MONOCHROME1",
            Self::Monochrome2 => "MONOCHROME2",
            Self::PaletteColor => "PALETTE COLOR",
            Self::Rgb => "RGB",
            Self::YbrFull => "YBR_FULL",
            Self::YbrFull422 => "YBR_FULL_422",
            Self::YbrPartial422 => "YBR_PARTIAL_422",
            Self::YbrPartial420 => "YBR_PARTIAL_420",
            Self::YbrIct => "YBR_ICT",
            Self::YbrRct => "YBR_RCT",
            Self::Xyb => "XYB",
        }
    }

    /// Samples that a pixel has.
    pub fn samples_per_pixel(self) -> u16 {
        if self.is_single() { 1 } else { 3 }
    }

    /// MONOCHROME1 or MONOCHROME2.
    pub fn is_monochrome(self) -> bool {
        matches!(self, Self::Monochrome1 | Self::Monochrome2)
    }

    pub(crate) fn is_single(self) -> bool {
        self.is_monochrome() || self == Self::PaletteColor
    }

    /// Chrominance is subsampled in native form.
    pub(crate) fn is_subsampled(self) -> bool {
        matches!(
            self,
            Self::YbrFull422 | Self::YbrPartial422 | Self::YbrPartial420
        )
    }
}
