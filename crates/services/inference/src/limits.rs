//! Every limit of the inference service, each with its reason. Nothing here
//! decides anything: the modules that meet a limit refuse with a sentence.

use std::time::Duration;

/// A manifest is a page or two of text; anything larger is not one.
pub const MANIFEST_BYTES_MAX: u64 = 256 * 1024;

/// Steps in one model: the largest pipelines known need about thirty.
pub const STEPS_MAX: usize = 256;

/// Models in one installation: each is digested at start.
pub const MODELS_MAX: usize = 256;

/// One ONNX file, so that digesting a folder ends.
pub const MODEL_FILE_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// Files in one model folder.
pub const MODEL_FILES_MAX: usize = 256;

/// Slices in one volume; whole-body CT at 0.5 mm has about 4000.
pub const SLICES_MAX: usize = 8192;

/// Rows or columns of one slice (PS3.3 allows 65535; a lie of that size must not allocate).
pub const MATRIX_MAX: usize = 8192;

/// Voxels of one value: 2³⁰ (1024³) is 4 GiB of `f32`.
pub const VOXELS_MAX: usize = 1 << 30;

/// One data set sent to a worker: a single slice with its private attributes.
pub const DATA_SET_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The JSON header of one frame between supervisor and worker.
pub const FRAME_HEADER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The raw bytes of one frame between supervisor and worker.
pub const FRAME_BODY_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Largest run of standard error that is kept of one worker line.
pub const STDERR_LINE_BYTES_MAX: usize = 400;

/// Lines of standard error that are logged of one worker: a looping library can't fill the log.
pub const STDERR_LINES_MAX: usize = 200;

/// How often a worker's resident memory is read: it can swell by about a gigabyte between two looks.
pub const MEMORY_WATCH_EVERY: Duration = Duration::from_millis(50);

/// An idle worker leaves, and its sessions' memory with it.
pub const WORKER_IDLE_EXIT: Duration = Duration::from_secs(300);

/// Sessions that one worker keeps resident; the least recently used goes first.
pub const SESSIONS_RESIDENT_MAX: usize = 4;

/// Attempts of one run before it has failed: crash, hang and swell included.
pub const RUN_ATTEMPTS_MAX: u32 = 3;

/// Runs in one answer of `GET /runs`, and studies in one question.
pub const RUNS_PAGE_MAX: u32 = 200;

/// Longest time of one run; the slowest known pipeline takes minutes on one core.
pub const RUN_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// Longest time of one step: a network says nothing while it computes.
pub const RUN_STALL: Duration = Duration::from_secs(10 * 60);

/// Runs that may be read and admitted at once; memory decides how many compute.
pub const RUN_LOOPS: usize = 2;

/// Pause before a run is tried again, and the longest one.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest pause before a run is tried again.
pub const RETRY_MAX: Duration = Duration::from_secs(120);

/// Times that a run is tried when its images can't be fetched or its results
/// can't be published: an outage of hours passes.
pub const SOURCE_ATTEMPTS_MAX: i64 = 200;

/// How often a run's place is written while it computes.
pub const PROGRESS_EVERY: Duration = Duration::from_millis(250);
