//! The power goes under a real server: all of its data, objects and every
//! database, is on a recorded disk while senders, deletions, erasures, packing
//! and look-ups go on.

use std::io;
use std::path::Path;
use std::time::Duration;

use hilum_testkit::Files;

use super::load::{self, Load};
use super::senders;
use super::server::Home;
use crate::chance::Chance;
use crate::check::Promised;
use crate::disk::live::Disk;
use crate::powercut::{self, DATA, Record};

/// How often the server is started on the disk.
const SESSIONS: u64 = 2;
/// What was sent is packed within this.
const SETTLES: Duration = Duration::from_secs(2);
/// Acknowledged instances that a server is asked for.
const ASKED: usize = 6;

/// Runs a server on a recorded disk: killed once, then started again and ended.
pub(crate) fn record(binary: &Path, seed: u64) -> io::Result<Record> {
    let folder = tempfile::tempdir()?;
    let at = folder.path().join("disk");
    std::fs::create_dir(&at)?;
    let disk = Disk::new();
    let mounted = powercut::mounted(&disk, &at)?;
    let home = Home {
        binary: binary.to_owned(),
        folder: folder.path().to_owned(),
        data: at.join(DATA),
    };
    let files = Files::open()?;
    let first = seed % 1_000_000 * 10_000;
    for session in 0..SESSIONS {
        let mut server = home.start(None, None)?;
        let Some(doors) = server.ready()? else {
            return Err(io::Error::other(format!(
                "hilum serve ended by itself: {}",
                home.log()
            )));
        };
        let load = Load {
            files: &files,
            doors,
            first: first + session * load::STUDIES,
            known: &[],
            unfinished: &[],
            rotates: false,
        };
        load.run(&|line| disk.said(line), || ())?;
        std::thread::sleep(SETTLES);
        if session + 1 < SESSIONS {
            server.kill()?;
        } else if !server.terminate()?.success() {
            return Err(io::Error::other("hilum serve does not end well"));
        }
    }
    drop(mounted);
    Ok(Record::of(&disk))
}

/// Whether a server comes up on what a cut has left, and lists what was
/// acknowledged. It is killed then.
pub(crate) fn comes_up(
    binary: &Path,
    data: &Path,
    promised: &Promised,
    seed: u64,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("starting hilum serve: {error}");
    let folder = tempfile::tempdir().map_err(failed)?;
    let home = Home {
        binary: binary.to_owned(),
        folder: folder.path().to_owned(),
        data: data.to_owned(),
    };
    // A cut before the first start leaves nothing at all.
    std::fs::create_dir_all(data).map_err(failed)?;
    let mut server = home.start(None, None).map_err(failed)?;
    let Some(doors) = server.ready().map_err(failed)? else {
        return Err(format!("hilum serve does not come up: {}", home.log()));
    };
    let mut chance = Chance::new(seed);
    let all: Vec<&String> = promised.stored.keys().collect();
    for _ in 0..ASKED.min(all.len()) {
        let uid = all[chance.below(all.len())];
        let path = format!("/dicomweb/instances?SOPInstanceUID={uid}");
        let answer = senders::request(doors, "GET", &path, "", &[]);
        let listed = answer
            .is_some_and(|(_, body)| body.windows(uid.len()).any(|part| part == uid.as_bytes()));
        if !listed {
            return Err(format!("the server does not list {uid} after a power cut"));
        }
    }
    server.kill().map_err(failed)?;
    Ok(())
}
