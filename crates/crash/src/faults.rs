//! What goes wrong while the power is still there: calls to the disk that fail
//! or do less than they were asked, a clock that jumps, a writer that stands
//! still. It must not cost anything that is acknowledged before or after, not
//! even in a power cut.

use std::io;

use crate::disk::live::{Call, Fault};
use crate::powercut::{Asked, Cuts, Working};

/// A fault, and the sentence that names it in the report.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    faults: Vec<Fault>,
    clock_jumps: bool,
    step: Option<&'static str>,
}

fn fault(call: Call, path: &str, after: u32, times: u32, errno: i32, torn: usize) -> Fault {
    Fault {
        call,
        path: path.to_owned(),
        after,
        times,
        errno,
        torn,
    }
}

/// Everything that is tried. The index's log is `archive.sqlite-wal`.
pub(crate) fn all() -> Vec<Named> {
    use Call::{Make, Sync, Write};
    let one = |name, fault| Named {
        name,
        faults: vec![fault],
        clock_jumps: false,
        step: None,
    };
    let still = |name, step| Named {
        name,
        faults: Vec::new(),
        clock_jumps: true,
        step: Some(step),
    };
    let objects = "/objects/default/";
    let (log, keys_log) = ("/archive.sqlite-wal", "/keys.sqlite-wal");
    vec![
        one(
            "an object's or folder's fsync fails (EIO)",
            fault(Sync, objects, 30, 3, libc::EIO, 0),
        ),
        one(
            "an object is written in part, then the disk is full",
            fault(Write, objects, 20, 3, libc::ENOSPC, 300),
        ),
        one(
            "writing an object fails (EIO)",
            fault(Write, objects, 20, 3, libc::EIO, 0),
        ),
        one(
            "no object can be made: the disk is full",
            fault(Make, objects, 270, 5, libc::ENOSPC, 0),
        ),
        one(
            "writes of objects are short, without an error",
            fault(Write, objects, 20, 9, 0, 300),
        ),
        one(
            "a pack's fsync fails (EIO)",
            fault(Sync, "#pack", 1, 2, libc::EIO, 0),
        ),
        one(
            "a pack is written in part, then the disk is full",
            fault(Write, "#pack", 2, 2, libc::ENOSPC, 300),
        ),
        one(
            "a look-up file's or its folder's fsync fails (EIO)",
            fault(Sync, "/lookup/", 1, 2, libc::EIO, 0),
        ),
        one(
            "a look-up file is written in part, then the disk is full",
            fault(Write, "/lookup/", 1, 2, libc::ENOSPC, 100),
        ),
        one(
            "a note of a deletion: fsync fails (EIO)",
            fault(Sync, "#note", 1, 2, libc::EIO, 0),
        ),
        one(
            "the index's log: fsync fails once (EIO)",
            fault(Sync, log, 12, 1, libc::EIO, 0),
        ),
        one(
            "the index's log: fsync fails three times, later",
            fault(Sync, log, 40, 3, libc::EIO, 0),
        ),
        one(
            "the index's log: the disk is full in mid-transaction",
            fault(Write, log, 50, 4, libc::ENOSPC, 100),
        ),
        one(
            "the index's log: writes are short, without an error",
            fault(Write, log, 40, 9, 0, 100),
        ),
        one(
            "the index's log: writing fails (EIO)",
            fault(Write, log, 60, 2, libc::EIO, 0),
        ),
        one(
            "the index itself: fsync fails when the log is folded back",
            fault(Sync, "/archive.sqlite", 52, 1, libc::EIO, 0),
        ),
        one(
            "the keys' log: fsync fails once (EIO)",
            fault(Sync, keys_log, 4, 1, libc::EIO, 0),
        ),
        one(
            "the keys' log: fsync fails twice, later",
            fault(Sync, keys_log, 14, 2, libc::EIO, 0),
        ),
        one(
            "the keys' log: the disk is full",
            fault(Write, keys_log, 20, 3, libc::ENOSPC, 64),
        ),
        one(
            "reading fails (EIO)",
            fault(Call::Read, "/archive.sqlite", 1, 1, libc::EIO, 0),
        ),
        Named {
            name: "the clock jumps by up to twenty years, forwards and back",
            faults: Vec::new(),
            clock_jumps: true,
            step: None,
        },
        still(
            "a writer stands still between object and index while sweeps run and the clock jumps",
            "commit.folder-synced=delay:4000@4",
        ),
        still(
            "the same with a streamed object",
            "stream.folder-synced=delay:4000@2",
        ),
        still(
            "the same with a pack that is not yet in the index",
            "pack.synced=delay:4000@2",
        ),
        still(
            "a deletion stands still behind its note while sweeps run and the clock jumps",
            "delete.begin=delay:4000@2",
        ),
    ]
}

/// Runs one and cuts its record.
pub(crate) async fn run(named: &Named, seed: u64, cuts: usize) -> io::Result<(u64, Cuts)> {
    let working = Working {
        seed,
        hasty: false,
        faults: named.faults.clone(),
        clock_jumps: named.clock_jumps,
        step: named.step,
    };
    let record = working.record()?;
    let mut shown = record.cut(cuts, seed, &Asked::ARCHIVE).await?;
    let promised = &record.promised;
    let times = match named.faults.is_empty() {
        true => 1,
        false => record.faults,
    };
    if shown.wrong.is_none() {
        shown.wrong = if times == 0 {
            Some("the fault never happened".to_owned())
        } else if !promised.ended {
            Some("the worker did not come to its end".to_owned())
        } else if named.faults.is_empty() && promised.refused > 0 {
            Some(format!("{} were refused, for no reason", promised.refused))
        } else {
            promised
                .errors
                .first()
                .cloned()
                .filter(|_| named.faults.is_empty())
        };
    }
    Ok((times, shown))
}
