//! The supervisor's side: starts workers, hands them runs, watches their time,
//! progress and memory, and ends the one that breaks a rule. Runs are admitted
//! by memory: together they never take more than the budget. A worker serves
//! one run at a time and stays for the next one, sessions loaded.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use hilum_contracts::error::ServiceError;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::conversation::{listen, within};
use super::frame::{Request, write_async};
use super::memory::resident_bytes;
use crate::domain::refusal::Refusal;
use crate::limits::{MEMORY_WATCH_EVERY, STDERR_LINE_BYTES_MAX, STDERR_LINES_MAX};
use crate::models::Model;
use crate::pipeline::{Figures, RunContext};

const MEGABYTE: u64 = 1024 * 1024;
/// A worker is ended when it takes this much more than its run was estimated to.
const MEMORY_SLACK: f64 = 1.5;

/// How workers are started and watched.
#[derive(Clone, Debug)]
pub struct SupervisorConfig {
    /// The program: this same one.
    pub program: PathBuf,
    /// Its arguments: the hidden command.
    pub arguments: Vec<String>,
    /// The ONNX Runtime library.
    pub library: Option<PathBuf>,
    /// Threads of a network; 0 takes all.
    pub threads: usize,
    /// Memory of all runs together.
    pub memory_bytes: u64,
    /// Longest time of one run.
    pub deadline: Duration,
    /// Longest time without progress.
    pub stall: Duration,
}

/// One instance on its way to a worker.
pub struct WorkerInstance {
    /// Transfer syntax of its data set.
    pub transfer_syntax_uid: String,
    /// Its data set.
    pub data_set: Bytes,
}

/// What a run needs.
pub struct RunInput {
    /// The model.
    pub model: Arc<Model>,
    /// What the run row fixes; the memory limit is set here.
    pub context: RunContext,
    /// Bytes of all data sets, for admission before they are read.
    pub stored_bytes: u64,
    /// The instances, fetched one by one.
    pub instances: BoxStream<'static, Result<WorkerInstance, ServiceError>>,
}

/// A run that was computed.
#[derive(Debug)]
pub struct Finished {
    /// The figures.
    pub figures: Figures,
    /// The result objects' data sets.
    pub objects: Vec<Bytes>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The input must not be computed; final.
    #[error("{0}")]
    Refused(Refusal),
    /// The model or the runtime failed on it; trying again gives the same.
    #[error("{0}")]
    Failed(String),
    /// The worker crashed, hung or swelled; may be tried again within the limit.
    #[error("{0}")]
    Worker(String),
    /// An instance could not be fetched; to be tried again.
    #[error("{0}")]
    Source(ServiceError),
    /// ONNX Runtime is not there.
    #[error(
        "ONNX Runtime was not found. Install it with `pip install onnxruntime` into .cache/venv, or set ORT_DYLIB_PATH to libonnxruntime.so."
    )]
    NoRuntime,
}

struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pid: u32,
}

/// Starts and watches workers.
pub struct Supervisor {
    config: SupervisorConfig,
    budget: Arc<Semaphore>,
    idle: Mutex<Vec<Worker>>,
}

