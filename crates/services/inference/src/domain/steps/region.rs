//! Regions of a volume: thresholds, the box around a mask, cropping to it and
//! pasting back.

use ndarray::{Array3, ArrayView3, Axis, s};

use crate::domain::volume::{Dims, Mask, Volume, real, whole};

/// Voxels `from..to` along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First voxel inside.
    pub from: Dims,
    /// First voxel behind.
    pub to: Dims,
}

impl Region {
    /// Number of voxels along each axis.
    #[must_use]
    pub fn dims(&self) -> Dims {
        let [a, b, c] = self.from;
        let [d, e, f] = self.to;
        [
            d.saturating_sub(a),
            e.saturating_sub(b),
            f.saturating_sub(c),
        ]
    }
}

/// Voxels above `limit`.
#[must_use]
pub fn threshold(volume: ArrayView3<'_, f32>, limit: f32) -> Mask {
    volume.mapv(|v| v > limit).into_shared()
}

/// The box around `mask`, scaled to a grid of `dims` over the same extent and
/// widened by `margin`. Along each axis the mask begins and ends where the
/// share of its voxels in the plane across exceeds `profile_above`; centre and
/// size are rounded half to even, the box is cut at the grid's ends.
/// `None` when no plane holds enough.
#[must_use]
pub fn bounding_box(mask: &Mask, dims: Dims, profile_above: f64, margin: f64) -> Option<Region> {
    let mut region = Region {
        from: [0; 3],
        to: dims,
    };
    for (axis, &n) in dims.iter().enumerate() {
        let share = |plane: ndarray::ArrayView2<'_, bool>| {
            real(plane.iter().filter(|&&v| v).count()) / real(plane.len().max(1))
        };
        let planes: Vec<bool> = mask
            .axis_iter(Axis(axis))
            .map(|p| share(p) > profile_above)
            .collect();
        let first = planes.iter().position(|&v| v)?;
        let last = planes.iter().rposition(|&v| v)?;
        let scale = real(n) / real(planes.len());
        let centre = (scale * real(last + 1 + first) / 2.0).round_ties_even();
        let size = (margin * scale * real(last + 1 - first)).round_ties_even();
        if let (Some(from), Some(to)) = (region.from.get_mut(axis), region.to.get_mut(axis)) {
            *from = whole(centre - size / 2.0, n);
            *to = whole(centre + size / 2.0, n);
        }
    }
    (!region.dims().contains(&0)).then_some(region)
}

/// The part of `volume` inside `region`; shares its voxels. `None` when it does not lie inside.
#[must_use]
pub fn crop(mut volume: Volume, region: Region) -> Option<Volume> {
    let dims: Dims = volume.dim().into();
    let inside = region
        .from
        .iter()
        .zip(&region.to)
        .zip(&dims)
        .all(|((a, b), n)| a <= b && b <= n);
    if !inside {
        return None;
    }
    let [a, b, c] = region.from;
    let [d, e, f] = region.to;
    volume.slice_collapse(s![a..d, b..e, c..f]);
    Some(volume)
}

/// A mask of `dims` that equals `part` inside `region` and is empty elsewhere.
/// `None` when the sizes do not fit.
#[must_use]
pub fn paste(part: &Mask, region: Region, dims: Dims) -> Option<Mask> {
    let part_dims: Dims = part.dim().into();
    if part_dims != region.dims() || region.to.iter().zip(&dims).any(|(b, n)| b > n) {
        return None;
    }
    let mut whole = Array3::from_elem(dims, false);
    let [a, b, c] = region.from;
    let [d, e, f] = region.to;
    whole.slice_mut(s![a..d, b..e, c..f]).assign(part);
    Some(whole.into_shared())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_is_scaled_widened_and_cut() {
        let mut mask = Array3::from_elem((8, 8, 8), false);
        mask.slice_mut(s![2..6, 0..8, 3..4]).fill(true);
        let region = bounding_box(&mask.into_shared(), [16, 8, 24], 0.02, 1.2).unwrap();
        // x: s=2, centre 8, size round(9.6)=10; y: s=1, centre 4, size round(9.6)=10, cut;
        // z: s=3, centre round(10.5)=10, size round(3.6)=4.
        assert_eq!(
            region,
            Region {
                from: [3, 0, 8],
                to: [13, 8, 12]
            }
        );
    }

    #[test]
    fn without_a_mask_there_is_no_box() {
        let mask = Array3::from_elem((4, 4, 4), false).into_shared();
        assert_eq!(bounding_box(&mask, [8, 8, 8], 0.02, 1.2), None);
    }

    #[test]
    fn pasting_undoes_cropping() {
        let v = Array3::from_shape_fn(
            (4, 5, 6),
            |(x, y, z)| if (x + y + z) % 3 == 0 { 1.0 } else { 0.0 },
        )
        .into_shared();
        let region = Region {
            from: [1, 0, 2],
            to: [3, 5, 5],
        };
        let part = threshold(crop(v.clone(), region).unwrap().view(), 0.5);
        let whole = paste(&part, region, [4, 5, 6]).unwrap();
        for ((x, y, z), &inside) in whole.indexed_iter() {
            let in_region = (1..3).contains(&x) && (2..5).contains(&z);
            assert_eq!(inside, in_region && v[[x, y, z]] > 0.5);
        }
        assert!(
            crop(
                v,
                Region {
                    from: [0; 3],
                    to: [5, 5, 6]
                }
            )
            .is_none()
        );
        assert!(paste(&part, region, [2, 5, 6]).is_none());
    }
}
