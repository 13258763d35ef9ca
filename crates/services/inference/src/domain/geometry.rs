//! From the headers of a series to one volume: which slices, in which order,
//! how far apart, turned how. Only Image Position and Orientation (Patient)
//! decide (PS3.3 §C.7.6.2.1.1); never Spacing Between Slices, Slice Thickness,
//! Slice Location, instance numbers or the order of arrival. What can't be
//! one evenly sampled, unsheared volume is refused, never computed wrongly.

use std::collections::BTreeSet;

use crate::domain::header::Header;
use crate::domain::refusal::{Refusal, Warning};
use crate::domain::steps::reorient::Reorientation;
use crate::domain::vector::{Vector, cross, dot, minus, scale, unit};
use crate::domain::volume::{Dims, real};
use crate::limits::{MATRIX_MAX, SLICES_MAX};

/// A gap may differ from the mean by this share; scanners round positions to 0.1 mm.
const GAP_TOLERANCE: f64 = 0.05;
/// Below this share of the usual gap, two slices lie at one position.
const DUPLICATE_SHARE: f64 = 0.1;
/// Positions closer than this are equal whatever the spacing, mm.
const SAME_POSITION_MM: f64 = 0.001;
/// Direction cosines that differ by less are the same orientation (about 0.3°).
const SAME_DIRECTION: f64 = 0.005;
/// Direction cosines may miss length 1 and a right angle by this much.
const COSINE_TOLERANCE: f64 = 0.01;
/// Pixel spacings that differ by a smaller share are the same.
const SAME_SPACING: f64 = 0.001;
/// Echo times closer than this are one echo, ms: devices write the measured one.
const SAME_ECHO_MS: f64 = 0.05;

/// A stack of slices as one volume. Its native array axes are slice, row, column.
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    /// Indices into the headers, in the order of the slice axis.
    pub order: Vec<usize>,
    /// Slices, rows, columns.
    pub dims: Dims,
    /// Distance of neighbours along slice, row and column axis, mm.
    pub spacing: Vector,
    /// Unit vectors of the slice, row (downwards) and column (rightwards) axis in patient coordinates (LPS).
    pub directions: [Vector; 3],
    /// Centre of the first voxel, mm (LPS).
    pub origin: Vector,
    /// How the native axes become RAS.
    pub to_ras: Reorientation,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
}

impl Geometry {
    /// Volume of one voxel, mm³.
    #[must_use]
    pub fn voxel_mm3(&self) -> f64 {
        self.spacing.iter().product()
    }
}

/// What a model takes, as far as geometry decides it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Fewest slices.
    pub min_slices: usize,
    /// Most slices.
    pub max_slices: usize,
    /// Widest distance of slices, mm.
    pub max_slice_distance: Option<f64>,
    /// Shortest extent along every axis, mm.
    pub min_extent: Option<f64>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            min_slices: 3,
            max_slices: SLICES_MAX,
            max_slice_distance: None,
            min_extent: None,
        }
    }
}

/// Puts slices together.
///
/// # Errors
/// The [`Refusal`] that says why they are not one volume.
pub fn assemble(headers: &[Header], wanted: &Wanted) -> Result<Geometry, Refusal> {
    let (used, warnings) = without_localizers(headers)?;
    check_images(&used)?;
    let first = used.first().map(|(_, h)| *h).ok_or(Refusal::TooFewSlices {
        found: 0,
        minimum: wanted.min_slices,
    })?;
    let ([row, column], spacing) = in_plane(&used)?;
    check_count(used.len(), wanted)?;
    check_one_acquisition(&used)?;
    let normal = unit(cross(row, column)).ok_or(Refusal::ImpossibleGeometry)?;

    let mut stack: Vec<(f64, usize, Vector)> = used
        .iter()
        .filter_map(|(index, h)| h.position.map(|p| (dot(p, normal), *index, p)))
        .collect();
    stack.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let distance = slice_distance(&stack.iter().map(|s| s.0).collect::<Vec<_>>())?;
    check_not_sheared(&stack, normal, spacing)?;

    let [between_rows, between_columns] = spacing;
    let geometry = Geometry {
        dims: [stack.len(), first.rows, first.columns],
        spacing: [distance, between_rows, between_columns],
        directions: [normal, column, row],
        origin: stack.first().map(|s| s.2).unwrap_or_default(),
        to_ras: Reorientation::to_ras([normal, column, row]),
        order: stack.into_iter().map(|s| s.1).collect(),
        warnings,
    };
    check_extent(&geometry, wanted)?;
    Ok(geometry)
}

type Used<'a> = Vec<(usize, &'a Header)>;

