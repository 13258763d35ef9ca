//! Why a run is refused: the input, as it is, must not be computed. Closed, so
//! that a page can explain each; every one carries its sentence for people and
//! none carries patient data. A refusal is final for its input revision: it is
//! never retried by itself.

use serde::{Deserialize, Serialize};

/// A reason not to compute.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "each variant's sentence is its documentation; numbers are millimetres, counts or degrees as it says"
)]
pub enum Refusal {
    #[error("The model takes {expected} images; this series is {found}.")]
    Modality { expected: String, found: String },
    #[error("The series holds only localizer images.")]
    OnlyLocalizers,
    #[error("The model does not take images of type {image_type}.")]
    ImageType { image_type: String },
    #[error("The series has {found} slices; the model needs at least {minimum}.")]
    TooFewSlices { found: usize, minimum: usize },
    #[error("The series has {found} slices; at most {maximum} can be computed.")]
    TooManySlices { found: usize, maximum: usize },
    #[error(
        "The images cover {found:.0} mm along one axis; the model needs at least {minimum:.0} mm."
    )]
    FieldOfView { found: f64, minimum: f64 },
    #[error("The slices lie {found:.1} mm apart; the model takes at most {maximum:.1} mm.")]
    SlicesTooFarApart { found: f64, maximum: f64 },
    #[error("Multi-frame images are not computed yet.")]
    MultiFrame,
    #[error("The images are in colour; the model takes grey values.")]
    Colour,
    #[error("{count} of the images say nothing of their position, orientation or pixel spacing.")]
    NoGeometry { count: usize },
    #[error("The images' orientation or pixel spacing is not possible.")]
    ImpossibleGeometry,
    #[error("The images are larger than can be computed ({rows} by {columns}).")]
    TooLarge { rows: usize, columns: usize },
    #[error("The images have different sizes or pixel spacings.")]
    MixedSizes,
    #[error("The images have {count} different orientations.")]
    MixedOrientations { count: usize },
    #[error(
        "The images belong to different frames of reference; their positions can't be compared."
    )]
    MixedFramesOfReference,
    #[error("The images belong to different studies or series.")]
    MixedSeries,
    #[error("The series holds {count} echoes; a volume of mixed echoes must not be computed.")]
    MultipleEchoes { count: usize },
    #[error(
        "{count} positions hold more than one image (several acquisitions, phases or contrasts in one series)."
    )]
    DuplicatePositions { count: usize },
    #[error(
        "About {count} slices are missing: one gap is {widest:.2} mm where {usual:.2} mm is usual."
    )]
    MissingSlices {
        count: usize,
        widest: f64,
        usual: f64,
    },
    #[error("The slices are not evenly spaced: gaps run from {narrowest:.2} to {widest:.2} mm.")]
    UnevenSpacing { narrowest: f64, widest: f64 },
    #[error("The slices are sheared by {degrees:.1} degrees (gantry tilt).")]
    GantryTilt { degrees: f64 },
    #[error("The slices are shifted sideways against each other by up to {millimetres:.1} mm.")]
    ShiftedSlices { millimetres: f64 },
    #[error("The pixels of an image could not be decoded: {problem}.")]
    Undecodable { problem: String },
    #[error("{text}")]
    NothingFound { text: String },
    #[error("The run needs about {needed_mb} MB of memory; {allowed_mb} MB are allowed.")]
    TooMuchMemory { needed_mb: u64, allowed_mb: u64 },
    #[error("The model can't be used: {problem}")]
    BrokenModel { problem: String },
}

impl Refusal {
    /// The reason's stable name, for machines.
    #[must_use]
    pub fn code(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| v.get("code").and_then(|c| c.as_str()).map(str::to_owned))
            .unwrap_or_else(|| "refused".to_owned())
    }
}

/// A remark that goes with a result: it was computed, but a reader must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable name, for machines.
    pub code: String,
    /// For people.
    pub text: String,
}
