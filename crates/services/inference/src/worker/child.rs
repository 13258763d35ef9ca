//! The worker's own side: reads frames from standard input, computes, answers
//! on standard output. It ends when its supervisor is gone, also in the middle
//! of a run, because a thread of its own waits for standard input to close;
//! and after a while without work, with all its sessions.

use std::io::{Stdin, Stdout, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::frame::{FrameError, Request, Response, read, write};
use super::memory::volunteer_for_the_oom_killer;
use crate::domain::graph::RunError;
use crate::domain::refusal::Refusal;
use crate::limits::WORKER_IDLE_EXIT;
use crate::models::Model;
use crate::pipeline::{self, Results, RunContext};
use crate::runtime::Runtime;
use crate::series::Series;

type Incoming = Receiver<(Request, Vec<u8>)>;

/// What `hilum inference-worker` does. Never returns before its supervisor is done with it.
#[must_use]
pub fn worker_main() -> ExitCode {
    volunteer_for_the_oom_killer();
    let incoming = listen(std::io::stdin());
    let mut out = std::io::stdout();
    let mut runtime = None;
    loop {
        match incoming.recv_timeout(WORKER_IDLE_EXIT) {
            Ok((
                Request::Run {
                    model,
                    digest,
                    library,
                    threads,
                    context,
                },
                _,
            )) => {
                let job = Job {
                    model: &model,
                    digest: &digest,
                    library: &library,
                    threads,
                    context: &context,
                };
                let answer = work(&job, &incoming, &mut runtime, &mut out);
                if answer.and_then(|a| a.send(&mut out)).is_err() {
                    return ExitCode::FAILURE;
                }
            }
            // A frame out of turn: the two sides no longer agree where they are.
            Ok(_) => return ExitCode::FAILURE,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return ExitCode::SUCCESS;
            }
        }
    }
}

/// Reads frames in a thread of its own, one ahead at most.
fn listen(stdin: Stdin) -> Incoming {
    let (send, receive) = sync_channel(1);
    std::thread::spawn(move || {
        let mut stdin = stdin.lock();
        while let Ok(frame) = read::<Request>(&mut stdin) {
            if send.send(frame).is_err() {
                break;
            }
        }
        // Closed or broken: whoever asked is gone, and native code can't be interrupted otherwise.
        std::process::exit(0);
    });
    receive
}

struct Job<'a> {
    model: &'a Path,
    digest: &'a str,
    library: &'a Path,
    threads: usize,
    context: &'a RunContext,
}

struct Answer {
    response: Response,
    body: Vec<u8>,
}

impl Answer {
    fn send(self, out: &mut Stdout) -> Result<(), FrameError> {
        write(&mut out.lock(), &self.response, &self.body)
    }
}

impl From<RunError> for Answer {
    fn from(error: RunError) -> Self {
        let response = match error {
            RunError::Refused(refusal) => Response::Refused { refusal },
            RunError::Failed(problem) => Response::Failed { problem },
        };
        Self {
            response,
            body: Vec::new(),
        }
    }
}

impl From<Results> for Answer {
    fn from(results: Results) -> Self {
        let lengths = results.objects.iter().map(Vec::len).collect();
        let response = Response::Done {
            figures: Box::new(results.figures),
            lengths,
        };
        Self {
            response,
            body: results.objects.concat(),
        }
    }
}

/// One run. An error is one of the pipe; everything else is an answer.
fn work(
    job: &Job<'_>,
    incoming: &Incoming,
    runtime: &mut Option<Runtime>,
    out: &mut Stdout,
) -> Result<Answer, FrameError> {
    let mut decode = Duration::ZERO;
    let mut series = Ok(Series::new(job.context.memory_bytes));
    let mut read_so_far = 0u32;
    loop {
        match incoming.recv().map_err(|_| FrameError::Closed)? {
            (
                Request::Instance {
                    transfer_syntax_uid,
                },
                bytes,
            ) => {
                let start = Instant::now();
                // After a refusal the rest is still taken from the pipe, and let go.
                if let Ok(taken) = &mut series
                    && let Err(refusal) = taken.add(&transfer_syntax_uid, &bytes)
                {
                    series = Err(refusal);
                }
                decode += start.elapsed();
                read_so_far += 1;
                if read_so_far.is_multiple_of(16) {
                    progress(out, "read", 0.0)?;
                }
            }
            (Request::Compute, _) => break,
            (Request::Run { .. }, _) => return Err(FrameError::Header),
        }
    }
    Ok(match compute(job, series, decode, runtime, out) {
        Ok(results) => results.into(),
        Err(error) => error.into(),
    })
}

fn compute(
    job: &Job<'_>,
    series: Result<Series, Refusal>,
    decode: Duration,
    runtime: &mut Option<Runtime>,
    out: &mut Stdout,
) -> Result<Results, RunError> {
    let series = series?;
    let broken = |problem: String| Refusal::BrokenModel { problem };
    let model = Model::load(job.model).map_err(|e| broken(e.to_string()))?;
    if model.digest != job.digest {
        return Err(broken(
            "its files changed since the run was queued; start Hilum again to use them.".to_owned(),
        )
        .into());
    }
    if runtime.is_none() {
        *runtime = Some(
            Runtime::load(job.library, job.threads).map_err(|e| RunError::Failed(e.to_string()))?,
        );
    }
    let Some(runtime) = runtime.as_mut() else {
        return Err(RunError::Failed("ONNX Runtime is not loaded".to_owned()));
    };
    // The supervisor going away shows on standard input; a lost progress frame needs no answer.
    pipeline::run(
        &model,
        job.context,
        series,
        decode,
        runtime,
        &mut |step, fraction| {
            let _supervisor_gone = progress(out, step, fraction);
        },
    )
}

fn progress(out: &mut Stdout, step: &str, fraction: f64) -> Result<(), FrameError> {
    let mut out = out.lock();
    write(
        &mut out,
        &Response::Progress {
            step: step.to_owned(),
            fraction,
        },
        &[],
    )?;
    Ok(out.flush()?)
}
