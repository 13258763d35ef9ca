//! What turns stored values into grey levels or colours: modality, VOI and presentation transformations,
//! of the object or of its functional groups, and palettes (PS3.3 C.11.1, C.11.2, C.11.6, C.7.6.16.2.9
//! and .10). It reads them; [`crate::render_frame`] applies them.

use crate::description::{ImageDescription, first_item, float, floats, items, text};
use crate::error::PixelError;
use crate::limits::{MAX_PER_FRAME_GROUPS, MAX_VOI_ALTERNATIVES};
use crate::lut::Lut;
use crate::palette::Palette;
use crate::voi::{VoiFunction, Window};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::collections::BTreeMap;

/// From stored values to values with a unit (PS3.3 C.11.1).
#[derive(Debug, Clone, PartialEq)]
pub enum Modality {
    /// `slope × stored + intercept`; 1 and 0 where the object says nothing.
    Linear {
        /// Rescale Slope (0028,1053).
        slope: f64,
        /// Rescale Intercept (0028,1052).
        intercept: f64,
    },
    /// Modality LUT Sequence (0028,3000).
    Table(Lut),
}

impl Modality {
    /// The value for a stored value.
    pub fn apply(&self, stored: f64) -> f64 {
        match self {
            Self::Linear { slope, intercept } => stored * slope + intercept,
            Self::Table(lut) => f64::from(lut.look_up(stored)),
        }
    }
}

/// Presentation LUT Shape (2050,0020).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresentationShape {
    /// As it is.
    Identity,
    /// Inverted: the shape of an object that is MONOCHROME1 (PS3.3 C.8.11.3.1.2).
    Inverse,
}

/// The transformations that apply to a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Transform {
    /// Modality transformation, or why it can't be used.
    pub modality: Result<Modality, PixelError>,
    /// Windows in the object's order, valid or not.
    pub windows: Vec<Window>,
    /// Readable tables of the VOI LUT Sequence (0028,3010).
    pub voi_luts: Vec<Lut>,
}

/// Everything about an object's presentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Display {
    shared: Transform,
    per_frame: BTreeMap<u32, Transform>,
    /// Presentation LUT Shape.
    pub presentation: PresentationShape,
    /// The palette of a PALETTE COLOR image, or why it can't be used.
    pub palette: Option<Result<Palette, PixelError>>,
}

impl Display {
    /// Reads the presentation of a data set. It does not fail: what is broken is kept as an error where
    /// rendering cannot do without, and left out where it can.
    pub fn from_dataset(data_set: &InMemDicomObject, description: &ImageDescription) -> Self {
        let signed = description.signed;
        let shared_group = first_item(data_set, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let base = Transform::identity().overridden(data_set, signed);
        let shared = shared_group.map_or(base.clone(), |group| {
            base.with_functional_group(group, signed)
        });
        let per_frame = (0..)
            .zip(items(data_set, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE))
            .take(MAX_PER_FRAME_GROUPS)
            .filter(|(_, group)| {
                group
                    .get(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE)
                    .is_some()
                    || group.get(tags::FRAME_VOILUT_SEQUENCE).is_some()
            })
            .map(|(frame, group)| (frame, shared.clone().with_functional_group(group, signed)))
            .collect();
        Self {
            shared,
            per_frame,
            presentation: match text(data_set, tags::PRESENTATION_LUT_SHAPE).as_deref() {
                Some("INVERSE") => PresentationShape::Inverse,
                _ => PresentationShape::Identity,
            },
            palette: (description.photometric == crate::Photometric::PaletteColor)
                .then(|| Palette::from_dataset(data_set, signed)),
        }
    }

    /// The transformations of a frame, the first being 0.
    pub fn transform(&self, frame: u32) -> &Transform {
        self.per_frame.get(&frame).unwrap_or(&self.shared)
    }
}

impl Transform {
    fn identity() -> Self {
        Self {
            modality: Ok(Modality::Linear {
                slope: 1.0,
                intercept: 0.0,
            }),
            windows: Vec::new(),
            voi_luts: Vec::new(),
        }
    }

    fn with_functional_group(self, group: &InMemDicomObject, signed: bool) -> Self {
        [
            tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
            tags::FRAME_VOILUT_SEQUENCE,
        ]
        .into_iter()
        .filter_map(|tag| first_item(group, tag))
        .fold(self, |transform, item| transform.overridden(item, signed))
    }

    /// What `source` says replaces what was said before.
    fn overridden(mut self, source: &InMemDicomObject, signed: bool) -> Self {
        if let Some(item) = first_item(source, tags::MODALITY_LUT_SEQUENCE) {
            self.modality =
                Lut::read(item, tags::LUT_DESCRIPTOR, tags::LUT_DATA, signed).map(Modality::Table);
        } else if source.get(tags::RESCALE_SLOPE).is_some()
            || source.get(tags::RESCALE_INTERCEPT).is_some()
        {
            self.modality = read_rescale(source);
        }
        let windows = read_windows(source);
        if !windows.is_empty() {
            self.windows = windows;
        }
        let negative_inputs = match &self.modality {
            Ok(Modality::Linear { slope, intercept }) => signed || *intercept < 0.0 || *slope < 0.0,
            _ => false,
        };
        let voi_luts: Vec<Lut> = items(source, tags::VOILUT_SEQUENCE)
            .iter()
            .take(MAX_VOI_ALTERNATIVES)
            .filter_map(|item| {
                Lut::read(item, tags::LUT_DESCRIPTOR, tags::LUT_DATA, negative_inputs).ok()
            })
            .collect();
        if !voi_luts.is_empty() {
            self.voi_luts = voi_luts;
        }
        self
    }
}

fn read_rescale(source: &InMemDicomObject) -> Result<Modality, PixelError> {
    let slope = float(source, tags::RESCALE_SLOPE).unwrap_or(1.0);
    let intercept = float(source, tags::RESCALE_INTERCEPT).unwrap_or(0.0);
    if !slope.is_finite() || !intercept.is_finite() {
        return Err(PixelError::Lie {
            attribute: "Rescale Slope or Intercept",
            reason: "not a number",
        });
    }
    // A slope of 0 would make every pixel the same; it stands for "none" in old files.
    Ok(Modality::Linear {
        slope: if slope == 0.0 { 1.0 } else { slope },
        intercept,
    })
}

fn read_windows(source: &InMemDicomObject) -> Vec<Window> {
    let function = VoiFunction::parse(text(source, tags::VOILUT_FUNCTION).as_deref());
    let explanations = text(source, tags::WINDOW_CENTER_WIDTH_EXPLANATION).unwrap_or_default();
    let mut explanations = explanations.split('\\').map(|text| text.trim().to_owned());
    std::iter::zip(
        floats(source, tags::WINDOW_CENTER),
        floats(source, tags::WINDOW_WIDTH),
    )
    .take(MAX_VOI_ALTERNATIVES)
    .map(|(center, width)| Window {
        center,
        width,
        function,
        explanation: explanations.next().filter(|text| !text.is_empty()),
    })
    .collect()
}
