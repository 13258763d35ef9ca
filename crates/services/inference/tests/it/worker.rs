//! Supervision: a worker that crashes, hangs or swells takes nothing with it,
//! and the real one gives what the model gives in this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use hilum_inference::gate::split_part10;
use hilum_inference::models::Model;
use hilum_inference::pipeline::{RunContext, Software};
use hilum_inference::worker::{
    Failure, Finished, RunInput, Supervisor, SupervisorConfig, WorkerInstance,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::models::{library, root};

const MB: u64 = 1024 * 1024;

/// The example `worker`, which the package's tests are built together with.
pub(crate) fn worker_program() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let target = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("the target folder");
    let program = target.join("examples/worker");
    assert!(
        program.is_file(),
        "the example `worker` is not built: run `cargo build -p hilum-inference --examples`"
    );
    program
}

pub(crate) fn config(program: impl Into<PathBuf>, arguments: &[&str]) -> SupervisorConfig {
    SupervisorConfig {
        program: program.into(),
        arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
        library: Some(library()),
        threads: 2,
        memory_bytes: 4096 * MB,
        deadline: Duration::from_secs(60),
        stall: Duration::from_secs(60),
    }
}

pub(crate) fn sample() -> Vec<(String, Bytes)> {
    let entries = std::fs::read_dir(root().join("samples/mr-brain")).expect("the sample");
    let files = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|x| x == "dcm"));
    files
        .map(|file| {
            let bytes = std::fs::read(file).expect("a file");
            let (syntax, data_set) = split_part10(&bytes).expect("a DICOM file");
            (syntax, Bytes::copy_from_slice(data_set))
        })
        .collect()
}

fn input(model: &str, instances: Vec<(String, Bytes)>) -> RunInput {
    let model = Model::load(&root().join("models").join(model)).expect("the model");
    RunInput {
        model: Arc::new(model),
        context: RunContext {
            run: Uuid::from_u128(7),
            created: OffsetDateTime::UNIX_EPOCH,
            software: Software {
                version: "0".into(),
                installation: "test".into(),
            },
            superseded: Vec::new(),
            revision: 1,
            memory_bytes: 0,
        },
        stored_bytes: instances.iter().map(|i| i.1.len() as u64).sum(),
        instances: futures::stream::iter(instances)
            .map(|(transfer_syntax_uid, data_set)| {
                Ok(WorkerInstance {
                    transfer_syntax_uid,
                    data_set,
                })
            })
            .boxed(),
    }
}

async fn run(
    supervisor: &Supervisor,
    instances: Vec<(String, Bytes)>,
) -> Result<Finished, Failure> {
    supervisor
        .run(input("brain-mask-small", instances), &mut |_, _| {})
        .await
}

