//! Viewport scaling (PS3.18 §8.3.5.1.3): a region of the frame, perhaps flipped, scaled into a box with
//! its aspect ratio kept.

use crate::error::PixelError;
use crate::limits::{MAX_VIEWPORT_PIXELS, MAX_VIEWPORT_SIDE};
use crate::render::RenderedImage;
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Pixel, Rgb};

/// Where a rendered image goes and what of the frame it shows. Lengths in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    width: u32,
    height: u32,
    /// Left, top; absent: 0.
    origin: (f64, f64),
    /// Width, height; absent: the rest of the frame; negative: flipped.
    extent: (Option<f64>, Option<f64>),
    enlarge: bool,
}

fn fail(reason: &'static str) -> PixelError {
    PixelError::Parameter {
        parameter: "viewport",
        reason,
    }
}

impl Viewport {
    /// The whole frame within a box.
    ///
    /// # Errors
    /// [`PixelError::Parameter`] when a side is 0 or beyond the limit.
    pub fn fit(width: u32, height: u32) -> Result<Self, PixelError> {
        if [width, height]
            .iter()
            .any(|side| !(1..=MAX_VIEWPORT_SIDE).contains(side))
        {
            return Err(fail("width or height is out of range"));
        }
        Ok(Self {
            width,
            height,
            origin: (0.0, 0.0),
            extent: (None, None),
            enlarge: true,
        })
    }

    /// As [`Viewport::fit`], but a smaller frame keeps its size.
    pub(crate) fn shrink(side: u32) -> Self {
        Self {
            width: side,
            height: side,
            origin: (0.0, 0.0),
            extent: (None, None),
            enlarge: false,
        }
    }

    /// Reads `vw,vh[,sx,sy,sw,sh]`; the last four may be empty.
    pub(crate) fn parse(text: &str) -> Result<Self, PixelError> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let (Some(width), Some(height)) = (parts.first(), parts.get(1)) else {
            return Err(fail("needs width and height"));
        };
        if parts.len() > 6 {
            return Err(fail("has more than six values"));
        }
        let side = |text: &str| {
            text.parse::<u32>()
                .map_err(|_| fail("width or height is not a whole number"))
        };
        let optional =
            |index: usize| match parts.get(index).copied().filter(|text| !text.is_empty()) {
                None => Ok(None),
                Some(text) => match text.parse::<f64>() {
                    Ok(value) if value.is_finite() => Ok(Some(value)),
                    _ => Err(fail("region is not made of numbers")),
                },
            };
        let origin = (optional(2)?.unwrap_or(0.0), optional(3)?.unwrap_or(0.0));
        if origin.0 < 0.0 || origin.1 < 0.0 {
            return Err(fail("region starts outside the image"));
        }
        let extent = (optional(4)?, optional(5)?);
        if extent.0 == Some(0.0) || extent.1 == Some(0.0) {
            return Err(fail("region is empty"));
        }
        Ok(Self {
            origin,
            extent,
            ..Self::fit(side(width)?, side(height)?)?
        })
    }

    /// Applies the viewport.
    pub(crate) fn apply(&self, source: RenderedImage) -> Result<RenderedImage, PixelError> {
        let (x, width) = span(self.origin.0, self.extent.0, source.width)?;
        let (y, height) = span(self.origin.1, self.extent.1, source.height)?;
        let (out_width, out_height) = self.fitted(width, height);
        let enlarged = out_width > width || out_height > height;
        if enlarged && u64::from(out_width) * u64::from(out_height) > MAX_VIEWPORT_PIXELS {
            return Err(fail("enlarges the image beyond the limit"));
        }
        let plan = Plan {
            region: (x, y, width, height),
            flips: [self.extent.0, self.extent.1]
                .map(|length| length.is_some_and(|length| length < 0.0)),
            size: (out_width, out_height),
        };
        let channels = source.channels;
        let data = if channels == 1 {
            plan.run::<Luma<u8>>(source)
        } else {
            plan.run::<Rgb<u8>>(source)
        }?;
        Ok(RenderedImage {
            width: out_width,
            height: out_height,
            channels,
            data,
        })
    }

    /// The largest size within the box that has the region's aspect ratio.
    fn fitted(&self, width: u32, height: u32) -> (u32, u32) {
        let scale = (f64::from(self.width) / f64::from(width))
            .min(f64::from(self.height) / f64::from(height));
        let scale = if self.enlarge { scale } else { scale.min(1.0) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, then clamped"
        )]
        let side = |length: u32, limit: u32| {
            ((f64::from(length) * scale).round() as u32).clamp(1, limit.max(1))
        };
        if scale >= 1.0 && !self.enlarge {
            return (width, height);
        }
        (side(width, self.width), side(height, self.height))
    }
}

