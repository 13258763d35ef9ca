//! Steps on grey values alone: windows from quantiles, rescaling,
//! standardisation. Statistics are summed in double precision.

use ndarray::ArrayView3;

use crate::domain::volume::{Volume, real, single, whole};

/// A lower and an upper grey value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Becomes 0.
    pub low: f64,
    /// Becomes 1.
    pub high: f64,
}

/// Replaces what is not a finite number by `value`.
#[must_use]
pub fn replace_non_finite(mut volume: Volume, value: f32) -> Volume {
    if volume.iter().any(|v| !v.is_finite()) {
        volume.mapv_inplace(|v| if v.is_finite() { v } else { value });
    }
    volume
}

/// The `lower` and `upper` quantile (0 to 1), interpolated linearly between
/// order statistics (numpy's default).
#[must_use]
pub fn quantile_window(volume: ArrayView3<'_, f32>, lower: f64, upper: f64) -> Window {
    let mut values: Vec<f32> = volume.iter().copied().collect();
    Window {
        low: quantile(&mut values, lower),
        high: quantile(&mut values, upper),
    }
}

fn quantile(values: &mut [f32], q: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else {
        return 0.0;
    };
    let at = real(last) * q.clamp(0.0, 1.0);
    let index = whole(at, last);
    let (_, &mut below, above) = values.select_nth_unstable_by(index, f32::total_cmp);
    let next = above
        .iter()
        .copied()
        .min_by(f32::total_cmp)
        .unwrap_or(below);
    let (below, next) = (f64::from(below), f64::from(next));
    below + (next - below) * (at - real(index))
}

/// `clip((v − low)/(high − low), 0, 1)`. A window without width becomes 0 everywhere.
#[must_use]
pub fn rescale_window(mut volume: Volume, window: Window) -> Volume {
    let (low, width) = (single(window.low), single(window.high - window.low));
    if width > 0.0 {
        volume.mapv_inplace(|v| ((v - low) / width).clamp(0.0, 1.0));
    } else {
        volume.mapv_inplace(|_| 0.0);
    }
    volume
}

/// Subtracts the mean and divides by the sample standard deviation (n − 1).
/// A constant volume becomes 0 everywhere.
#[must_use]
pub fn standardise(mut volume: Volume) -> Volume {
    let n = real(volume.len());
    let mean = volume.iter().map(|&v| f64::from(v)).sum::<f64>() / n.max(1.0);
    let squares: f64 = volume.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
    let deviation = (squares / (n - 1.0).max(1.0)).sqrt();
    if deviation > 0.0 {
        let (mean, deviation) = (single(mean), single(deviation));
        volume.mapv_inplace(|v| (v - mean) / deviation);
    } else {
        volume.mapv_inplace(|_| 0.0);
    }
    volume
}

/// `scale·v + offset`.
#[must_use]
pub fn affine(mut volume: Volume, scale: f32, offset: f32) -> Volume {
    volume.mapv_inplace(|v| scale * v + offset);
    volume
}

/// Holds every value within `low..=high`.
#[must_use]
pub fn clip(mut volume: Volume, low: f32, high: f32) -> Volume {
    if low <= high {
        volume.mapv_inplace(|v| v.clamp(low, high));
    }
    volume
}

/// Divides by the greatest value; without a positive one, nothing changes.
#[must_use]
pub fn divide_by_maximum(mut volume: Volume) -> Volume {
    let maximum = volume.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if maximum.is_finite() && maximum > 0.0 {
        volume.mapv_inplace(|v| v / maximum);
    }
    volume
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn ramp(n: usize) -> Volume {
        Array3::from_shape_fn((n, 1, 1), |(i, _, _)| single(real(i))).into_shared()
    }

    #[test]
    fn quantiles_interpolate_between_order_statistics() {
        // numpy.quantile(numpy.arange(11), [0.005, 0.25, 0.995])
        let w = quantile_window(ramp(11).view(), 0.005, 0.995);
        assert!(
            (w.low - 0.05).abs() < 1e-12 && (w.high - 9.95).abs() < 1e-12,
            "{w:?}"
        );
        assert_eq!(
            quantile_window(ramp(1).view(), 0.1, 0.9),
            Window {
                low: 0.0,
                high: 0.0
            }
        );
    }

    #[test]
    fn standardising_uses_the_sample_deviation() {
        let v = standardise(ramp(4));
        // (numpy.arange(4) - 1.5) / numpy.std(numpy.arange(4), ddof=1)
        let expected = [-1.161_895, -0.387_298_35, 0.387_298_35, 1.161_895];
        for (a, b) in v.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn a_constant_volume_never_becomes_infinite() {
        let flat = Array3::from_elem((2, 2, 2), 7.0f32).into_shared();
        assert!(standardise(flat.clone()).iter().all(|&v| v == 0.0));
        assert!(
            rescale_window(
                flat.clone(),
                Window {
                    low: 7.0,
                    high: 7.0
                }
            )
            .iter()
            .all(|&v| v == 0.0)
        );
        let zero = Array3::<f32>::zeros((2, 2, 2)).into_shared();
        assert!(divide_by_maximum(zero).iter().all(|&v| v == 0.0));
    }

    #[test]
    fn not_a_number_is_replaced_and_a_clean_volume_is_shared() {
        let mut v = ramp(3);
        let shared = replace_non_finite(v.clone(), 0.0);
        assert_eq!(shared.as_ptr(), v.as_ptr());
        v[[1, 0, 0]] = f32::NAN;
        assert_eq!(replace_non_finite(v, 0.0)[[1, 0, 0]], 0.0);
    }
}
