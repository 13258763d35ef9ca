//! Carrying out a graph: each step once, in order; a value is let go after its
//! last use, so that the next step can change it in place.

use std::collections::HashMap;

use super::{Graph, Grid, Kind};
use crate::domain::geometry::Geometry;
use crate::domain::graph::step::{Layout, Method, Step};
use crate::domain::refusal::Refusal;
use crate::domain::steps::intensity::{self, Window};
use crate::domain::steps::region::{self, Region};
use crate::domain::steps::{components, resample};
use crate::domain::volume::{Dims, Mask, Volume, dims_of};

/// A network to run on one volume.
#[derive(Clone, Copy, Debug)]
pub struct NetworkCall<'a> {
    /// The ONNX file, in the model's folder.
    pub file: &'a str,
    /// Name of the input tensor.
    pub tensor_in: &'a str,
    /// Name of the output tensor.
    pub tensor_out: &'a str,
    /// How both lie in memory.
    pub layout: Layout,
    /// The channel that is wanted.
    pub channel: usize,
    /// How many channels the output has.
    pub channels: usize,
}

/// Runs networks; the runtime behind it is not the graph's business.
pub trait Networks {
    /// Runs one; the output has the input's dimensions.
    ///
    /// # Errors
    /// A sentence, without patient data.
    fn run(&mut self, call: NetworkCall<'_>, input: Volume) -> Result<Volume, String>;
}

/// Why a run ended without a result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// The input must not be computed.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A fault of the model or of ours.
    #[error("{0}")]
    Failed(String),
}

/// What comes out: one mask a segment, on the source's grid (slice, row, column).
#[derive(Debug)]
pub struct Outcome {
    /// In the manifest's order of segments.
    pub masks: Vec<Mask>,
}

enum Value {
    Volume(Volume),
    Mask(Mask),
    Window(Window),
    Region(Region),
}

/// Carries out `graph` on `source` (slice, row, column). `progress` is called
/// before each step with its label and the share of work done.
///
/// # Errors
/// [`RunError`]; a refusal only where the manifest asks for one.
pub fn run(
    graph: &Graph,
    geometry: &Geometry,
    source: Volume,
    networks: &mut dyn Networks,
    progress: &mut dyn FnMut(&str, f64),
) -> Result<Outcome, RunError> {
    let last = graph.last_uses();
    let total: u32 = graph.steps.iter().map(Step::weight).sum();
    let mut done = 0u32;
    let mut run = Run {
        graph,
        geometry,
        values: HashMap::from([(graph.source.as_str(), Value::Volume(source))]),
        regions: HashMap::new(),
    };
    for (index, step) in graph.steps.iter().enumerate() {
        progress(step.label(), f64::from(done) / f64::from(total.max(1)));
        let ends_here = last.get(step.input()) == Some(&index);
        let value = run.step(step, ends_here, networks)?;
        if let Value::Region(region) = value {
            run.regions.insert(step.output(), region);
        }
        run.values.insert(step.output(), value);
        run.values
            .retain(|name, _| last.get(name).is_some_and(|&until| until > index));
        done += step.weight();
    }
    let masks = graph
        .outputs
        .iter()
        .map(|name| run.result(name))
        .collect::<Result<_, _>>()?;
    Ok(Outcome { masks })
}

struct Run<'g> {
    graph: &'g Graph,
    geometry: &'g Geometry,
    values: HashMap<&'g str, Value>,
    regions: HashMap<&'g str, Region>,
}

fn unchecked(name: &str) -> RunError {
    RunError::Failed(format!("the graph was run without being checked: {name:?}"))
}

