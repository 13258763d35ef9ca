//! A model's steps as a checked graph of named values. Checked when the model
//! is loaded: every input exists and has the right kind and grid, every name
//! is given once, every mask that comes out lies on the source's grid. What
//! passes can only fail at run time for the input's or the runtime's sake.

mod estimate;
mod run;
mod shape;
pub mod step;

use std::collections::HashMap;

pub use estimate::BASE_BYTES;
pub use run::{NetworkCall, Networks, Outcome, RunError, run};
pub use shape::{Grid, Kind};

use crate::domain::graph::step::Step;
use crate::domain::manifest::{Manifest, ManifestError};
use crate::limits::STEPS_MAX;

/// The checked graph of one manifest.
#[derive(Clone, Debug)]
pub struct Graph {
    source: String,
    steps: Vec<Step>,
    kinds: HashMap<String, Kind>,
    outputs: Vec<String>,
}

impl Graph {
    /// Checks the steps of `manifest`.
    ///
    /// # Errors
    /// Which step is wrong, and why.
    pub fn new(manifest: &Manifest) -> Result<Self, ManifestError> {
        if manifest.steps.len() > STEPS_MAX {
            return Err(ManifestError(format!("more than {STEPS_MAX} steps")));
        }
        let source = manifest.input.value.clone();
        let mut kinds = HashMap::from([(source.clone(), Kind::Volume(Grid::Source))]);
        for (index, step) in manifest.steps.iter().enumerate() {
            let at = |text: String| {
                ManifestError(format!("step {} ({}): {text}", index + 1, step.label()))
            };
            let kind = shape::of(step, &kinds).map_err(at)?;
            if kinds.insert(step.output().to_owned(), kind).is_some() {
                return Err(at(format!("the name {:?} is given twice", step.output())));
            }
        }
        let outputs: Vec<String> = manifest.segments.iter().map(|s| s.mask.clone()).collect();
        for name in &outputs {
            match kinds.get(name) {
                Some(Kind::Mask(Grid::Source | Grid::Ras)) => {}
                Some(_) => {
                    return Err(ManifestError(format!(
                        "the segment's mask {name:?} is not a mask on the source's grid"
                    )));
                }
                None => {
                    return Err(ManifestError(format!(
                        "the segment's mask {name:?} does not exist"
                    )));
                }
            }
        }
        Ok(Self {
            source,
            steps: manifest.steps.clone(),
            kinds,
            outputs,
        })
    }

    /// Index of the last step that needs each value's memory; masks that come out are needed to the end.
    fn last_uses(&self) -> HashMap<&str, usize> {
        let mut last: HashMap<&str, usize> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            for name in step.reads() {
                last.insert(name, index);
            }
        }
        for name in &self.outputs {
            last.insert(name, self.steps.len());
        }
        last
    }
}

impl Step {
    /// What it does, as people read it.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::ReorientRas { .. } => "reorient",
            Self::ReplaceNonFinite { .. } => "replace non-finite",
            Self::Resize { .. } => "resize",
            Self::QuantileWindow { .. } => "quantile window",
            Self::RescaleWindow { .. } => "rescale",
            Self::Standardise { .. } => "standardise",
            Self::Affine { .. } => "affine",
            Self::Clip { .. } => "clip",
            Self::DivideByMaximum { .. } => "divide by maximum",
            Self::Network { .. } => "network",
            Self::Threshold { .. } => "threshold",
            Self::LargestComponent { .. } => "largest component",
            Self::FillHoles { .. } => "fill holes",
            Self::BoundingBox { .. } => "bounding box",
            Self::Crop { .. } => "crop",
            Self::Paste { .. } => "paste",
        }
    }

    fn names(&self) -> (&str, &str) {
        match self {
            Self::ReorientRas { input, output }
            | Self::ReplaceNonFinite { input, output, .. }
            | Self::Resize { input, output, .. }
            | Self::QuantileWindow { input, output, .. }
            | Self::RescaleWindow { input, output, .. }
            | Self::Standardise { input, output }
            | Self::Affine { input, output, .. }
            | Self::Clip { input, output, .. }
            | Self::DivideByMaximum { input, output }
            | Self::Network { input, output, .. }
            | Self::Threshold { input, output, .. }
            | Self::LargestComponent { input, output, .. }
            | Self::FillHoles { input, output }
            | Self::BoundingBox { input, output, .. }
            | Self::Crop { input, output, .. }
            | Self::Paste { input, output, .. } => (input, output),
        }
    }

    fn input(&self) -> &str {
        self.names().0
    }

    fn output(&self) -> &str {
        self.names().1
    }

    /// The values whose content it reads. A value that only lends its size is not read.
    fn reads(&self) -> impl Iterator<Item = &str> {
        let other = match self {
            Self::RescaleWindow { window, .. } => Some(window.as_str()),
            Self::Crop { region, .. } | Self::Paste { region, .. } => Some(region.as_str()),
            _ => None,
        };
        [self.input()].into_iter().chain(other)
    }

    /// Its share of a run's time, roughly: networks take nearly all of it.
    fn weight(&self) -> u32 {
        if matches!(self, Self::Network { .. }) {
            20
        } else {
            1
        }
    }
}

#[cfg(test)]
mod tests;
