//! How a run's answer is heard from the process that computes it, frame by
//! frame, none of which may take for ever. It starts and ends no process.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::BufReader;
use tokio::process::ChildStdout;

use super::frame::{FrameError, Response, read_async};
use super::supervisor::{Failure, Finished};

/// Hears a run to its end; `progress` hears step and share.
pub(super) async fn listen(
    stdout: &mut BufReader<ChildStdout>,
    stall: Duration,
    progress: &mut (dyn FnMut(&str, f64) + Send),
) -> Result<Finished, Failure> {
    loop {
        match within(stall, read_async::<Response>(stdout)).await? {
            (Response::Progress { step, fraction }, _) => progress(&step, fraction.clamp(0.0, 1.0)),
            (Response::Refused { refusal }, _) => return Err(Failure::Refused(refusal)),
            (Response::Failed { problem }, _) => return Err(Failure::Failed(problem)),
            (Response::Done { figures, lengths }, body) => {
                let objects = split(Bytes::from(body), &lengths).ok_or_else(|| {
                    Failure::Worker("The model's process sent half a result.".to_owned())
                })?;
                return Ok(Finished {
                    figures: *figures,
                    objects,
                });
            }
        }
    }
}

fn split(mut body: Bytes, lengths: &[usize]) -> Option<Vec<Bytes>> {
    let mut objects = Vec::with_capacity(lengths.len().min(16));
    for &length in lengths {
        if length > body.len() {
            return None;
        }
        objects.push(body.split_to(length));
    }
    body.is_empty().then_some(objects)
}

/// What takes longer than `stall` has failed.
pub(super) async fn within<T>(
    stall: Duration,
    work: impl Future<Output = Result<T, FrameError>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(stall, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Worker(format!(
            "The model's process failed ({error})"
        ))),
        Err(_) => Err(Failure::Worker(format!(
            "The model was ended after {} s without progress.",
            stall.as_secs()
        ))),
    }
}
