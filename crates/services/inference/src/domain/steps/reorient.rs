//! Turning a volume to anatomical axes by permutation and flips alone: no
//! voxel is resampled, and nothing is copied.

use ndarray::{ArcArray, Axis, Ix3};

use crate::domain::volume::Dims;

/// Which source axis becomes each target axis, and which of them are flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorientation {
    /// `axes[t]` is the source axis that becomes target axis `t`.
    pub axes: [usize; 3],
    /// Whether target axis `t` runs against its source axis.
    pub flipped: [bool; 3],
}

impl Reorientation {
    /// The permutation and flips that bring three source directions (unit
    /// vectors in the patient's LPS coordinates, PS3.3 §C.7.6.2.1.1) closest
    /// to right-to-left, posterior-to-anterior, inferior-to-superior (RAS+).
    #[must_use]
    pub fn to_ras(directions: [[f64; 3]; 3]) -> Self {
        // RAS is LPS with the first two axes turned round.
        const SIGN: [f64; 3] = [-1.0, -1.0, 1.0];
        const PERMUTATIONS: [[usize; 3]; 6] = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        let component = |source: usize, target: usize| -> f64 {
            let along = directions
                .get(source)
                .and_then(|d| d.get(target))
                .copied()
                .unwrap_or(0.0);
            along * SIGN.get(target).copied().unwrap_or(1.0)
        };
        let fit = |axes: &[usize; 3]| -> f64 {
            axes.iter()
                .enumerate()
                .map(|(t, &s)| component(s, t).abs())
                .sum()
        };
        let mut best = [0, 1, 2];
        for axes in PERMUTATIONS {
            // A margin keeps the choice stable where two fit equally but for rounding.
            if fit(&axes) > fit(&best) + 1e-9 {
                best = axes;
            }
        }
        let [a, b, c] = best;
        Self {
            axes: best,
            flipped: [
                component(a, 0) < 0.0,
                component(b, 1) < 0.0,
                component(c, 2) < 0.0,
            ],
        }
    }

    /// Dimensions after turning.
    #[must_use]
    pub fn dims(&self, source: Dims) -> Dims {
        self.axes.map(|a| source.get(a).copied().unwrap_or(0))
    }

    /// From source axes to target axes.
    #[must_use]
    pub fn apply<T: Clone>(&self, array: ArcArray<T, Ix3>) -> ArcArray<T, Ix3> {
        let mut turned = array.permuted_axes(self.axes);
        for (axis, &flip) in self.flipped.iter().enumerate() {
            if flip {
                turned.invert_axis(Axis(axis));
            }
        }
        turned
    }

    /// From target axes back to source axes.
    #[must_use]
    pub fn undo<T: Clone>(&self, mut array: ArcArray<T, Ix3>) -> ArcArray<T, Ix3> {
        for (axis, &flip) in self.flipped.iter().enumerate() {
            if flip {
                array.invert_axis(Axis(axis));
            }
        }
        let mut back = [0usize; 3];
        for (target, &source) in self.axes.iter().enumerate() {
            if let Some(slot) = back.get_mut(source) {
                *slot = target;
            }
        }
        array.permuted_axes(back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn an_axial_stack_of_lps_rows_and_columns() {
        // Array axes: slice (+z), row (+y = posterior), column (+x = left).
        let r = Reorientation::to_ras([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
        assert_eq!(
            r,
            Reorientation {
                axes: [2, 1, 0],
                flipped: [true, true, false]
            }
        );
        assert_eq!(r.dims([20, 256, 128]), [128, 256, 20]);
    }

    #[test]
    fn turning_there_and_back_changes_nothing() {
        let v = Array3::from_shape_fn((2, 3, 4), |(a, b, c)| a * 100 + b * 10 + c).into_shared();
        for (d0, d1, d2) in [
            ([0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]),
            ([1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]),
            ([0.0, 0.9, 0.1], [-0.1, 0.1, 0.9], [1.0, 0.0, 0.0]),
        ] {
            let r = Reorientation::to_ras([d0, d1, d2]);
            assert_eq!(r.undo(r.apply(v.clone())), v);
        }
    }
}