fn without_localizers(headers: &[Header]) -> Result<(Used<'_>, Vec<Warning>), Refusal> {
    let used: Used<'_> = headers
        .iter()
        .enumerate()
        .filter(|(_, h)| !h.is_localizer())
        .collect();
    if used.is_empty() && !headers.is_empty() {
        return Err(Refusal::OnlyLocalizers);
    }
    let left_out = headers.len() - used.len();
    let mut warnings = Vec::new();
    if left_out > 0 {
        warnings.push(Warning {
            code: "localizer-left-out".to_owned(),
            text: format!("{left_out} localizer images of the series were left out."),
        });
    }
    Ok((used, warnings))
}

fn check_images(used: &Used<'_>) -> Result<(), Refusal> {
    for (_, h) in used {
        if h.frames > 1 {
            return Err(Refusal::MultiFrame);
        }
        let grey = matches!(
            h.photometric_interpretation.as_str(),
            "MONOCHROME1" | "MONOCHROME2" | ""
        );
        if h.samples_per_pixel != 1 || !grey {
            return Err(Refusal::Colour);
        }
    }
    let missing = used.iter().filter(|(_, h)| {
        h.position.is_none() || h.orientation.is_none() || h.pixel_spacing.is_none()
    });
    let count = missing.count();
    if count > 0 {
        return Err(Refusal::NoGeometry { count });
    }
    let Some((_, first)) = used.first() else {
        return Ok(());
    };
    if used
        .iter()
        .any(|(_, h)| h.study_uid != first.study_uid || h.series_uid != first.series_uid)
    {
        return Err(Refusal::MixedSeries);
    }
    if first.rows == 0 || first.columns == 0 {
        return Err(Refusal::ImpossibleGeometry);
    }
    for (_, h) in used {
        if h.rows > MATRIX_MAX || h.columns > MATRIX_MAX {
            return Err(Refusal::TooLarge {
                rows: h.rows,
                columns: h.columns,
            });
        }
    }
    if used
        .iter()
        .any(|(_, h)| h.rows != first.rows || h.columns != first.columns)
    {
        return Err(Refusal::MixedSizes);
    }
    if used
        .iter()
        .any(|(_, h)| h.frame_of_reference_uid != first.frame_of_reference_uid)
    {
        return Err(Refusal::MixedFramesOfReference);
    }
    Ok(())
}

/// The directions of rows and columns, made exactly perpendicular, and the pixel spacing.
fn in_plane(used: &Used<'_>) -> Result<([Vector; 2], [f64; 2]), Refusal> {
    let Some((_, first)) = used.first() else {
        return Err(Refusal::ImpossibleGeometry);
    };
    let (Some(orientation), Some(spacing)) = (first.orientation, first.pixel_spacing) else {
        return Err(Refusal::NoGeometry { count: 1 });
    };
    let mut distinct: Vec<[f64; 6]> = Vec::new();
    for (_, h) in used {
        let (Some(o), Some(s)) = (h.orientation, h.pixel_spacing) else {
            continue;
        };
        if s.iter().any(|&v| !(1e-4..=1e4).contains(&v)) {
            return Err(Refusal::ImpossibleGeometry);
        }
        if s.iter()
            .zip(&spacing)
            .any(|(a, b)| (a - b).abs() > SAME_SPACING * b)
        {
            return Err(Refusal::MixedSizes);
        }
        let same = |d: &[f64; 6]| {
            d.iter()
                .zip(&o)
                .all(|(a, b)| (a - b).abs() < SAME_DIRECTION)
        };
        if !distinct.iter().any(same) {
            distinct.push(o);
        }
    }
    if distinct.len() > 1 {
        return Err(Refusal::MixedOrientations {
            count: distinct.len(),
        });
    }
    let [a, b, c, d, e, f] = orientation;
    let (row, column) = ([a, b, c], [d, e, f]);
    let near_one = |v: Vector| (dot(v, v).sqrt() - 1.0).abs() < COSINE_TOLERANCE;
    if !near_one(row) || !near_one(column) || dot(row, column).abs() > COSINE_TOLERANCE {
        return Err(Refusal::ImpossibleGeometry);
    }
    let row = unit(row).ok_or(Refusal::ImpossibleGeometry)?;
    let column =
        unit(minus(column, scale(row, dot(row, column)))).ok_or(Refusal::ImpossibleGeometry)?;
    Ok(([row, column], spacing))
}

fn check_count(found: usize, wanted: &Wanted) -> Result<(), Refusal> {
    // Two slices define a distance but no regularity.
    let minimum = wanted.min_slices.max(3);
    let maximum = wanted.max_slices.min(SLICES_MAX);
    if found < minimum {
        return Err(Refusal::TooFewSlices { found, minimum });
    }
    if found > maximum {
        return Err(Refusal::TooManySlices { found, maximum });
    }
    Ok(())
}