fn worker_failure(outcome: Result<Finished, Failure>) -> String {
    match outcome {
        Err(Failure::Worker(reason)) => reason,
        other => panic!("expected the worker to fail, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_computes_run_after_run_and_the_same_run_gives_the_same_bytes() {
    let supervisor = Supervisor::new(config(worker_program(), &[]));
    let mut steps = Vec::new();
    let first = supervisor
        .run(
            input("brain-mask-small", sample()),
            &mut |step, fraction| steps.push((step.to_owned(), fraction)),
        )
        .await
        .expect("the first run");
    assert!(
        (first.figures.measurements[0].value - 1169.1).abs() < 1.0,
        "{:?}",
        first.figures.measurements
    );
    assert_eq!(first.objects.len(), 2);
    assert!(
        steps.iter().any(|s| s.0 == "network") && steps.windows(2).all(|w| w[0].1 <= w[1].1),
        "{steps:?}"
    );

    let mut shuffled = sample();
    shuffled.reverse();
    shuffled.swap(3, 11);
    let second = run(&supervisor, shuffled).await.expect("the second run");
    assert_eq!(first.objects, second.objects);
    // The session was resident: nothing was loaded again.
    assert!(second.figures.timings.networks < first.figures.timings.networks * 1.5);
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_an_answer_and_the_worker_stays() {
    let supervisor = Supervisor::new(config(worker_program(), &[]));
    let mut missing = sample();
    missing.sort_by_key(|i| i.1.len());
    missing.truncate(11);
    match run(&supervisor, missing).await {
        Err(Failure::Refused(refusal)) => assert_eq!(refusal.code(), "too-few-slices"),
        other => panic!("{other:?}"),
    }
    let garbage = vec![
        (
            "1.2.840.10008.1.2.1".to_owned(),
            Bytes::from_static(&[0xff; 400])
        );
        20
    ];
    match run(&supervisor, garbage).await {
        Err(Failure::Refused(refusal)) => assert_eq!(refusal.code(), "undecodable"),
        other => panic!("{other:?}"),
    }
    assert!(run(&supervisor, sample()).await.is_ok());
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_and_harms_nobody() {
    let supervisor = Supervisor::new(config(
        "/bin/sh",
        &["-c", "head -c 1000 > /dev/null; kill -SEGV $$"],
    ));
    let reason = worker_failure(run(&supervisor, sample()).await);
    assert!(
        reason.contains("crashed") || reason.contains("failed"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_is_ended_for_want_of_progress_and_at_the_deadline() {
    let start = Instant::now();
    let mut stalled = config("/bin/sh", &["-c", "cat > /dev/null & exec sleep 100"]);
    stalled.stall = Duration::from_secs(1);
    let reason = worker_failure(run(&Supervisor::new(stalled), sample()).await);
    assert!(reason.contains("without progress"), "{reason}");
    let mut late = config("/bin/sh", &["-c", "exec sleep 100"]);
    late.deadline = Duration::from_secs(1);
    let reason = worker_failure(run(&Supervisor::new(late), sample()).await);
    assert!(reason.contains("without a result"), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swelling_worker_is_ended() {
    // `tail` keeps everything that has no line break.
    let swelling = config("/bin/sh", &["-c", "exec tail /dev/zero"]);
    let reason = worker_failure(run(&Supervisor::new(swelling), sample()).await);
    assert!(reason.contains("MB of memory"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_fit_is_refused_before_a_worker_is_started() {
    let mut small = config("/bin/false", &[]);
    small.memory_bytes = 300 * MB;
    match run(&Supervisor::new(small), sample()).await {
        Err(Failure::Refused(refusal)) => assert_eq!(refusal.code(), "too-much-memory"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_that_do_not_fit_together_run_one_after_the_other() {
    let mut narrow = config(worker_program(), &[]);
    narrow.memory_bytes = 1500 * MB;
    let supervisor = Arc::new(Supervisor::new(narrow));
    let (a, b) = tokio::join!(run(&supervisor, sample()), run(&supervisor, sample()));
    assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_does_not_outlive_its_supervisor() {
    let mut child = std::process::Command::new(worker_program())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a worker");
    drop(child.stdin.take());
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a status") {
            assert!(status.success());
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "the worker outlives its supervisor"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_changed_or_broke_is_refused_and_not_retried() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("brain-mask-small");
    std::fs::create_dir(&folder).unwrap();
    for file in std::fs::read_dir(root().join("models/brain-mask-small"))
        .unwrap()
        .flatten()
    {
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let load = |folder: &std::path::Path| Arc::new(Model::load(folder).unwrap());
    let mut changed = input("brain-mask-small", sample());
    changed.model = load(&folder);
    std::fs::write(folder.join("brain.onnx"), b"not a network").unwrap();
    let supervisor = Supervisor::new(config(worker_program(), &[]));
    match supervisor.run(changed, &mut |_, _| {}).await {
        Err(Failure::Refused(refusal)) => assert_eq!(refusal.code(), "broken-model"),
        other => panic!("{other:?}"),
    }
    let mut broken = input("brain-mask-small", sample());
    broken.model = load(&folder);
    match supervisor.run(broken, &mut |_, _| {}).await {
        Err(Failure::Failed(problem)) => assert!(problem.starts_with("brain.onnx"), "{problem}"),
        other => panic!("{other:?}"),
    }
    supervisor.stop().await;
}
