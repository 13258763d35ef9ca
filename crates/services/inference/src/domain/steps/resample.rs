//! Resampling to another number of voxels over the same extent, with
//! half-pixel centres: output voxel `i` of `o` lies at `(i + ½)·n/o − ½` of
//! `n`. Nearest neighbour, or linear with an optional Gaussian against
//! aliasing; what lies outside the grid counts as 0.

use ndarray::{Array3, ArrayView3, Axis};

use crate::domain::volume::{Dims, Volume, real, single, whole};

/// Source index of every output index: `min(⌊(i + ½)·n/o⌋, n − 1)`, in exact arithmetic.
#[must_use]
pub fn nearest_indices(n: usize, o: usize) -> Vec<usize> {
    (0..o)
        .map(|i| {
            let index = (2 * i + 1).saturating_mul(n) / (2 * o);
            index.min(n.saturating_sub(1))
        })
        .collect()
}

/// Resizes to `to` by taking the nearest voxel.
#[must_use]
pub fn nearest<T: Copy + Default>(
    volume: ArrayView3<'_, T>,
    to: Dims,
) -> ndarray::ArcArray<T, ndarray::Ix3> {
    let (nx, ny, nz) = volume.dim();
    let [ox, oy, oz] = to;
    let (xs, ys, zs) = (
        nearest_indices(nx, ox),
        nearest_indices(ny, oy),
        nearest_indices(nz, oz),
    );
    let mut out = Array3::from_elem(to, T::default());
    if nx == 0 || ny == 0 || nz == 0 {
        return out.into_shared();
    }
    for (mut plane, &x) in out.axis_iter_mut(Axis(0)).zip(&xs) {
        let source = volume.index_axis(Axis(0), x);
        for (mut row, &y) in plane.axis_iter_mut(Axis(0)).zip(&ys) {
            let source = source.index_axis(Axis(0), y);
            for (voxel, &z) in row.iter_mut().zip(&zs) {
                *voxel = source.get(z).copied().unwrap_or_default();
            }
        }
    }
    out.into_shared()
}

/// One output sample as a weighted sum of neighbouring input samples.
struct Taps {
    first: usize,
    weights: Vec<f64>,
}

/// The standard deviation that suppresses aliasing when `n` samples become `o`
/// (scikit-image's rule): `max(0, (n/o − 1)/2)` samples.
#[must_use]
pub fn anti_aliasing_sigma(n: usize, o: usize) -> f64 {
    ((real(n) / real(o) - 1.0) / 2.0).max(0.0)
}

/// A Gaussian cut off at four standard deviations, normalised; `[1]` for σ = 0.
fn gaussian(sigma: f64) -> Vec<f64> {
    const TRUNCATE: f64 = 4.0;
    const RADIUS_MAX: usize = 1 << 16;
    if sigma <= 1e-15 {
        return vec![1.0];
    }
    let radius = whole(TRUNCATE * sigma + 0.5, RADIUS_MAX);
    let half: Vec<f64> = (0..=radius)
        .map(|i| (-0.5 * (real(i) / sigma).powi(2)).exp())
        .collect();
    let sum = 2.0 * half.iter().skip(1).sum::<f64>() + half.first().copied().unwrap_or(1.0);
    half.iter()
        .skip(1)
        .rev()
        .chain(half.iter())
        .map(|w| w / sum)
        .collect()
}

/// Gaussian and linear interpolation along one axis as one banded matrix, so
/// that only the samples that are needed are filtered, and only once.
fn linear_taps(n: usize, o: usize, sigma: f64) -> Vec<Taps> {
    let kernel = gaussian(sigma);
    let radius = kernel.len() / 2;
    (0..o)
        .map(|i| {
            let at = (real(i) + 0.5) * real(n) / real(o) - 0.5;
            let below = at.floor();
            let fraction = at - below;
            // Neighbours outside the grid count as 0, also beside filtered samples.
            let left = (below >= 0.0).then(|| whole(below, n));
            let right = whole(below + 1.0, n);
            let ends = [(left, 1.0 - fraction), (Some(right), fraction)]
                .into_iter()
                .filter_map(|(index, weight)| {
                    index
                        .filter(|&i| i < n && weight > 0.0)
                        .map(|i| (i, weight))
                });
            let ends: Vec<(usize, f64)> = ends.collect();
            let first = ends.first().map_or(0, |&(i, _)| i.saturating_sub(radius));
            let end = ends.last().map_or(0, |&(i, _)| (i + radius + 1).min(n));
            let mut weights = vec![0.0; end.saturating_sub(first)];
            for &(centre, share) in &ends {
                for (offset, &w) in kernel.iter().enumerate() {
                    let index = (centre + offset).checked_sub(radius + first);
                    if let Some(slot) = index.and_then(|i| weights.get_mut(i)) {
                        *slot += share * w;
                    }
                }
            }
            Taps { first, weights }
        })
        .collect()
}

