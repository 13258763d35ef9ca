//! One whole run inside a worker: series in, result objects and figures out.
//! Owns the order of the parts and the time each takes; every rule is in
//! `domain`. The same run row gives the same bytes again.

use std::time::{Duration, Instant};

use dicom_dictionary_std::uids;
use dicom_object::InMemDicomObject;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::geometry::Geometry;
use crate::domain::graph::{self, NetworkCall, Networks, RunError};
use crate::domain::intended_use;
use crate::domain::manifest::{Coded, Manifest, Quantity};
use crate::domain::refusal::{Refusal, Warning};
use crate::domain::results::{
    self, Equipment, InstanceReference, Measurement, ModelIdentity, ResultContext, Segment,
    Segmentation, SeriesNumbers, SliceHeader, SourceSeries,
};
use crate::domain::volume::{Mask, Volume, real};
use crate::models::Model;
use crate::runtime::Runtime;
use crate::series::Series;

const MM3_PER_CM3: f64 = 1000.0;
/// The product's own (PS3.7 §D.3.3.2), the same that its associations name.
const IMPLEMENTATION_CLASS_UID: &str = "2.25.75101427407022123900285385509665520893";

/// What a run row fixes, so that a repeated run writes the same objects.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunContext {
    /// The run.
    pub run: Uuid,
    /// Date and time of its results.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// The software that runs it.
    pub software: Software,
    /// Results of the run that this one supersedes.
    #[serde(default)]
    pub superseded: Vec<Superseded>,
    /// Revision of the input, from 1: tells the results of revisions apart in series numbers.
    pub revision: u32,
    /// Bytes that the run may take.
    pub memory_bytes: u64,
}

/// This software, as results name it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Software {
    /// Its version.
    pub version: String,
    /// This installation.
    pub installation: String,
}

/// A result instance that is superseded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Superseded {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
}

impl From<&Superseded> for InstanceReference {
    fn from(s: &Superseded) -> Self {
        Self {
            study_instance_uid: s.study_uid.clone(),
            series_instance_uid: s.series_uid.clone(),
            sop_class_uid: s.sop_class_uid.clone(),
            sop_instance_uid: s.sop_instance_uid.clone(),
        }
    }
}

/// A number that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Label of its segment.
    pub segment: String,
    /// Concept.
    pub concept: Coded,
    /// The number.
    pub value: f64,
    /// Unit, UCUM.
    pub unit: Coded,
}

/// Where a run's time went, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Reading and decoding.
    pub decode: f64,
    /// All steps, networks included.
    pub steps: f64,
    /// The networks alone, loading included.
    pub networks: f64,
    /// Writing results.
    pub write: f64,
}

/// Figures of a finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// What was measured.
    pub measurements: Vec<Measured>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
    /// Voxels of each segment in each slice, inferior (or right, or posterior) first.
    pub voxels: Vec<Vec<u64>>,
    /// Voxel size along slice, row and column axis, mm.
    pub spacing: [f64; 3],
    /// Where the time went.
    pub timings: Timings,
}

/// What a run gives.
pub struct Results {
    /// Figures.
    pub figures: Figures,
    /// Data sets in explicit VR little endian: Segmentation, report, and the
    /// rejection note where earlier results are superseded.
    pub objects: Vec<Vec<u8>>,
}

struct TimedNetworks<'a> {
    model: &'a Model,
    runtime: &'a mut Runtime,
    spent: Duration,
}

impl Networks for TimedNetworks<'_> {
    fn run(&mut self, call: NetworkCall<'_>, input: Volume) -> Result<Volume, String> {
        let start = Instant::now();
        let output = self
            .runtime
            .run(&self.model.folder.join(call.file), call, input);
        self.spent += start.elapsed();
        output.map_err(|e| e.to_string())
    }
}

/// Computes a series and writes its results. `progress` hears step and share.
///
/// # Errors
/// [`RunError`].
pub fn run(
    model: &Model,
    context: &RunContext,
    series: Series,
    decode: Duration,
    runtime: &mut Runtime,
    progress: &mut dyn FnMut(&str, f64),
) -> Result<Results, RunError> {
    let (geometry, source, data_sets) = series.assemble(&model.manifest.input)?;
    let needed = model.graph.estimate(geometry.dims);
    if needed > context.memory_bytes {
        const MB: u64 = 1024 * 1024;
        return Err(Refusal::TooMuchMemory {
            needed_mb: needed / MB,
            allowed_mb: context.memory_bytes / MB,
        }
        .into());
    }
    let mut networks = TimedNetworks {
        model,
        runtime,
        spent: Duration::ZERO,
    };
    let start = Instant::now();
    let outcome = graph::run(&model.graph, &geometry, source, &mut networks, progress)?;
    let steps = start.elapsed();
    let networks = networks.spent;
    progress("write results", 0.98);

    let start = Instant::now();
    let figures = figures(
        &model.manifest,
        &geometry,
        &outcome.masks,
        data_sets.first(),
    )?;
    let objects = write(model, context, &figures, &outcome.masks, &data_sets)?;
    let timings = Timings {
        decode: decode.as_secs_f64(),
        steps: steps.as_secs_f64(),
        networks: networks.as_secs_f64(),
        write: start.elapsed().as_secs_f64(),
    };
    Ok(Results {
        figures: Figures { timings, ..figures },
        objects,
    })
}