/// Several echoes in one series, also when they would alternate evenly in space.
fn check_one_acquisition(used: &Used<'_>) -> Result<(), Refusal> {
    let mut times: Vec<f64> = used.iter().filter_map(|(_, h)| h.echo_time).collect();
    times.sort_by(f64::total_cmp);
    let by_time = 1 + times
        .windows(2)
        .filter(|w| matches!(w, [a, b] if b - a > SAME_ECHO_MS))
        .count();
    let numbers: BTreeSet<&str> = used
        .iter()
        .map(|(_, h)| h.echo_numbers.as_str())
        .filter(|n| !n.is_empty())
        .collect();
    let count = by_time.max(numbers.len());
    if count > 1 {
        return Err(Refusal::MultipleEchoes { count });
    }
    Ok(())
}

/// The mean distance of neighbours at ascending positions along the normal.
fn slice_distance(positions: &[f64]) -> Result<f64, Refusal> {
    let gaps: Vec<f64> = positions
        .windows(2)
        .filter_map(|w| if let [a, b] = w { Some(b - a) } else { None })
        .collect();
    let mut sorted = gaps.clone();
    sorted.sort_by(f64::total_cmp);
    // Among duplicates the median gap may be 0: the usual distance is that of the distinct positions.
    let distinct: Vec<f64> = sorted
        .iter()
        .copied()
        .filter(|&g| g > SAME_POSITION_MM)
        .collect();
    let usual = distinct.get(distinct.len() / 2).copied().unwrap_or(0.0);
    let same = gaps
        .iter()
        .filter(|&&g| g <= SAME_POSITION_MM.max(DUPLICATE_SHARE * usual))
        .count();
    if same > 0 {
        return Err(Refusal::DuplicatePositions { count: same });
    }
    let mean = gaps.iter().sum::<f64>() / real(gaps.len().max(1));
    let (Some(&narrowest), Some(&widest)) = (sorted.first(), sorted.last()) else {
        return Err(Refusal::ImpossibleGeometry);
    };
    let uneven = |gap: f64| (gap - mean).abs() > GAP_TOLERANCE * mean;
    if !uneven(narrowest) && !uneven(widest) {
        return Ok(mean);
    }
    // Every wide gap a multiple of the usual one: slices are missing. Otherwise nobody knows.
    let multiple = |gap: f64| (gap / usual - (gap / usual).round()).abs() <= 2.0 * GAP_TOLERANCE;
    if gaps.iter().all(|&g| multiple(g)) && widest > 1.5 * usual {
        let missing: f64 = gaps.iter().map(|g| (g / usual).round() - 1.0).sum();
        let count = crate::domain::volume::whole(missing, SLICES_MAX);
        return Err(Refusal::MissingSlices {
            count,
            widest,
            usual,
        });
    }
    Err(Refusal::UnevenSpacing { narrowest, widest })
}

/// First pixels must lie on one line along the normal, to within one pixel
/// over the whole stack: otherwise rows and columns of neighbours don't match.
fn check_not_sheared(
    stack: &[(f64, usize, Vector)],
    normal: Vector,
    spacing: [f64; 2],
) -> Result<(), Refusal> {
    let (Some(first), Some(last)) = (stack.first(), stack.last()) else {
        return Ok(());
    };
    let [a, b] = spacing;
    let tolerance = a.min(b).max(0.2);
    let sideways = |p: Vector| {
        let from_first = minus(p, first.2);
        minus(from_first, scale(normal, dot(from_first, normal)))
    };
    let length = |v: Vector| dot(v, v).sqrt();
    let farthest = stack
        .iter()
        .map(|s| length(sideways(s.2)))
        .fold(0.0, f64::max);
    if farthest <= tolerance {
        return Ok(());
    }
    let drift = sideways(last.2);
    let depth = last.0 - first.0;
    let off_line = stack
        .iter()
        .map(|s| length(minus(sideways(s.2), scale(drift, (s.0 - first.0) / depth))))
        .fold(0.0, f64::max);
    if off_line <= tolerance {
        Err(Refusal::GantryTilt {
            degrees: (length(drift) / depth).atan().to_degrees(),
        })
    } else {
        Err(Refusal::ShiftedSlices {
            millimetres: farthest,
        })
    }
}

fn check_extent(geometry: &Geometry, wanted: &Wanted) -> Result<(), Refusal> {
    let [distance, ..] = geometry.spacing;
    if let Some(maximum) = wanted.max_slice_distance.filter(|&m| distance > m) {
        return Err(Refusal::SlicesTooFarApart {
            found: distance,
            maximum,
        });
    }
    let extents = geometry
        .dims
        .iter()
        .zip(&geometry.spacing)
        .map(|(&n, d)| real(n) * d);
    let shortest = extents.fold(f64::INFINITY, f64::min);
    if let Some(minimum) = wanted.min_extent.filter(|&m| shortest < m) {
        return Err(Refusal::FieldOfView {
            found: shortest,
            minimum,
        });
    }
    Ok(())
}

#[cfg(test)]
#[path = "geometry_tests.rs"]
mod tests;
