//! What kind of value each step gives, and on which grid: known before any
//! image is there.

use std::collections::HashMap;

use crate::domain::graph::step::Step;
use crate::domain::volume::Dims;
use crate::limits::MATRIX_MAX;

/// Where voxels lie, as far as it is known before a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grid {
    /// The source's: slice, row, column.
    Source,
    /// The source's, turned to RAS+.
    Ras,
    /// A fixed number of voxels.
    Fixed(Dims),
    /// Inside the region of this name.
    Region(String),
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grey values.
    Volume(Grid),
    /// Inside or outside.
    Mask(Grid),
    /// Two grey values.
    Window,
    /// A box on a grid.
    Region(Grid),
}

type Kinds = HashMap<String, Kind>;

/// The kind of what `step` gives.
pub(super) fn of(step: &Step, kinds: &Kinds) -> Result<Kind, String> {
    match step {
        Step::ReorientRas { input, .. } => match volume(kinds, input)? {
            Grid::Source => Ok(Kind::Volume(Grid::Ras)),
            _ => Err("only the source itself can be turned to RAS".to_owned()),
        },
        Step::ReplaceNonFinite { input, value, .. } => {
            finite(&[f64::from(*value)])?;
            volume(kinds, input).map(Kind::Volume)
        }
        Step::Standardise { input, .. } | Step::DivideByMaximum { input, .. } => {
            volume(kinds, input).map(Kind::Volume)
        }
        Step::Affine {
            input,
            scale,
            offset,
            ..
        } => {
            finite(&[f64::from(*scale), f64::from(*offset)])?;
            volume(kinds, input).map(Kind::Volume)
        }
        Step::Clip {
            input, low, high, ..
        } => {
            ordered(f64::from(*low), f64::from(*high))?;
            volume(kinds, input).map(Kind::Volume)
        }
        Step::Resize {
            input,
            size,
            like,
            method,
            ..
        } => resized(kinds, input, *size, like.as_deref(), *method),
        Step::QuantileWindow {
            input,
            lower,
            upper,
            ..
        } => {
            ordered(*lower, *upper)?;
            if *lower < 0.0 || *upper > 1.0 {
                return Err("quantiles lie between 0 and 1".to_owned());
            }
            volume(kinds, input)?;
            Ok(Kind::Window)
        }
        Step::RescaleWindow { input, window, .. } => match get(kinds, window)? {
            Kind::Window => volume(kinds, input).map(Kind::Volume),
            _ => Err(format!("{window:?} is not a window")),
        },
        Step::Network {
            input,
            channel,
            channels,
            ..
        } => match volume(kinds, input)? {
            Grid::Fixed(dims) if channel < channels => Ok(Kind::Volume(Grid::Fixed(dims))),
            Grid::Fixed(_) => Err(format!("channel {channel} of {channels} does not exist")),
            _ => Err(format!(
                "a network takes a volume of fixed size; resize {input:?} first"
            )),
        },
        Step::Threshold { input, above, .. } => {
            finite(&[f64::from(*above)])?;
            volume(kinds, input).map(Kind::Mask)
        }
        Step::LargestComponent { input, .. } | Step::FillHoles { input, .. } => {
            mask(kinds, input).map(Kind::Mask)
        }
        Step::BoundingBox {
            input,
            on,
            profile_above,
            margin,
            ..
        } => {
            finite(&[*profile_above, *margin])?;
            if !(0.0..1.0).contains(profile_above) || !(0.1..=10.0).contains(margin) {
                return Err("profile_above lies in 0..1 and margin in 0.1..10".to_owned());
            }
            mask(kinds, input)?;
            Ok(Kind::Region(
                grid(get(kinds, on)?).ok_or_else(|| format!("{on:?} has no grid"))?,
            ))
        }
        Step::Crop { input, region, .. } => {
            if volume(kinds, input)? == region_on(kinds, region)? {
                Ok(Kind::Volume(Grid::Region(region.clone())))
            } else {
                Err(format!(
                    "{region:?} is not a region of the grid of {input:?}"
                ))
            }
        }
        Step::Paste { input, region, .. } => {
            if mask(kinds, input)? == Grid::Region(region.clone()) {
                region_on(kinds, region).map(Kind::Mask)
            } else {
                Err(format!("{input:?} does not lie inside {region:?}"))
            }
        }
    }
}

fn resized(
    kinds: &Kinds,
    input: &str,
    size: Option<Dims>,
    like: Option<&str>,
    method: crate::domain::graph::step::Method,
) -> Result<Kind, String> {
    let to = match (size, like) {
        (Some(dims), None) => {
            if dims.iter().any(|d| !(1..=MATRIX_MAX).contains(d)) {
                return Err(format!("a size lies between 1 and {MATRIX_MAX}"));
            }
            Grid::Fixed(dims)
        }
        (None, Some(name)) => {
            grid(get(kinds, name)?).ok_or_else(|| format!("{name:?} has no size"))?
        }
        _ => return Err("give either size or like".to_owned()),
    };
    match get(kinds, input)? {
        Kind::Volume(_) => Ok(Kind::Volume(to)),
        Kind::Mask(_) if method == crate::domain::graph::step::Method::Nearest => {
            Ok(Kind::Mask(to))
        }
        Kind::Mask(_) => Err("a mask is resized by the nearest voxel only".to_owned()),
        _ => Err(format!("{input:?} can't be resized")),
    }
}

fn get<'a>(kinds: &'a Kinds, name: &str) -> Result<&'a Kind, String> {
    kinds
        .get(name)
        .ok_or_else(|| format!("{name:?} does not exist here"))
}

fn grid(kind: &Kind) -> Option<Grid> {
    match kind {
        Kind::Volume(grid) | Kind::Mask(grid) => Some(grid.clone()),
        Kind::Window | Kind::Region(_) => None,
    }
}

fn volume(kinds: &Kinds, name: &str) -> Result<Grid, String> {
    match get(kinds, name)? {
        Kind::Volume(grid) => Ok(grid.clone()),
        _ => Err(format!("{name:?} is not a volume of grey values")),
    }
}

fn mask(kinds: &Kinds, name: &str) -> Result<Grid, String> {
    match get(kinds, name)? {
        Kind::Mask(grid) => Ok(grid.clone()),
        _ => Err(format!("{name:?} is not a mask")),
    }
}

fn region_on(kinds: &Kinds, name: &str) -> Result<Grid, String> {
    match get(kinds, name)? {
        Kind::Region(grid) => Ok(grid.clone()),
        _ => Err(format!("{name:?} is not a region")),
    }
}

fn finite(numbers: &[f64]) -> Result<(), String> {
    if numbers.iter().all(|n| n.is_finite()) {
        Ok(())
    } else {
        Err("a number is not finite".to_owned())
    }
}

fn ordered(low: f64, high: f64) -> Result<(), String> {
    finite(&[low, high])?;
    if low < high {
        Ok(())
    } else {
        Err("the lower end is not below the upper".to_owned())
    }
}
