//! The query parameters of a rendered resource (PS3.18 §8.3.5.1), read and bounded.

use crate::error::PixelError;
use crate::limits::DEFAULT_JPEG_QUALITY;
use crate::viewport::Viewport;
use crate::voi::{VoiFunction, Window};

/// Media type of a rendered image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// image/jpeg, 8-bit grey or YCbCr.
    Jpeg,
    /// image/png, 8-bit grey or RGB.
    Png,
}

/// How a frame is to be rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderRequest {
    /// The media type.
    pub format: OutputFormat,
    /// Takes the place of the object's windows and VOI LUTs.
    pub window: Option<Window>,
    /// Region, size and flips; absent: the whole frame in its own size.
    pub viewport: Option<Viewport>,
    /// 1 to 100; JPEG only.
    pub quality: u8,
}

impl RenderRequest {
    /// The whole frame, in the object's own window.
    pub fn new(format: OutputFormat) -> Self {
        Self {
            format,
            window: None,
            viewport: None,
            quality: DEFAULT_JPEG_QUALITY,
        }
    }

    /// `window=center,width,function` (PS3.18 §8.3.5.1.4); function `linear`, `linear-exact` or
    /// `sigmoid`, `linear` where left out.
    ///
    /// # Errors
    /// [`PixelError::Parameter`].
    pub fn with_window(mut self, text: &str) -> Result<Self, PixelError> {
        let fail = |reason| PixelError::Parameter {
            parameter: "window",
            reason,
        };
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let (center, width, function) = match parts.as_slice() {
            [center, width] => (center, width, "linear"),
            [center, width, function] => (center, width, *function),
            _ => return Err(fail("is not center,width,function")),
        };
        let number = |text: &str| {
            text.parse::<f64>()
                .map_err(|_| fail("center or width is not a number"))
        };
        let function = match function.to_ascii_lowercase().as_str() {
            "linear" => VoiFunction::Linear,
            "linear-exact" => VoiFunction::LinearExact,
            "sigmoid" => VoiFunction::Sigmoid,
            _ => return Err(fail("function is none of linear, linear-exact, sigmoid")),
        };
        let window = Window::new(number(center)?, number(width)?, function);
        if !window.is_valid() {
            return Err(fail("width is too small for the function"));
        }
        self.window = Some(window);
        Ok(self)
    }

    /// `viewport=vw,vh[,sx,sy,sw,sh]` (PS3.18 §8.3.5.1.3).
    ///
    /// # Errors
    /// [`PixelError::Parameter`].
    pub fn with_viewport(mut self, text: &str) -> Result<Self, PixelError> {
        self.viewport = Some(Viewport::parse(text)?);
        Ok(self)
    }

    /// `quality`, 1 to 100 (PS3.18 §8.3.5.1.2).
    ///
    /// # Errors
    /// [`PixelError::Parameter`].
    pub fn with_quality(mut self, text: &str) -> Result<Self, PixelError> {
        self.quality = text
            .trim()
            .parse()
            .ok()
            .filter(|quality| (1..=100).contains(quality))
            .ok_or(PixelError::Parameter {
                parameter: "quality",
                reason: "is not a whole number from 1 to 100",
            })?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_bad_ones_refused() {
        let request = || RenderRequest::new(OutputFormat::Png);
        let window = |text: &str| {
            request()
                .with_window(text)
                .map(|request| request.window.unwrap())
        };
        assert_eq!(
            window("40,400,linear").unwrap(),
            Window::new(40.0, 400.0, VoiFunction::Linear)
        );
        assert_eq!(
            window("-1.5, .5 ,SIGMOID").unwrap(),
            Window::new(-1.5, 0.5, VoiFunction::Sigmoid)
        );
        for bad in [
            "",
            "40",
            "40,0,linear",
            "40,-400,linear",
            "40,400,cubic",
            "nan,400,linear",
            "1,2,linear,4",
        ] {
            assert!(window(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quality_is_1_to_100() {
        for (text, good) in [
            ("1", true),
            ("100", true),
            ("0", false),
            ("101", false),
            ("high", false),
        ] {
            assert_eq!(
                RenderRequest::new(OutputFormat::Jpeg)
                    .with_quality(text)
                    .is_ok(),
                good,
                "{text}"
            );
        }
    }
}
