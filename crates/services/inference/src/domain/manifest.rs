//! The manifest of a model folder, `hilum-model.toml`: who made the model, for
//! what, which series it takes, the graph of steps, the segments and
//! measurements that come out, and the figures it must reproduce. Strict: what
//! is not known is an error, because a misspelt step would compute something else.

use serde::{Deserialize, Serialize};

use crate::domain::geometry::Wanted;
use crate::domain::graph::step::Step;
use crate::domain::results::Code;
use crate::limits::{MANIFEST_BYTES_MAX, SLICES_MAX};

/// The manifest's name in its folder.
pub const FILE_NAME: &str = "hilum-model.toml";

/// The only format so far.
const FORMAT: u32 = 1;

/// The manifest can't be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(pub String);

/// A whole manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this file.
    pub format: u32,
    /// Who it is.
    pub model: Identity,
    /// What it is for.
    pub intended_use: IntendedUse,
    /// What it takes.
    pub input: Input,
    /// What is computed, in this order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// What comes out.
    #[serde(rename = "segment")]
    pub segments: Vec<SegmentOutput>,
    /// What is measured.
    #[serde(rename = "measurement", default)]
    pub measurements: Vec<MeasurementOutput>,
    /// Figures that must be reproduced before it is used.
    pub gate: Option<Gate>,
}

/// Who a model is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The folder's name; part of the key of every result.
    pub name: String,
    /// Changes with anything that may change a result.
    pub version: String,
    /// For people.
    pub title: String,
    /// Who made it.
    pub vendor: String,
    /// SPDX expression of the weights' licence.
    pub license: String,
    /// Where it comes from.
    pub source: String,
}

/// What a model is for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntendedUse {
    /// For people.
    pub statement: String,
    /// Whether its output must never be used for care.
    pub not_for_clinical_use: bool,
    /// Outside of these the result carries a warning.
    #[serde(rename = "condition", default)]
    pub conditions: Vec<Condition>,
}

/// An attribute that the input should have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Stable name of the warning.
    pub code: String,
    /// Keyword of the DICOM attribute.
    pub attribute: String,
    /// Smallest number that is fine.
    pub min: Option<f64>,
    /// Greatest number that is fine.
    pub max: Option<f64>,
    /// The values that are fine.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// Whether a missing attribute also warns.
    #[serde(default)]
    pub required: bool,
    /// What a reader is told.
    pub text: String,
}

const fn yes() -> bool {
    true
}

/// Which series a model takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The selection, for people.
    pub selects: String,
    /// Whether a series that fits starts a run by itself. A model that is
    /// there for tests does not.
    #[serde(default = "yes")]
    pub automatic: bool,
    /// Modality (0008,0060).
    pub modality: String,
    /// Values of Image Type (0008,0008) that are not taken.
    #[serde(default)]
    pub image_type_excludes: Vec<String>,
    /// Fewest slices.
    pub min_slices: usize,
    /// Most slices.
    #[serde(default = "slices_max")]
    pub max_slices: usize,
    /// Widest slice distance.
    pub max_slice_distance_mm: Option<f64>,
    /// Shortest extent along any axis.
    pub min_extent_mm: Option<f64>,
    /// The name by which steps call the volume.
    #[serde(rename = "as")]
    pub value: String,
}

fn slices_max() -> usize {
    SLICES_MAX
}

impl Input {
    /// What geometry has to check.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted {
            min_slices: self.min_slices,
            max_slices: self.max_slices,
            max_slice_distance: self.max_slice_distance_mm,
            min_extent: self.min_extent_mm,
        }
    }
}

/// A coded concept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coded {
    /// Code Value.
    pub code: String,
    /// Coding Scheme Designator.
    pub scheme: String,
    /// Code Meaning.
    pub meaning: String,
}

impl From<&Coded> for Code {
    fn from(c: &Coded) -> Self {
        Self::new(&c.code, &c.scheme, &c.meaning)
    }
}

/// A mask that becomes a segment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentOutput {
    /// Label; what measurements call it.
    pub label: String,
    /// The mask value.
    pub mask: String,
    /// Segmented property category.
    pub category: Coded,
    /// Segmented property type.
    #[serde(rename = "type")]
    pub property_type: Coded,
    /// Display colour, sRGB.
    pub color: [u8; 3],
    /// Why the run is refused when the mask is empty.
    pub when_empty: String,
}

/// What is measured of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Voxels times the volume of one, in cm³.
    Volume,
}

/// A measurement of a segment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementOutput {
    /// The segment's label.
    pub segment: String,
    /// What is measured.
    pub quantity: Quantity,
    /// Concept.
    pub concept: Coded,
    /// Unit, UCUM.
    pub unit: Coded,
}

/// Figures on a reference series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The file with the figures, in the model's folder.
    pub reference: String,
    /// The segment whose figures they are.
    pub segment: String,
    /// How far the volume may be off, as a share.
    pub volume_tolerance: f64,
    /// How far a slice may be off, as a share; absent: slices are not compared.
    pub slice_tolerance: Option<f64>,
    /// A slice may always be off by this many voxels.
    #[serde(default)]
    pub slice_voxels: u64,
}

impl Manifest {
    /// Reads a manifest's text. The graph is checked by [`crate::domain::graph::Graph::new`].
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MANIFEST_BYTES_MAX {
            return Err(ManifestError(format!(
                "the manifest is larger than {MANIFEST_BYTES_MAX} bytes"
            )));
        }
        let manifest: Self = toml::from_str(text).map_err(|e| ManifestError(e.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let fail = |text: String| Err(ManifestError(text));
        if self.format != FORMAT {
            return fail(format!(
                "format {} is not known; this version reads format {FORMAT}",
                self.format
            ));
        }
        let plain = |s: &str| {
            !s.is_empty()
                && s.len() <= 64
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
                && !s.starts_with('.')
        };
        if !plain(&self.model.name) || !plain(&self.model.version) {
            return fail(
                "name and version are 1 to 64 letters, digits, '-', '.' or '_'".to_owned(),
            );
        }
        for file in self.files() {
            if !plain(file) {
                return fail(format!(
                    "{file:?} is not the name of a file in the model's own folder"
                ));
            }
        }
        if self.segments.is_empty() {
            return fail("a model has at least one [[segment]]".to_owned());
        }
        for (index, segment) in self.segments.iter().enumerate() {
            if self
                .segments
                .iter()
                .skip(index + 1)
                .any(|s| s.label == segment.label)
            {
                return fail(format!("two segments are labelled {:?}", segment.label));
            }
        }
        let known = |label: &str| self.segments.iter().any(|s| s.label == label);
        for m in &self.measurements {
            if !known(&m.segment) {
                return fail(format!(
                    "a measurement names the segment {:?}, which does not exist",
                    m.segment
                ));
            }
        }
        if let Some(gate) = self.gate.as_ref().filter(|g| !known(&g.segment)) {
            return fail(format!(
                "the gate names the segment {:?}, which does not exist",
                gate.segment
            ));
        }
        crate::domain::intended_use::check(&self.intended_use.conditions)
    }

    /// Every file of the folder that the manifest names, the ONNX files first.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let networks = self.steps.iter().filter_map(|s| match s {
            Step::Network { file, .. } => Some(file.as_str()),
            _ => None,
        });
        networks.chain(self.gate.iter().map(|g| g.reference.as_str()))
    }
}
