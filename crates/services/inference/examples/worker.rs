//! A worker by itself, for tests of the supervisor: what `hilum inference-worker` is.

use std::process::ExitCode;

fn main() -> ExitCode {
    hilum_inference::worker::worker_main()
}
