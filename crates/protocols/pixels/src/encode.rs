//! From a rendered image to the bytes of a file: JPEG by libjpeg-turbo, which is given nothing but our own
//! pixels, and PNG.

use crate::error::PixelError;
use crate::render::RenderedImage;
use crate::request::OutputFormat;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

/// From this quality on, colour keeps its full resolution.
const FULL_COLOR_QUALITY: u8 = 90;

pub(crate) fn encode(
    image: &RenderedImage,
    format: OutputFormat,
    quality: u8,
) -> Result<Vec<u8>, PixelError> {
    match format {
        OutputFormat::Jpeg => jpeg(image, quality.clamp(1, 100)).map_err(|_| PixelError::Encode),
        OutputFormat::Png => png(image).map_err(|_| PixelError::Encode),
    }
}

fn jpeg(image: &RenderedImage, quality: u8) -> turbojpeg::Result<Vec<u8>> {
    let size = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
    let (format, subsampling) = match (image.channels, quality) {
        (1, _) => (PixelFormat::GRAY, Subsamp::Gray),
        (_, FULL_COLOR_QUALITY..) => (PixelFormat::RGB, Subsamp::None),
        _ => (PixelFormat::RGB, Subsamp::Sub2x2),
    };
    let mut compressor = Compressor::new()?;
    compressor.set_quality(quality.into())?;
    compressor.set_subsamp(subsampling)?;
    compressor.compress_to_vec(Image {
        pixels: &image.data,
        width: size(image.width),
        pitch: size(image.width) * usize::from(image.channels),
        height: size(image.height),
        format,
    })
}

fn png(image: &RenderedImage) -> image::ImageResult<Vec<u8>> {
    let color = if image.channels == 1 {
        ExtendedColorType::L8
    } else {
        ExtendedColorType::Rgb8
    };
    let mut out = Vec::new();
    PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Sub).write_image(
        &image.data,
        image.width,
        image.height,
        color,
    )?;
    Ok(out)
}
