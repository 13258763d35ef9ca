//! The accuracy gate: a model runs on its reference series and must reproduce
//! the figures beside its manifest before anybody relies on it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::graph::RunError;
use crate::domain::manifest::Gate;
use crate::domain::refusal::Refusal;
use crate::models::Model;
use crate::pipeline::{self, Figures, Results, RunContext, Software, Timings};
use crate::runtime::Runtime;
use crate::series::Series;

/// The part of `reference.json` that is compared; its remarks are for people.
#[derive(Debug, Deserialize)]
struct Reference {
    series: PathBuf,
    brain_volume_cm3: f64,
    mask_voxels_per_slice_inferior_to_superior: Option<Vec<u64>>,
}

/// One comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was compared.
    pub what: String,
    /// The reference's figure.
    pub expected: f64,
    /// This machine's figure.
    pub found: f64,
    /// Whether it is close enough.
    pub passed: bool,
}

/// What the gate found.
#[derive(Clone, Debug, Serialize)]
pub struct GateReport {
    /// Name of the model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// Whether every check passed.
    pub passed: bool,
    /// Every comparison.
    pub checks: Vec<Check>,
    /// Warnings that the run gave.
    pub warnings: Vec<String>,
    /// Where the time went.
    pub timings: Timings,
}

/// The gate could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The manifest has none.
    #[error("the model's manifest has no [gate]")]
    None,
    /// The reference or its series can't be read.
    #[error("{0}")]
    Reference(String),
    /// The run gave no result.
    #[error("{0}")]
    Run(#[from] RunError),
}

/// Runs the model on its reference series, which lies below `root` (the
/// project's folder), and compares.
///
/// # Errors
/// [`GateError`]; figures that differ are no error but a report that did not pass.
pub fn test(
    model: &Model,
    root: &Path,
    runtime: &mut Runtime,
    progress: &mut dyn FnMut(&str, f64),
) -> Result<GateReport, GateError> {
    let gate = model.manifest.gate.as_ref().ok_or(GateError::None)?;
    let reference = model.folder.join(&gate.reference);
    let text = std::fs::read_to_string(&reference)
        .map_err(|e| GateError::Reference(format!("{}: {e}", gate.reference)))?;
    let reference: Reference = serde_json::from_str(&text)
        .map_err(|e| GateError::Reference(format!("{}: {e}", gate.reference)))?;
    let results = run_files(model, &root.join(&reference.series), runtime, progress)?;
    let checks = compare(model, gate, &reference, &results.figures);
    Ok(GateReport {
        model: model.manifest.model.name.clone(),
        version: model.manifest.model.version.clone(),
        digest: model.digest.clone(),
        passed: checks.iter().all(|c| c.passed),
        checks,
        warnings: results
            .figures
            .warnings
            .iter()
            .map(|w| w.text.clone())
            .collect(),
        timings: results.figures.timings,
    })
}

/// Runs the model on the DICOM files of a folder, in this process.
///
/// # Errors
/// [`GateError`].
pub fn run_files(
    model: &Model,
    folder: &Path,
    runtime: &mut Runtime,
    progress: &mut dyn FnMut(&str, f64),
) -> Result<Results, GateError> {
    let entries = std::fs::read_dir(folder)
        .map_err(|e| GateError::Reference(format!("{}: {e}", folder.display())))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|x| x == "dcm"))
        .collect();
    files.sort();
    let start = Instant::now();
    let mut series = Series::new(u64::MAX);
    for file in files {
        let bytes = std::fs::read(&file)
            .map_err(|e| GateError::Reference(format!("{}: {e}", file.display())))?;
        let (syntax, data_set) = split_part10(&bytes).ok_or_else(|| {
            GateError::Reference(format!("{} is not a DICOM file", file.display()))
        })?;
        series.add(&syntax, data_set).map_err(RunError::from)?;
    }
    let decode = start.elapsed();
    let context = RunContext {
        run: Uuid::nil(),
        created: OffsetDateTime::UNIX_EPOCH,
        software: Software {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            installation: "models test".to_owned(),
        },
        superseded: Vec::new(),
        revision: 1,
        memory_bytes: u64::MAX,
    };
    Ok(pipeline::run(
        model, &context, series, decode, runtime, progress,
    )?)
}

/// Transfer syntax and data set of a DICOM file (PS3.10 §7.1).
#[must_use]
pub fn split_part10(bytes: &[u8]) -> Option<(String, &[u8])> {
    let from_prefix = bytes.get(128..).filter(|b| b.starts_with(b"DICM"))?;
    let meta = dicom_object::FileMetaTable::from_reader(from_prefix).ok()?;
    // (0002,0000) as it was written: what follows its own 12 bytes, behind the prefix.
    let group_length: [u8; 4] = from_prefix.get(12..16)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(group_length))
        .ok()?
        .checked_add(16)?;
    Some((
        meta.transfer_syntax().to_owned(),
        from_prefix.get(length..)?,
    ))
}

fn compare(model: &Model, gate: &Gate, reference: &Reference, figures: &Figures) -> Vec<Check> {
    let mut checks = Vec::new();
    let volume = figures
        .measurements
        .iter()
        .find(|m| m.segment == gate.segment)
        .map_or(0.0, |m| m.value);
    checks.push(Check {
        what: "volume in cm3".to_owned(),
        expected: reference.brain_volume_cm3,
        found: volume,
        passed: (volume - reference.brain_volume_cm3).abs()
            <= gate.volume_tolerance * reference.brain_volume_cm3,
    });
    let (Some(tolerance), Some(expected)) = (
        gate.slice_tolerance,
        &reference.mask_voxels_per_slice_inferior_to_superior,
    ) else {
        return checks;
    };
    let index = model
        .manifest
        .segments
        .iter()
        .position(|s| s.label == gate.segment);
    let empty = Vec::new();
    let found = index.and_then(|i| figures.voxels.get(i)).unwrap_or(&empty);
    let whole = |n: u64| real(n);
    checks.push(Check {
        what: "slices".to_owned(),
        expected: whole(len(expected)),
        found: whole(len(found)),
        passed: expected.len() == found.len(),
    });
    for (slice, (&e, &f)) in expected.iter().zip(found).enumerate() {
        let allowed = (tolerance * whole(e)).max(whole(gate.slice_voxels));
        checks.push(Check {
            what: format!("voxels in slice {}", slice + 1),
            expected: whole(e),
            found: whole(f),
            passed: whole(e.abs_diff(f)) <= allowed,
        });
    }
    checks
}

fn len(values: &[u64]) -> u64 {
    u64::try_from(values.len()).unwrap_or(u64::MAX)
}

fn real(count: u64) -> f64 {
    usize::try_from(count).map_or(f64::MAX, crate::domain::volume::real)
}

/// A refusal as a report's sentence.
impl From<Refusal> for GateError {
    fn from(refusal: Refusal) -> Self {
        Self::Run(refusal.into())
    }
}