/// Start and length of the region within `side`; what reaches beyond the image is cut off.
fn span(start: f64, length: Option<f64>, side: u32) -> Result<(u32, u32), PixelError> {
    let side_length = f64::from(side);
    let end = length
        .map_or(side_length, |length| start + length.abs())
        .min(side_length);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 0 and side"
    )]
    let (from, to) = (start.min(side_length).floor() as u32, end.ceil() as u32);
    match to.checked_sub(from) {
        Some(length @ 1..) => Ok((from, length)),
        _ => Err(fail("region lies outside the image")),
    }
}

struct Plan {
    region: (u32, u32, u32, u32),
    flips: [bool; 2],
    size: (u32, u32),
}

impl Plan {
    fn run<P>(&self, source: RenderedImage) -> Result<Vec<u8>, PixelError>
    where
        P: Pixel<Subpixel = u8> + 'static,
    {
        let mut image =
            ImageBuffer::<P, Vec<u8>>::from_raw(source.width, source.height, source.data)
                .ok_or(PixelError::Encode)?;
        let (x, y, width, height) = self.region;
        if (width, height) != image.dimensions() {
            image = imageops::crop_imm(&image, x, y, width, height).to_image();
        }
        let (out_width, out_height) = self.size;
        if (out_width, out_height) != image.dimensions() {
            image = if out_width <= width && out_height <= height {
                // Each pixel the mean of those it covers; needs no memory beside the result.
                imageops::thumbnail(&image, out_width, out_height)
            } else {
                imageops::resize(&image, out_width, out_height, FilterType::Triangle)
            };
        }
        let [horizontal, vertical] = self.flips;
        if horizontal {
            imageops::flip_horizontal_in_place(&mut image);
        }
        if vertical {
            imageops::flip_vertical_in_place(&mut image);
        }
        Ok(image.into_raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> RenderedImage {
        RenderedImage {
            width: 4,
            height: 2,
            channels: 1,
            data: vec![0, 1, 2, 3, 4, 5, 6, 7],
        }
    }

    fn check(viewport: &str, width: u32, height: u32, data: &[u8]) {
        let image = Viewport::parse(viewport).unwrap().apply(source()).unwrap();
        assert_eq!(
            (image.width, image.height, image.data.as_slice()),
            (width, height, data),
            "{viewport}"
        );
    }

    #[test]
    fn regions_are_cut_and_flipped() {
        check("4,2", 4, 2, &[0, 1, 2, 3, 4, 5, 6, 7]);
        check("2,2,1,0,2,2", 2, 2, &[1, 2, 5, 6]);
        check("4,2,,,-4,2", 4, 2, &[3, 2, 1, 0, 7, 6, 5, 4]);
        check("4,2,0,0,4,-2", 4, 2, &[4, 5, 6, 7, 0, 1, 2, 3]);
        check("2,2,3,1,9,9", 2, 2, &[7, 7, 7, 7]);
    }

    #[test]
    fn the_aspect_ratio_is_kept() {
        check("2,9", 2, 1, &[3, 5]);
        let image = Viewport::parse("100,100").unwrap().apply(source()).unwrap();
        assert_eq!((image.width, image.height), (100, 50));
        let image = Viewport::shrink(100).apply(source()).unwrap();
        assert_eq!((image.width, image.height), (4, 2));
    }

    #[test]
    fn viewports_that_cannot_be_are_refused() {
        for bad in [
            "",
            "4",
            "0,4",
            "4,0",
            "-4,4",
            "99999,1",
            "4,4,-1,0",
            "4,4,0,0,0,1",
            "4,4,x,0",
            "1,1,1,1,1,1,1",
        ] {
            assert!(Viewport::parse(bad).is_err(), "{bad}");
        }
        assert!(Viewport::parse("4,4,4,0").unwrap().apply(source()).is_err());
        assert!(
            Viewport::parse("16384,16384")
                .unwrap()
                .apply(source())
                .is_err()
        );
    }
}