impl<'g> Run<'g> {
    fn step(
        &mut self,
        step: &'g Step,
        ends: bool,
        networks: &mut dyn Networks,
    ) -> Result<Value, RunError> {
        let input = step.input();
        Ok(match step {
            Step::ReorientRas { .. } => {
                Value::Volume(self.geometry.to_ras.apply(self.volume(input, ends)?))
            }
            Step::ReplaceNonFinite { value, .. } => Value::Volume(intensity::replace_non_finite(
                self.volume(input, ends)?,
                *value,
            )),
            Step::Standardise { .. } => {
                Value::Volume(intensity::standardise(self.volume(input, ends)?))
            }
            Step::DivideByMaximum { .. } => {
                Value::Volume(intensity::divide_by_maximum(self.volume(input, ends)?))
            }
            Step::Affine { scale, offset, .. } => Value::Volume(intensity::affine(
                self.volume(input, ends)?,
                *scale,
                *offset,
            )),
            Step::Clip { low, high, .. } => {
                Value::Volume(intensity::clip(self.volume(input, ends)?, *low, *high))
            }
            Step::Resize { method, output, .. } => self.resize(input, output, *method, ends)?,
            Step::QuantileWindow { lower, upper, .. } => Value::Window(intensity::quantile_window(
                self.volume(input, ends)?.view(),
                *lower,
                *upper,
            )),
            Step::RescaleWindow { window, .. } => {
                let Some(Value::Window(window)) = self.values.get(window.as_str()) else {
                    return Err(unchecked(window));
                };
                let window = *window;
                Value::Volume(intensity::rescale_window(self.volume(input, ends)?, window))
            }
            Step::Network {
                file,
                tensor_in,
                tensor_out,
                layout,
                channel,
                channels,
                ..
            } => {
                let call = NetworkCall {
                    file,
                    tensor_in,
                    tensor_out,
                    layout: *layout,
                    channel: *channel,
                    channels: *channels,
                };
                Value::Volume(
                    networks
                        .run(call, self.volume(input, ends)?)
                        .map_err(RunError::Failed)?,
                )
            }
            Step::Threshold { above, .. } => {
                Value::Mask(region::threshold(self.volume(input, ends)?.view(), *above))
            }
            Step::LargestComponent { connectivity, .. } => Value::Mask(
                components::largest_component(self.mask(input, ends)?, *connectivity),
            ),
            Step::FillHoles { .. } => Value::Mask(components::fill_holes(self.mask(input, ends)?)),
            Step::BoundingBox {
                output,
                profile_above,
                margin,
                when_empty,
                ..
            } => {
                let dims = self.region_grid(output)?;
                let found =
                    region::bounding_box(&self.mask(input, ends)?, dims, *profile_above, *margin);
                Value::Region(found.ok_or_else(|| Refusal::NothingFound {
                    text: when_empty.clone(),
                })?)
            }
            Step::Crop { region: name, .. } => {
                let region = *self
                    .regions
                    .get(name.as_str())
                    .ok_or_else(|| unchecked(name))?;
                Value::Volume(
                    region::crop(self.volume(input, ends)?, region)
                        .ok_or_else(|| unchecked(name))?,
                )
            }
            Step::Paste { region: name, .. } => {
                let region = *self
                    .regions
                    .get(name.as_str())
                    .ok_or_else(|| unchecked(name))?;
                let dims = self.region_grid(name)?;
                Value::Mask(
                    region::paste(&self.mask(input, ends)?, region, dims)
                        .ok_or_else(|| unchecked(name))?,
                )
            }
        })
    }

    fn resize(
        &mut self,
        input: &'g str,
        output: &str,
        method: Method,
        ends: bool,
    ) -> Result<Value, RunError> {
        let Some(Kind::Volume(grid) | Kind::Mask(grid)) = self.graph.kinds.get(output) else {
            return Err(unchecked(output));
        };
        let to = self.dims(grid)?;
        if matches!(self.values.get(input), Some(Value::Mask(_))) {
            return Ok(Value::Mask(resample::nearest(
                self.mask(input, ends)?.view(),
                to,
            )));
        }
        let volume = self.volume(input, ends)?;
        Ok(Value::Volume(match method {
            Method::Nearest => resample::nearest(volume.view(), to),
            Method::Linear => resample::linear(volume.view(), to, false),
            Method::LinearAntiAliased => resample::linear(volume.view(), to, true),
        }))
    }

    fn dims(&self, grid: &Grid) -> Result<Dims, RunError> {
        match grid {
            Grid::Source => Ok(self.geometry.dims),
            Grid::Ras => Ok(self.geometry.to_ras.dims(self.geometry.dims)),
            Grid::Fixed(dims) => Ok(*dims),
            Grid::Region(name) => self
                .regions
                .get(name.as_str())
                .map(Region::dims)
                .ok_or_else(|| unchecked(name)),
        }
    }

    fn region_grid(&self, name: &str) -> Result<Dims, RunError> {
        match self.graph.kinds.get(name) {
            Some(Kind::Region(grid)) => self.dims(grid),
            _ => Err(unchecked(name)),
        }
    }

    /// The value, for good when nobody needs it afterwards.
    fn volume(&mut self, name: &'g str, ends: bool) -> Result<Volume, RunError> {
        let value = match self.values.get(name) {
            Some(Value::Volume(v)) => Ok(v.clone()),
            _ => Err(unchecked(name)),
        };
        if ends {
            self.values.remove(name);
        }
        value
    }

    fn mask(&mut self, name: &'g str, ends: bool) -> Result<Mask, RunError> {
        let value = match self.values.get(name) {
            Some(Value::Mask(m)) => Ok(m.clone()),
            _ => Err(unchecked(name)),
        };
        if ends {
            self.values.remove(name);
        }
        value
    }

    fn result(&mut self, name: &'g str) -> Result<Mask, RunError> {
        let mask = self.mask(name, false)?;
        let native = match self.graph.kinds.get(name) {
            Some(Kind::Mask(Grid::Ras)) => self.geometry.to_ras.undo(mask),
            _ => mask,
        };
        if dims_of(&native) == self.geometry.dims {
            Ok(native)
        } else {
            Err(unchecked(name))
        }
    }
}