impl Supervisor {
    /// A supervisor without workers; they are started when there is work.
    #[must_use]
    pub fn new(config: SupervisorConfig) -> Self {
        let budget = Arc::new(Semaphore::new(megabytes(config.memory_bytes)));
        Self {
            config,
            budget,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Computes one run; waits until its memory is free. `progress` hears step and share.
    ///
    /// # Errors
    /// [`Failure`]. Whatever it is, the worker that caused it is gone.
    pub async fn run(
        &self,
        input: RunInput,
        progress: &mut (dyn FnMut(&str, f64) + Send),
    ) -> Result<Finished, Failure> {
        let library = self.config.library.clone().ok_or(Failure::NoRuntime)?;
        let needed = self.needed(&input);
        if needed > self.config.memory_bytes {
            return Err(Failure::Refused(Refusal::TooMuchMemory {
                needed_mb: needed / MEGABYTE,
                allowed_mb: self.config.memory_bytes / MEGABYTE,
            }));
        }
        // First come, first served: a small run does not overtake a large one for ever.
        let permits = u32::try_from(megabytes(needed)).unwrap_or(u32::MAX);
        let budget = Arc::clone(&self.budget);
        let _admitted = budget
            .acquire_many_owned(permits)
            .await
            .map_err(|_| Failure::Worker("Hilum is stopping.".to_owned()))?;
        let alone = self.budget.available_permits() + megabytes(needed)
            >= megabytes(self.config.memory_bytes);
        let (mut worker, already) = self.worker(needed).await?;
        let pid = worker.pid;
        let limit = slack(needed).min(self.config.memory_bytes.max(needed));
        let outcome = tokio::select! {
            outcome = self.converse(&mut worker, input, library, limit, progress) => outcome,
            failure = watch_memory(pid, limit.saturating_add(already)) => Err(failure),
            () = tokio::time::sleep(self.config.deadline) => {
                Err(Failure::Worker(format!("The model was ended after {} s without a result.", self.config.deadline.as_secs())))
            }
        };
        match &outcome {
            // Beside another run, an idle worker's sessions would be memory that nobody counts.
            Ok(_) | Err(Failure::Refused(_) | Failure::Failed(_)) if alone => {
                self.idle.lock().await.push(worker)
            }
            _ => end(worker).await,
        }
        outcome
    }

    /// Ends every idle worker.
    pub async fn stop(&self) {
        self.budget.close();
        for worker in self.idle.lock().await.drain(..) {
            end(worker).await;
        }
    }

    /// What a run is admitted with: the graph's estimate for a volume that the
    /// stored bytes could hold uncompressed, at least.
    fn needed(&self, input: &RunInput) -> u64 {
        // Stored grey values take two bytes; compressed ones expand by about three.
        let voxels = usize::try_from(input.stored_bytes / 2).unwrap_or(usize::MAX);
        input.model.graph.estimate([1, 1, voxels])
    }

    /// An idle worker with what it holds already, when that leaves room enough; else a fresh one.
    async fn worker(&self, needed: u64) -> Result<(Worker, u64), Failure> {
        let mut idle = self.idle.lock().await;
        while let Some(mut worker) = idle.pop() {
            let holds = resident_bytes(worker.pid).unwrap_or(0);
            let fits = holds.saturating_add(needed) <= self.config.memory_bytes;
            match worker.child.try_wait() {
                Ok(None) if fits => return Ok((worker, holds)),
                Ok(Some(_)) => {}
                _ => end(worker).await,
            }
        }
        drop(idle);
        Ok((self.start()?, 0))
    }

    fn start(&self) -> Result<Worker, Failure> {
        let fail = |e: std::io::Error| {
            Failure::Worker(format!("The model's process could not be started: {e}."))
        };
        let mut child = Command::new(&self.config.program)
            .args(&self.config.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(fail)?;
        let pipes = (
            child.stdin.take(),
            child.stdout.take(),
            child.stderr.take(),
            child.id(),
        );
        let (Some(stdin), Some(stdout), Some(stderr), Some(pid)) = pipes else {
            return Err(Failure::Worker(
                "The model's process has no pipes.".to_owned(),
            ));
        };
        tokio::spawn(log_stderr(stderr, pid));
        Ok(Worker {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            pid,
        })
    }

    async fn converse(
        &self,
        worker: &mut Worker,
        input: RunInput,
        library: PathBuf,
        limit: u64,
        progress: &mut (dyn FnMut(&str, f64) + Send),
    ) -> Result<Finished, Failure> {
        let (stall, pid) = (self.config.stall, worker.pid);
        let run = Request::Run {
            model: input.model.folder.clone(),
            digest: input.model.digest.clone(),
            library,
            threads: self.config.threads,
            context: Box::new(RunContext {
                memory_bytes: limit,
                ..input.context
            }),
        };
        let Worker {
            stdin,
            stdout,
            child,
            ..
        } = worker;
        // Sending and listening go on together: neither side may wait for the other with a full pipe.
        let send = async {
            within(stall, write_async(stdin, &run, &[])).await?;
            let mut instances = input.instances;
            while let Some(instance) = instances.next().await {
                let WorkerInstance {
                    transfer_syntax_uid,
                    data_set,
                } = instance.map_err(Failure::Source)?;
                within(
                    stall,
                    write_async(
                        stdin,
                        &Request::Instance {
                            transfer_syntax_uid,
                        },
                        &data_set,
                    ),
                )
                .await?;
            }
            within(stall, write_async(stdin, &Request::Compute, &[])).await
        };
        let listen = listen(stdout, stall, progress);
        tokio::pin!(send, listen);
        let outcome = tokio::select! {
            sent = &mut send => match sent {
                Ok(()) => listen.await,
                Err(failure) => Err(failure),
            },
            heard = &mut listen => match heard {
                // An answer before everything was sent: the two no longer agree where they are.
                Ok(_) | Err(Failure::Refused(_) | Failure::Failed(_)) => Err(Failure::Worker("The model's process answered out of turn.".to_owned())),
                Err(failure) => Err(failure),
            },
        };
        if let Err(Failure::Worker(text)) = outcome {
            return Err(Failure::Worker(describe(child, pid, text).await));
        }
        outcome
    }
}

/// Says how the process ended, where it has: a signal tells more than a closed pipe.
async fn describe(child: &mut Child, pid: u32, text: String) -> String {
    const GRACE: Duration = Duration::from_millis(200);
    match tokio::time::timeout(GRACE, child.wait()).await {
        Ok(Ok(status)) => {
            tracing::warn!(worker = pid, %status, "an inference worker ended in the middle of a run");
            format!("The model's process crashed ({status}).")
        }
        _ if text.ends_with('.') => text,
        _ => format!("{text}."),
    }
}

async fn watch_memory(pid: u32, limit: u64) -> Failure {
    loop {
        tokio::time::sleep_until(Instant::now() + MEMORY_WATCH_EVERY).await;
        if let Some(bytes) = resident_bytes(pid).filter(|&b| b > limit) {
            let (took, allowed) = (bytes / MEGABYTE, limit / MEGABYTE);
            tracing::warn!(
                worker = pid,
                took_mb = took,
                allowed_mb = allowed,
                "an inference worker took too much memory"
            );
            return Failure::Worker(format!(
                "The model was ended because it took {took} MB of memory; {allowed} MB are allowed."
            ));
        }
    }
}

async fn end(mut worker: Worker) {
    if let Err(error) = worker.child.kill().await {
        tracing::warn!(worker = worker.pid, %error, "an inference worker could not be ended");
    }
}

/// What native libraries print. It never holds patient data: a worker is told
/// none but in data sets, and neither the runtime nor the codecs print those.
async fn log_stderr(stderr: tokio::process::ChildStderr, pid: u32) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    let mut count = 0usize;
    while let Ok(Some(line)) = lines.next_segment().await {
        count += 1;
        if count <= STDERR_LINES_MAX {
            let shown = line
                .get(..line.len().min(STDERR_LINE_BYTES_MAX))
                .unwrap_or_default();
            let shown = String::from_utf8_lossy(shown);
            tracing::info!(worker = pid, line = %shown, "inference worker");
        }
    }
}

fn slack(bytes: u64) -> u64 {
    let megabytes = crate::domain::volume::real(megabytes(bytes)) * MEMORY_SLACK;
    let whole = crate::domain::volume::whole(megabytes, usize::MAX >> 21);
    u64::try_from(whole)
        .unwrap_or(u64::MAX)
        .saturating_mul(MEGABYTE)
}

fn megabytes(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(MEGABYTE))
        .unwrap_or(Semaphore::MAX_PERMITS)
        .min(Semaphore::MAX_PERMITS)
}