/// Applies `taps` along `axis`.
fn along(volume: ArrayView3<'_, f32>, axis: usize, taps: &[Taps]) -> Array3<f32> {
    let mut dims: Dims = volume.dim().into();
    if let Some(d) = dims.get_mut(axis) {
        *d = taps.len();
    }
    let mut out = Array3::<f32>::zeros(dims);
    if axis == 2 {
        for (source, mut target) in volume.rows().into_iter().zip(out.rows_mut()) {
            for (voxel, tap) in target.iter_mut().zip(taps) {
                let sum: f64 = source
                    .iter()
                    .skip(tap.first)
                    .zip(&tap.weights)
                    .map(|(&v, w)| f64::from(v) * w)
                    .sum();
                *voxel = single(sum);
            }
        }
        return out;
    }
    // Whole rows at a time: the innermost loop runs over neighbours in memory.
    let outer = Axis(0);
    let mut sums = vec![0.0f64; dims.get(2).copied().unwrap_or(0)];
    if axis == 0 {
        for (mut plane, tap) in out.axis_iter_mut(outer).zip(taps) {
            for (y, mut row) in plane.axis_iter_mut(outer).enumerate() {
                let sources = volume
                    .axis_iter(outer)
                    .skip(tap.first)
                    .map(|p| p.index_axis_move(outer, y));
                weighted(&mut sums, sources, &tap.weights);
                store(&mut row, &sums);
            }
        }
    } else {
        for (mut plane, source) in out.axis_iter_mut(outer).zip(volume.axis_iter(outer)) {
            for (mut row, tap) in plane.axis_iter_mut(outer).zip(taps) {
                let sources = source.axis_iter(outer).skip(tap.first);
                weighted(&mut sums, sources, &tap.weights);
                store(&mut row, &sums);
            }
        }
    }
    out
}

fn weighted<'a>(
    sums: &mut [f64],
    rows: impl Iterator<Item = ndarray::ArrayView1<'a, f32>>,
    weights: &[f64],
) {
    sums.fill(0.0);
    for (row, &weight) in rows.zip(weights) {
        if let Some(row) = row.as_slice() {
            for (sum, &v) in sums.iter_mut().zip(row) {
                *sum += f64::from(v) * weight;
            }
        } else {
            for (sum, &v) in sums.iter_mut().zip(row) {
                *sum += f64::from(v) * weight;
            }
        }
    }
}

fn store(row: &mut ndarray::ArrayViewMut1<'_, f32>, sums: &[f64]) {
    for (voxel, &sum) in row.iter_mut().zip(sums) {
        *voxel = single(sum);
    }
}

/// Resizes to `to` by linear interpolation, with a Gaussian before it along
/// every axis that shrinks when `anti_aliasing` is set. The same as
/// scikit-image's `resize(order=1, mode="constant", anti_aliasing=…)`, whose
/// clipping to the input's range is kept.
#[must_use]
pub fn linear(volume: ArrayView3<'_, f32>, to: Dims, anti_aliasing: bool) -> Volume {
    let from: Dims = volume.dim().into();
    if from.contains(&0) || to.contains(&0) {
        return Array3::zeros(to).into_shared();
    }
    let (low, high) = range(volume);
    // The axis that shrinks most goes first: every later pass has less to do.
    let mut axes = [0usize, 1, 2];
    let ratio = |axis: usize| match (to.get(axis), from.get(axis)) {
        (Some(&o), Some(&n)) => real(o) / real(n),
        _ => 1.0,
    };
    axes.sort_by(|&a, &b| ratio(a).total_cmp(&ratio(b)));
    let mut current: Option<Array3<f32>> = None;
    for axis in axes {
        let (Some(&n), Some(&o)) = (from.get(axis), to.get(axis)) else {
            continue;
        };
        let sigma = if anti_aliasing {
            anti_aliasing_sigma(n, o)
        } else {
            0.0
        };
        let taps = linear_taps(n, o, sigma);
        let next = along(current.as_ref().map_or(volume, |c| c.view()), axis, &taps);
        current = Some(next);
    }
    let mut out = current.unwrap_or_else(|| volume.to_owned());
    clip_to_range(&mut out, low, high);
    out.into_shared()
}

fn range(volume: ArrayView3<'_, f32>) -> (f32, f32) {
    volume
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| {
            (low.min(v), high.max(v))
        })
}

/// Clips to the input's range, widened by the outside value 0 where that was mixed in.
fn clip_to_range(out: &mut Array3<f32>, low: f32, high: f32) {
    let (out_low, out_high) = range(out.view());
    let outside_was_mixed_in = !(low..=high).contains(&0.0) && (out_low..=out_high).contains(&0.0);
    let (low, high) = if outside_was_mixed_in {
        (low.min(0.0), high.max(0.0))
    } else {
        (low, high)
    };
    if low <= high {
        out.mapv_inplace(|v| v.clamp(low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_uses_half_pixel_centres() {
        assert_eq!(nearest_indices(20, 8), [1, 3, 6, 8, 11, 13, 16, 18]);
        assert_eq!(nearest_indices(3, 6), [0, 0, 1, 1, 2, 2]);
        assert_eq!(nearest_indices(1, 3), [0, 0, 0]);
    }

    #[test]
    fn the_kernel_is_scipys() {
        // scipy.ndimage._filters._gaussian_kernel1d(0.5, 0, 2)
        let kernel = gaussian(0.5);
        let expected = [
            0.000_263_865_08,
            0.106_450_774,
            0.786_570_73,
            0.106_450_774,
            0.000_263_865_08,
        ];
        assert_eq!(kernel.len(), expected.len());
        for (a, b) in kernel.iter().zip(expected) {
            assert!((a - b).abs() < 1e-7, "{a} {b}");
        }
    }
}
