//! One step of a graph as the manifest writes it. What a step computes is in
//! `domain/steps`; whether its values fit, in `shape`.

use serde::Deserialize;

use crate::domain::steps::components::Connectivity;

/// How resampling reads between voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The nearest voxel.
    Nearest,
    /// Linear between neighbours, 0 outside.
    Linear,
    /// The same after a Gaussian along each axis that shrinks.
    LinearAntiAliased,
}

/// How a volume `[x, y, z]` lies in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Layout {
    /// `[1, channel, x, y, z]`
    #[serde(rename = "NCXYZ")]
    ChannelsFirst,
    /// `[1, x, y, z, channel]`
    #[serde(rename = "NXYZC")]
    ChannelsLast,
}

/// One step: what it does, on which named values, and the name of what comes out.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "fields are the parameters of the step functions, documented there"
)]
pub enum Step {
    /// Permutes and flips the source to RAS+.
    ReorientRas { input: String, output: String },
    /// Replaces not-a-number and infinities.
    ReplaceNonFinite {
        input: String,
        output: String,
        value: f32,
    },
    /// Resizes to `size`, or to the size of the value `like`.
    Resize {
        input: String,
        output: String,
        method: Method,
        size: Option<[usize; 3]>,
        like: Option<String>,
    },
    /// A window from quantiles.
    QuantileWindow {
        input: String,
        output: String,
        lower: f64,
        upper: f64,
    },
    /// To 0…1 by a window.
    RescaleWindow {
        input: String,
        output: String,
        window: String,
    },
    /// Mean 0, sample standard deviation 1.
    Standardise { input: String, output: String },
    /// `scale·v + offset`.
    Affine {
        input: String,
        output: String,
        scale: f32,
        offset: f32,
    },
    /// Holds within a range.
    Clip {
        input: String,
        output: String,
        low: f32,
        high: f32,
    },
    /// Divides by the greatest value.
    DivideByMaximum { input: String, output: String },
    /// Runs an ONNX file and takes one channel of its output.
    Network {
        input: String,
        output: String,
        file: String,
        tensor_in: String,
        tensor_out: String,
        layout: Layout,
        channel: usize,
        channels: usize,
        memory_mb: u64,
    },
    /// Voxels above a value.
    Threshold {
        input: String,
        output: String,
        above: f32,
    },
    /// The largest connected component.
    LargestComponent {
        input: String,
        output: String,
        connectivity: Connectivity,
    },
    /// Fills cavities.
    FillHoles { input: String, output: String },
    /// A mask's box on the grid of `on`.
    BoundingBox {
        input: String,
        output: String,
        on: String,
        profile_above: f64,
        margin: f64,
        when_empty: String,
    },
    /// Cuts to a box.
    Crop {
        input: String,
        output: String,
        region: String,
    },
    /// Puts a cropped mask back into the grid that it was cut from.
    Paste {
        input: String,
        output: String,
        region: String,
    },
}
