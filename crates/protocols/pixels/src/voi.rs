//! Windows (PS3.3 C.11.2.1.2): from a modality value to a fraction of the display range.

/// VOI LUT Function (0028,1056).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoiFunction {
    /// C.11.2.1.2.1, the default.
    Linear,
    /// C.11.2.1.3.2.
    LinearExact,
    /// C.11.2.1.3.1.
    Sigmoid,
}

impl VoiFunction {
    /// The Defined Term of (0028,1056); anything unknown is the default.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("LINEAR_EXACT") => Self::LinearExact,
            Some("SIGMOID") => Self::Sigmoid,
            _ => Self::Linear,
        }
    }
}

/// One window, in units of the modality transformation's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Window Center (0028,1050).
    pub center: f64,
    /// Window Width (0028,1051).
    pub width: f64,
    /// How centre and width are meant.
    pub function: VoiFunction,
    /// Window Center & Width Explanation (0028,1055).
    pub explanation: Option<String>,
}

impl Window {
    /// A window without explanation.
    pub fn new(center: f64, width: f64, function: VoiFunction) -> Self {
        Self {
            center,
            width,
            function,
            explanation: None,
        }
    }

    /// The window that shows `low` as the darkest and `high` as the brightest.
    pub fn spanning(low: f64, high: f64) -> Self {
        Self::new(low / 2.0 + high / 2.0, high - low, VoiFunction::LinearExact)
    }

    /// LINEAR needs a width of at least 1, the others more than 0; a window that is not valid counts as
    /// absent, since a width of 0 is what scanners write when they have none.
    pub fn is_valid(&self) -> bool {
        let width = match self.function {
            VoiFunction::Linear => self.width >= 1.0,
            VoiFunction::LinearExact | VoiFunction::Sigmoid => self.width > 0.0,
        };
        width && self.center.is_finite() && self.width.is_finite()
    }

    /// The fraction of the display range for a value, 0 to 1.
    pub fn apply(&self, value: f64) -> f64 {
        let Self { center, width, .. } = *self;
        match self.function {
            VoiFunction::Linear => ramp(value - (center - 0.5), width - 1.0),
            VoiFunction::LinearExact => ramp(value - center, width),
            VoiFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        }
    }
}

/// 0 up to half a width below zero, 1 from half a width above.
fn ramp(distance: f64, width: f64) -> f64 {
    if distance <= -width / 2.0 {
        0.0
    } else if distance > width / 2.0 {
        1.0
    } else {
        distance / width + 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_is_the_formula_of_the_standard() {
        // The example in C.11.2.1.2.1: centre 2048, width 4096, 8-bit output: 0 is 0, 4095 is 255.
        let window = Window::new(2048.0, 4096.0, VoiFunction::Linear);
        assert_eq!(window.apply(0.0), 0.0);
        assert_eq!(window.apply(4095.0), 1.0);
        // Width 1 is a threshold: centre 100 shows 99 black and 100 white.
        let threshold = Window::new(100.0, 1.0, VoiFunction::Linear);
        assert_eq!(
            [99.0, 100.0].map(|value| threshold.apply(value)),
            [0.0, 1.0]
        );
    }

    #[test]
    fn exact_and_sigmoid_are_symmetric_about_the_centre() {
        for function in [VoiFunction::LinearExact, VoiFunction::Sigmoid] {
            let window = Window::new(40.0, 80.0, function);
            assert_eq!(window.apply(40.0), 0.5);
            assert!((window.apply(50.0) + window.apply(30.0) - 1.0).abs() < 1e-12);
        }
        assert!(
            (Window::new(0.0, 4.0, VoiFunction::Sigmoid).apply(1.0) - 0.731_058_578_6).abs() < 1e-9
        );
    }

    #[test]
    fn a_window_without_width_is_no_window() {
        for width in [0.0, 0.5, -100.0, f64::NAN, f64::INFINITY] {
            assert!(
                !Window::new(0.0, width, VoiFunction::Linear).is_valid(),
                "{width}"
            );
        }
        assert!(Window::new(0.0, 0.5, VoiFunction::LinearExact).is_valid());
        assert!(!Window::new(0.0, 0.0, VoiFunction::Sigmoid).is_valid());
    }
}