fn figures(
    manifest: &Manifest,
    geometry: &Geometry,
    masks: &[Mask],
    first: Option<&InMemDicomObject>,
) -> Result<Figures, RunError> {
    let mut voxels = Vec::with_capacity(masks.len());
    for (segment, mask) in manifest.segments.iter().zip(masks) {
        let per_slice: Vec<u64> = mask
            .outer_iter()
            .map(|slice| slice.iter().fold(0, |n, &v| n + u64::from(v)))
            .collect();
        if per_slice.iter().all(|&n| n == 0) {
            return Err(Refusal::NothingFound {
                text: segment.when_empty.clone(),
            }
            .into());
        }
        voxels.push(per_slice);
    }
    // From inferior, posterior or right: whichever way the slices run.
    let slice_axis_flipped = geometry
        .to_ras
        .axes
        .iter()
        .zip(geometry.to_ras.flipped)
        .any(|(&axis, flipped)| axis == 0 && flipped);
    if slice_axis_flipped {
        voxels.iter_mut().for_each(|v| v.reverse());
    }
    let measure = |m: &crate::domain::manifest::MeasurementOutput| {
        let index = manifest
            .segments
            .iter()
            .position(|s| s.label == m.segment)?;
        let count: u64 = voxels.get(index)?.iter().sum();
        let value = match m.quantity {
            Quantity::Volume => {
                real(usize::try_from(count).ok()?) * geometry.voxel_mm3() / MM3_PER_CM3
            }
        };
        Some(Measured {
            segment: m.segment.clone(),
            concept: m.concept.clone(),
            value,
            unit: m.unit.clone(),
        })
    };
    let measurements = manifest.measurements.iter().filter_map(measure).collect();
    let mut warnings = geometry.warnings.clone();
    if let Some(first) = first {
        warnings.extend(intended_use::warnings(
            &manifest.intended_use.conditions,
            first,
        ));
    }
    Ok(Figures {
        measurements,
        warnings,
        voxels,
        spacing: geometry.spacing,
        timings: Timings::default(),
    })
}

fn write(
    model: &Model,
    context: &RunContext,
    figures: &Figures,
    masks: &[Mask],
    data_sets: &[InMemDicomObject],
) -> Result<Vec<Vec<u8>>, RunError> {
    let fail =
        |e: results::ResultError| RunError::Failed(format!("results could not be written: {e}"));
    let slices: Vec<SliceHeader<'_>> = data_sets.iter().map(SliceHeader::from).collect();
    let source = SourceSeries::from_slices(&slices).map_err(fail)?;
    let rejected: Vec<InstanceReference> = context
        .superseded
        .iter()
        .filter(|s| s.sop_class_uid == uids::SEGMENTATION_STORAGE)
        .map(Into::into)
        .collect();
    let context = result_context(model, context, figures);
    let segments = segments(&model.manifest);
    let volumes: Vec<Vec<u8>> = masks
        .iter()
        .map(|m| m.iter().map(|&v| u8::from(v)).collect())
        .collect();
    let volumes: Vec<&[u8]> = volumes.iter().map(Vec::as_slice).collect();
    let segmentation = Segmentation {
        segments: &segments,
        mask: results::Mask::Volumes(&volumes),
    };
    let segmentation = results::segmentation(&context, &source, &segmentation).map_err(fail)?;
    let measurements: Vec<Measurement> = figures
        .measurements
        .iter()
        .filter_map(|m| {
            let index = model
                .manifest
                .segments
                .iter()
                .position(|s| s.label == m.segment)?;
            Some(Measurement {
                segment: u16::try_from(index + 1).ok()?,
                name: (&m.concept).into(),
                value: rounded(m.value),
                unit: (&m.unit).into(),
                method: None,
                derivation: None,
            })
        })
        .collect();
    let report = results::report(&context, &source, &segments, &measurements).map_err(fail)?;
    let mut objects = vec![segmentation, report];
    if !rejected.is_empty() {
        objects.push(results::rejection_note(&context, &source, &rejected).map_err(fail)?);
    }
    objects
        .iter()
        .map(|o| results::data_set_to_bytes(o).map_err(fail))
        .collect()
}

/// To a thousandth: a tenth of a cubic millimetre of brain is no knowledge.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn segments(manifest: &Manifest) -> Vec<Segment> {
    manifest
        .segments
        .iter()
        .map(|s| Segment {
            label: s.label.clone(),
            category: (&s.category).into(),
            property_type: (&s.property_type).into(),
            property_type_modifier: None,
            anatomic_region: None,
            algorithm_name: format!("{} {}", manifest.model.name, manifest.model.version),
            color: Some(results::cielab(s.color)),
        })
        .collect()
}

/// Series numbers far above a scanner's own, a step apart for each revision.
fn result_context(model: &Model, context: &RunContext, figures: &Figures) -> ResultContext {
    let base = 9000 + 10 * context.revision.saturating_sub(1).min(90);
    ResultContext {
        run: context.run,
        created: context.created,
        model: ModelIdentity {
            name: model.manifest.model.title.clone(),
            version: model.manifest.model.version.clone(),
            manufacturer: model.manifest.model.vendor.clone(),
        },
        equipment: Equipment {
            manufacturer: "Hilum".to_owned(),
            model_name: "Hilum".to_owned(),
            serial_number: context.software.installation.clone(),
            software_version: context.software.version.clone(),
            implementation_class_uid: IMPLEMENTATION_CLASS_UID.to_owned(),
            implementation_version_name: "HILUM".to_owned(),
        },
        warnings: figures.warnings.iter().map(|w| w.text.clone()).collect(),
        predecessor: context
            .superseded
            .iter()
            .find(|s| s.sop_class_uid == uids::COMPREHENSIVE3_DSR_STORAGE)
            .map(Into::into),
        series_numbers: SeriesNumbers {
            segmentation: base,
            report: base + 1,
            rejection: base + 2,
        },
    }
}
