//! Power cuts: a worker runs on the recorded disk (`disk`), then the record is
//! cut at many points and every state is opened and held against what had been
//! promised by then. The same record without one kind of sync is the negative
//! control: then something must be found.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::chance::Chance;
use crate::check::{self, Promised};
use crate::disk::cut::Replay;
use crate::disk::live::{Disk, Fault, SAID};
use crate::disk::mount::Mounted;
use crate::disk::{Op, kinds};
use crate::serve;

/// A run that was written down.
pub(crate) struct Record {
    pub(crate) ops: Vec<Op>,
    kinds: Vec<Option<String>>,
    pub(crate) promised: Promised,
    pub(crate) faults: u64,
}

/// What cutting a record showed.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub(crate) tried: u64,
    /// Acknowledged instances that were looked for, all cuts together.
    pub(crate) looked_for: u64,
    /// Deleted and erased ones that were looked for in vain, rightly.
    pub(crate) gone: u64,
    /// States on which a server was started.
    pub(crate) served: u64,
    /// What was wrong first, and where the record was cut.
    pub(crate) wrong: Option<String>,
}

/// The folder of the archive on the recorded disk.
pub(crate) const DATA: &str = "data";

/// A server is started on every n-th state.
const SERVED_EVERY: usize = 20;

/// A worker that runs on a recorded disk.
#[derive(Debug, Default, Clone)]
pub(crate) struct Working {
    pub(crate) seed: u64,
    /// Says that it is stored before it is.
    pub(crate) hasty: bool,
    pub(crate) faults: Vec<Fault>,
    /// Its clock jumps.
    pub(crate) clock_jumps: bool,
    /// What it does to itself at a step, as `ARCHIVE_STEP`.
    pub(crate) step: Option<&'static str>,
}

/// Mounts a recorded disk.
pub(crate) fn mounted(disk: &Disk, at: &Path) -> io::Result<Mounted> {
    Mounted::new(disk, at).map_err(|error| {
        io::Error::other(format!(
            "a file system can't be mounted here ({error}): run as root where /dev/fuse is, in a \
             container with --device /dev/fuse --cap-add SYS_ADMIN"
        ))
    })
}

impl Working {
    /// Runs it to its end.
    pub(crate) fn record(&self) -> io::Result<Record> {
        let at = tempfile::tempdir()?;
        let disk = Disk::new();
        for fault in &self.faults {
            disk.fail(fault.clone());
        }
        let mounted = mounted(&disk, at.path())?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("worker")
            .arg("--dir")
            .arg(at.path().join(DATA))
            .arg("--said")
            .arg(at.path().join(SAID))
            .args(["--seed", &self.seed.to_string()])
            .env("ARCHIVE_LOOKUP_RECENT", "12");
        if self.hasty {
            command.arg("--hasty");
        }
        if self.clock_jumps {
            command.arg("--clock-jumps");
        }
        if let Some(step) = self.step {
            command.env("ARCHIVE_STEP", step);
        }
        let status = command.status()?;
        drop(mounted);
        if !status.success() {
            return Err(io::Error::other(format!("the worker ended with {status}")));
        }
        Ok(Record::of(&disk))
    }
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

/// What a state after a cut is held against, beyond what its archive says.
pub(crate) struct Asked<'a> {
    /// The kind of sync that does nothing.
    pub(crate) ignored: Option<&'a str>,
    /// A server that is started on some of the states.
    pub(crate) server: Option<&'a Path>,
}

impl Asked<'_> {
    pub(crate) const ARCHIVE: Self = Self {
        ignored: None,
        server: None,
    };
}

impl Record {
    pub(crate) fn of(disk: &Disk) -> Self {
        let ops = disk.record();
        Self {
            promised: promised(&ops),
            kinds: kinds::of(&ops),
            faults: disk.world().failed,
            ops,
        }
    }

    /// What is synced, by what it is.
    pub(crate) fn syncs(&self) -> BTreeSet<String> {
        self.kinds.iter().flatten().cloned().collect()
    }

    /// Cuts at `count` points: every second one right after something was
    /// promised, the others anywhere. Stops at the first thing that is wrong.
    pub(crate) async fn cut(&self, count: usize, seed: u64, asked: &Asked<'_>) -> io::Result<Cuts> {
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
        let ignore = |number: usize| {
            let kind = self.kinds.get(number).and_then(Option::as_deref);
            asked.ignored.is_some() && kind == asked.ignored
        };
        let (mut replay, mut by_then, mut heard) = (Replay::new(), Promised::default(), 0);
        let mut cuts = Cuts::default();
        for (number, point) in points.into_iter().enumerate() {
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
            cuts.gone += by_then.gone() as u64;
            let serves = asked.server.filter(|_| number % SERVED_EVERY == 0);
            let held = held(&state.path().join(DATA), &by_then, serves, state_seed).await;
            cuts.served += u64::from(serves.is_some());
            if let Err(wrong) = held {
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

async fn held(
    data: &Path,
    promised: &Promised,
    server: Option<&Path>,
    seed: u64,
) -> Result<(), String> {
    check::nothing_readable(data, promised)?;
    if let Some(binary) = server {
        serve::cuts::comes_up(binary, data, promised, seed)?;
    }
    check::archive(data, promised).await
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
