//! SIGKILL at random moments under load: whatever was acknowledged is there.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hilum_archive::{Archive, ArchiveError, ObjectFault, ResultKey, StoreOutcome};

use crate::support::{config, instance, noise, on_the_same_bucket, scope, sha256};

const DIR: &str = "HILUM_TEST_CRASH_DIR";
const ROUND: &str = "HILUM_TEST_CRASH_ROUND";
/// How many instances of each series, when packs are made of them meanwhile.
const PACKED: &str = "HILUM_TEST_CRASH_PACKED";

/// Not a test of its own: the process that is killed. Prints what was
/// acknowledged, after it was.
#[test]
#[ignore = "started by the tests of this module"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let round: u32 = std::env::var(ROUND).unwrap().parse().unwrap();
    let packed: Option<u32> = std::env::var(PACKED)
        .ok()
        .map(|count| count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async move {
        let archive = Archive::open(config(Path::new(&dir))).await.unwrap();
        let mut tasks = Vec::new();
        if packed.is_some() {
            let archive = archive.clone();
            tokio::spawn(async move {
                loop {
                    archive.pack(Duration::ZERO).await.unwrap();
                    archive.sweep().await.unwrap();
                }
            });
        }
        for series in 0..4_u32 {
            let archive = archive.clone();
            tasks.push(tokio::spawn(async move {
                for number in 0..packed.unwrap_or(100_000) {
                    let seed = u64::from(round) << 40 | u64::from(series) << 32 | u64::from(number);
                    // Every tenth is long enough for an object of its own.
                    let every = if packed.is_some() { 30 } else { 10 };
                    let len = if number % every == 9 {
                        9 << 20
                    } else {
                        1_000 + seed as usize % 60_000
                    };
                    let new = instance(round, series, number, noise(seed, len));
                    let (uid, hash) = (new.sop_instance.clone(), new.sha256);
                    let stored = if number % 7 == 6 {
                        let key = ResultKey(uid.clone());
                        archive
                            .publish(&scope("default"), key, vec![new], vec![])
                            .await
                            .map(|_| ())
                    } else {
                        archive.store(&scope("default"), new).await.map(|outcome| {
                            assert_eq!(outcome, StoreOutcome::Stored);
                        })
                    };
                    match stored {
                        Ok(()) => say(&format!("ACK {uid} {}", hex(&hash))),
                        Err(ArchiveError::OutOfSpace) => say("FULL"),
                        Err(error) => say(&format!("ERROR {error}")),
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        if packed.is_some() {
            archive.pack(Duration::ZERO).await.unwrap();
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn arguments() -> [&'static str; 4] {
    ["--exact", "crash::child", "--ignored", "--nocapture"]
}

fn start(dir: &Path, round: u32) -> Child {
    // Its database is there before and after it.
    drop(config(dir));
    on_the_same_bucket(&mut Command::new(std::env::current_exe().unwrap()))
        .args(arguments())
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads acknowledgements until the child is gone.
fn listen(child: &mut Child, acknowledged: &mut HashMap<String, String>, seen: &mut Vec<String>) {
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        let Some((_, ack)) = line.split_once("ACK ") else {
            seen.push(line);
            continue;
        };
        // The last line may be cut off by the kill.
        if let Some((uid, hash)) = ack.split_once(' ').filter(|(_, hash)| hash.len() == 64) {
            acknowledged.insert(uid.to_owned(), hash.to_owned());
        }
    }
}

async fn check(dir: &Path, acknowledged: &HashMap<String, String>) {
    let archive = Archive::open(config(dir)).await.unwrap();
    let swept = archive.sweep().await.unwrap();
    assert_eq!(swept.unknown, 0, "files that no row names: {swept:?}");
    let report = archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    for (uid, hash) in acknowledged {
        let row = archive.lookup(&scope("default"), uid).await.unwrap();
        let row = row.unwrap_or_else(|| panic!("{uid} was acknowledged and is lost"));
        assert_eq!(hex(&row.sha256), *hash);
        let length = row.location.length();
        let reader = archive
            .read_range(&scope("default"), &row.location, 0..length)
            .await
            .unwrap();
        assert_eq!(
            hex(&sha256(&reader.collect().await.unwrap())),
            *hash,
            "{uid}"
        );
    }
    assert!(report.instances >= acknowledged.len() as u64);
    archive.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_kill() {
    let rounds: u32 = std::env::var("HILUM_TEST_KILLS").ok().map_or(6, |kills| {
        kills.parse().expect("HILUM_TEST_KILLS is a number")
    });
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = HashMap::new();
    for round in 0..rounds {
        let mut child = start(dir.path(), round);
        let wait = 150 + uuid::Uuid::new_v4().as_u128() as u64 % 700;
        let killer = {
            let id = child.id().to_string();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(wait));
                Command::new("kill").args(["-KILL", &id]).status().unwrap()
            })
        };
        let mut seen = Vec::new();
        listen(&mut child, &mut acknowledged, &mut seen);
        child.wait().unwrap();
        assert!(killer.join().unwrap().success());
        assert!(!seen.iter().any(|line| line.contains("ERROR")), "{seen:?}");
        check(dir.path(), &acknowledged).await;
    }
    assert!(
        !acknowledged.is_empty(),
        "the rounds were too short to acknowledge anything"
    );
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_at_every_step_of_packing() {
    let steps = hilum_archive::steps::ALL.iter();
    for step in steps.filter(|step| step.starts_with("pack.")) {
        let dir = tempfile::tempdir().unwrap();
        drop(config(dir.path()));
        let mut acknowledged = HashMap::new();
        for (round, passing) in [(0, 1), (1, 4)] {
            let mut child = on_the_same_bucket(&mut Command::new(std::env::current_exe().unwrap()))
                .args(arguments())
                .env(DIR, dir.path())
                .env(ROUND, round.to_string())
                .env(PACKED, "40")
                .env("ARCHIVE_STEP", format!("{step}=kill@{passing}"))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut seen = Vec::new();
            listen(&mut child, &mut acknowledged, &mut seen);
            let ended = child.wait().unwrap();
            assert_eq!(ended.code(), None, "{step} was not passed {passing} times");
            assert!(!seen.iter().any(|line| line.contains("ERROR")), "{seen:?}");
            check(dir.path(), &acknowledged).await;
        }
        // And what was begun is done by who starts again.
        let archive = Archive::open(config(dir.path())).await.unwrap();
        let report = archive.pack(Duration::ZERO).await.unwrap();
        assert_eq!(report.skipped, 0);
        archive.close().await;
        drop(archive);
        check(dir.path(), &acknowledged).await;
    }
}

#[tokio::test]
async fn on_a_disk_that_takes_no_more_senders_are_told_and_nothing_acknowledged_is_lost() {
    // A limit on file size is the kernel's own refusal in the middle of a
    // write; the nine-megabyte objects hit it first, then the index's log.
    let dir = tempfile::tempdir().unwrap();
    drop(config(dir.path()));
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -f 2048; trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(arguments())
        .env(DIR, dir.path())
        .env(ROUND, "77")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let id = child.id().to_string();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(3));
        Command::new("kill").args(["-KILL", &id]).status().unwrap()
    });
    let (mut acknowledged, mut seen) = (HashMap::new(), Vec::new());
    listen(&mut child, &mut acknowledged, &mut seen);
    child.wait().unwrap();
    killer.join().unwrap();
    assert!(!acknowledged.is_empty());
    assert!(
        seen.iter().any(|line| line.ends_with("FULL")),
        "the limit was never hit"
    );
    check_after_full(dir.path(), &acknowledged).await;
}

/// As `check`; an object truncated before its commit failed is not a fault.
async fn check_after_full(dir: &Path, acknowledged: &HashMap<String, String>) {
    check(dir, acknowledged).await;
    let archive = Archive::open(config(dir)).await.unwrap();
    let report = archive.verify(None).await.unwrap();
    assert!(
        !report
            .faults
            .iter()
            .any(|fault| matches!(fault, ObjectFault::Missing { .. }))
    );
    let more = archive
        .store(&scope("default"), instance(9, 9, 9, noise(9, 2 << 20)))
        .await;
    assert_eq!(more, Ok(StoreOutcome::Stored), "room again, and it goes on");
}
