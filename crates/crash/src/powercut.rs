//! Power cuts: a worker runs on the recorded disk (`disk`), then the record is
//! cut at many points and every state is opened and held against what had been
//! promised by then. The same record without one kind of sync is the negative
//! control: then something must be found.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::chance::Chance;
use crate::check::{self, Promised};
use crate::disk::Op;
use crate::disk::cut::Replay;
use crate::disk::live::{Disk, Fault, SAID};
use crate::disk::mount::Mounted;

/// A run that was written down.
pub(crate) struct Record {
    pub(crate) ops: Vec<Op>,
    pub(crate) promised: Promised,
    pub(crate) faults: u64,
}

/// What cutting a record showed.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub(crate) tried: u64,
    /// Acknowledged instances that were looked for, all cuts together.
    pub(crate) looked_for: u64,
    /// What was wrong first, and where the record was cut.
    pub(crate) wrong: Option<String>,
}

/// The folder of the archive on the recorded disk.
const DATA: &str = "data";

/// Runs a worker on a recorded disk, with `faults` in it, to its end.
pub(crate) fn record(seed: u64, hasty: bool, faults: &[Fault]) -> io::Result<Record> {
    let at = tempfile::tempdir()?;
    let disk = Disk::new();
    for fault in faults {
        disk.fail(fault.clone());
    }
    let mounted = Mounted::new(&disk, at.path()).map_err(|error| {
        io::Error::other(format!(
            "a file system can't be mounted here ({error}): run as root where /dev/fuse is, in a \
             container with --device /dev/fuse --cap-add SYS_ADMIN"
        ))
    })?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("worker")
        .arg("--dir")
        .arg(at.path().join(DATA))
        .arg("--said")
        .arg(at.path().join(SAID))
        .args(["--seed", &seed.to_string()]);
    if hasty {
        command.arg("--hasty");
    }
    let status = command.status()?;
    drop(mounted);
    if !status.success() {
        return Err(io::Error::other(format!("the worker ended with {status}")));
    }
    let ops = disk.record();
    let promised = promised(&ops);
    let faults = disk.world().failed;
    Ok(Record {
        ops,
        promised,
        faults,
    })
}

fn promised(ops: &[Op]) -> Promised {
    let mut promised = Promised::default();
    for op in ops {
        if let Op::Said(line) = op {
            promised.hear(line);
        }
    }
    promised
}

impl Record {
    /// What is synced, by what it is: how often.
    pub(crate) fn syncs(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for op in &self.ops {
            if let Op::Sync { path, .. } = op {
                *kinds.entry(kind(path)).or_default() += 1;
            }
        }
        kinds
    }

    /// Cuts at `count` points: every second one right after something was
    /// promised, the others anywhere. Stops at the first thing that is wrong.
    /// `ignored`: the kind of sync that does nothing.
    pub(crate) async fn cut(
        &self,
        count: usize,
        seed: u64,
        ignored: Option<&str>,
    ) -> io::Result<Cuts> {
        let mut chance = Chance::new(seed);
        let promises: Vec<usize> = (0..self.ops.len())
            .filter(|index| matches!(self.ops.get(*index), Some(Op::Said(_))))
            .collect();
        let mut points: Vec<usize> = (0..count)
            .map(|number| match promises.get(chance.below(promises.len())) {
                Some(after) if number % 2 == 0 => after + 1,
                _ => chance.below(self.ops.len() + 1),
            })
            .collect();
        points.sort_unstable();
        let ignore = |path: &str| ignored.is_some_and(|ignored| kind(path) == ignored);
        let (mut replay, mut by_then, mut heard) = (Replay::new(), Promised::default(), 0);
        let mut cuts = Cuts::default();
        for point in points {
            replay.play(&self.ops, point, &ignore);
            for op in self.ops.get(heard..point).unwrap_or_default() {
                if let Op::Said(line) = op {
                    by_then.hear(line);
                }
            }
            heard = point;
            let state_seed = chance.next();
            let state = folder_in_memory()?;
            replay.materialise(state_seed, state.path())?;
            cuts.tried += 1;
            cuts.looked_for += by_then.stored.len() as u64;
            if let Err(wrong) = check::archive(&state.path().join(DATA), &by_then).await {
                cuts.wrong = Some(format!(
                    "{wrong} (power cut after operation {point} of {}, state {state_seed:#x})",
                    self.ops.len()
                ));
                if std::env::var_os("CRASH_KEEP").is_some() {
                    let _kept = state.keep();
                }
                break;
            }
        }
        Ok(cuts)
    }
}

/// States are many and short-lived.
fn folder_in_memory() -> io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
}

/// What a synced path is, without names.
pub(crate) fn kind(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        [] | [""] => "the folder above the data folder".to_owned(),
        [_] => "the data folder".to_owned(),
        [_, "objects"] => "the folder of objects".to_owned(),
        [_, "objects", _] => "a tenant's folder".to_owned(),
        [_, "objects", _, _] => "an object's folder".to_owned(),
        [_, "objects", ..] => "an object".to_owned(),
        [_, "lookup", _] => "a tenant's look-up folder".to_owned(),
        [_, "lookup", ..] => "a look-up file".to_owned(),
        [_, rest @ ..] => rest.join("/"),
    }
}
