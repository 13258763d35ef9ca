//! The two kinds of arrays that steps work on. Arrays share their elements
//! until one of them is changed, so handing a value to several steps is free;
//! a view that is only permuted or flipped copies nothing.

use ndarray::{ArcArray, Ix3};

/// Grey values; the axes' meaning depends on the grid they lie on.
pub type Volume = ArcArray<f32, Ix3>;

/// Inside or outside, one byte a voxel.
pub type Mask = ArcArray<bool, Ix3>;

/// Number of voxels along each axis.
pub type Dims = [usize; 3];

/// The number of voxels of a grid, or `None` when it exceeds what a machine can count.
#[must_use]
pub fn voxels(dims: Dims) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// A volume's dimensions as an array.
#[must_use]
pub fn dims_of<S: ndarray::RawData>(array: &ndarray::ArrayBase<S, Ix3>) -> Dims {
    array.dim().into()
}

/// The whole part of a number, towards zero, held within `0..=max`. Not a number becomes 0.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held within 0..=max first; `as` maps not-a-number to 0"
)]
pub fn whole(value: f64, max: usize) -> usize {
    value.clamp(0.0, real(max)) as usize
}

/// A count as a real number; exact below 2⁵³, far above any count of voxels here.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of voxels stay far below 2^53"
)]
pub fn real(count: usize) -> f64 {
    count as f64
}

/// The nearest single-precision value.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to f32 is what is asked for"
)]
pub fn single(value: f64) -> f32 {
    value as f32
}
