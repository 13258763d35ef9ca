//! Calls to the disk that fail: what the archive and SQLite do then must not
//! cost anything that is acknowledged before or after, not even in a power cut.

use std::io;

use crate::disk::live::{Call, Fault};
use crate::powercut::{self, Cuts};

/// A fault, and the sentence that names it in the report.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) faults: Vec<Fault>,
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
    ]
}

/// Runs one and cuts its record.
pub(crate) async fn run(named: &Named, seed: u64, cuts: usize) -> io::Result<(u64, Cuts)> {
    let record = powercut::record(seed, false, &named.faults)?;
    let mut shown = record.cut(cuts, seed, None).await?;
    if shown.wrong.is_none() && record.faults == 0 {
        shown.wrong = Some("the fault never happened".to_owned());
    }
    if shown.wrong.is_none() && !record.promised.ended {
        shown.wrong = Some("the worker did not come to its end".to_owned());
    }
    Ok((record.faults, shown))
}
