//! Inference owns models and their runs: which model takes which series, the
//! supervised computation, the result objects, and what became of each run.
//!
//! Invariants:
//! - A model is a folder. Nothing in this crate knows a model by name.
//! - Input that is not one evenly sampled volume is refused with a reason,
//!   never computed wrongly.
//! - Native code (ONNX Runtime, codecs) runs in child processes only, within
//!   limits of memory and time; what crashes there takes nothing with it.
//! - A run row fixes UIDs, dates and times of its results; however often a run
//!   is cut short and repeated, one result set becomes visible.
//! - Decrypted pixels are never written to disk.

mod api;
pub mod domain;
mod erasure;
mod export;
pub mod gate;
mod jobs_listed;
pub mod limits;
pub mod models;
pub mod pipeline;
pub mod runtime;
pub mod series;
mod service;
mod store;
pub mod worker;
mod workers;

pub use crate::workers::INTEREST;
pub use service::{InferenceService, MIGRATIONS, Options};
