//! How much memory a run will take at most, from the geometry alone: what is
//! alive at each step, what the step adds, and what its network declares.

use std::collections::HashMap;

use super::{Graph, Grid, Kind};
use crate::domain::graph::step::{Method, Step};
use crate::domain::volume::{Dims, voxels};

/// A worker with ONNX Runtime loaded and nothing to do.
pub const BASE_BYTES: u64 = 256 * 1024 * 1024;
const MEGABYTE: u64 = 1024 * 1024;
/// Runs of components take 21 bytes each; masks worth computing have far fewer than one in ten voxels.
const COMPONENT_BYTES_A_VOXEL: u64 = 2;

impl Graph {
    /// Peak bytes of a run on a source of `dims` (slice, row, column).
    #[must_use]
    pub fn estimate(&self, dims: Dims) -> u64 {
        let count = |grid: &Grid| -> u64 {
            let dims = match grid {
                Grid::Fixed(dims) => *dims,
                // At most all of it.
                Grid::Source | Grid::Ras | Grid::Region(_) => dims,
            };
            voxels(dims)
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or(u64::MAX)
        };
        let bytes = |name: &str| -> u64 {
            match self.kinds.get(name) {
                Some(Kind::Volume(grid)) => count(grid).saturating_mul(4),
                Some(Kind::Mask(grid)) => count(grid),
                _ => 0,
            }
        };
        let mut last: HashMap<&str, usize> = self.last_uses();
        // A view lives as long as what it looks at, and the other way round.
        for step in self.steps.iter().rev() {
            if is_view(step) {
                let until = last.get(step.output()).copied().unwrap_or(0);
                let entry = last.entry(step.input()).or_insert(0);
                *entry = (*entry).max(until);
            }
        }
        let mut alive: HashMap<&str, u64> =
            HashMap::from([(self.source.as_str(), bytes(&self.source))]);
        let mut peak = alive.values().sum::<u64>();
        for (index, step) in self.steps.iter().enumerate() {
            let input = bytes(step.input());
            let in_place = changes_in_place(step) && last.get(step.input()) == Some(&index);
            let output = if is_view(step) || in_place {
                0
            } else {
                bytes(step.output())
            };
            let scratch = match step {
                Step::Resize {
                    method: Method::Linear | Method::LinearAntiAliased,
                    ..
                } => input.saturating_add(output),
                Step::QuantileWindow { .. } => input,
                Step::LargestComponent { .. } | Step::FillHoles { .. } => {
                    input.saturating_mul(COMPONENT_BYTES_A_VOXEL)
                }
                Step::Network { memory_mb, .. } => memory_mb.saturating_mul(MEGABYTE),
                _ => 0,
            };
            let now: u64 = alive.values().fold(0, |sum: u64, b| sum.saturating_add(*b));
            peak = peak.max(now.saturating_add(output).saturating_add(scratch));
            let kept = if in_place { input } else { output };
            alive.insert(step.output(), kept);
            if in_place {
                alive.remove(step.input());
            }
            alive.retain(|name, _| last.get(name).is_some_and(|&until| until > index));
        }
        // The masks that come out are turned back and written while all of them are there.
        let results = self
            .outputs
            .iter()
            .map(|name| bytes(name).saturating_mul(2))
            .sum::<u64>();
        BASE_BYTES.saturating_add(peak.max(results))
    }
}

fn is_view(step: &Step) -> bool {
    matches!(step, Step::ReorientRas { .. } | Step::Crop { .. })
}

fn changes_in_place(step: &Step) -> bool {
    matches!(
        step,
        Step::ReplaceNonFinite { .. }
            | Step::RescaleWindow { .. }
            | Step::Standardise { .. }
            | Step::Affine { .. }
            | Step::Clip { .. }
            | Step::DivideByMaximum { .. }
            | Step::LargestComponent { .. }
            | Step::FillHoles { .. }
    )
}
