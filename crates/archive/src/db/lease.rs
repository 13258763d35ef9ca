//! One process at a time has an archive whose index is on PostgreSQL: its name stands
//! in the index, with a time that it puts off again and again. Whoever dies is out
//! some seconds later; whoever was only slow finds another name there, in every
//! transaction (`enter` and `must_own` in `index/postgres.sql`), and changes nothing
//! any more.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hilum_platform::durable;
use tokio::sync::watch;

use super::place::on;
use super::postgres::Schema;
use super::{Connection, OptionalExtension as _, Whose, params};
use crate::archive::Elsewhere;
use crate::descriptor::hex;
use crate::error::{ArchiveError, Result};
use crate::keys::random;
use crate::limits::{LEASE, LEASE_ASKED};

/// That the archive is this process's. Given back when it is dropped.
pub(crate) struct Lease {
    token: String,
    asked: Arc<(Mutex<Asked>, Condvar)>,
    taken_away: watch::Receiver<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What its process wants it to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Kept,
    /// Soon: who waits for it is told.
    Left,
    Ended,
}

impl Lease {
    /// Takes the archive for the process that has locked `dir`, as soon as one that
    /// had it elsewhere is out: one that had it here is. `keeps_objects`: its objects
    /// are files in `dir`, so that no other folder may take it.
    ///
    /// # Errors
    /// [`ArchiveError::InUse`] when it is another one's that is alive.
    pub(super) fn take(schema: &Schema, dir: &Path, keeps_objects: bool) -> Result<Self> {
        let here = of_folder(dir)?;
        let token = format!("{here}-{}", hex::encode(&random::<16>()?));
        let mut db = on(schema);
        let began = Instant::now();
        let mut known = None;
        while let Some((until, _)) = another(&db, &here)? {
            // It is put off by whoever is alive.
            if known.as_ref().is_some_and(|known| *known != until) || began.elapsed() > 2 * LEASE {
                return Err(ArchiveError::InUse);
            }
            known = Some(until);
            std::thread::sleep(LEASE_ASKED);
        }
        if !take(&mut db, &token, &here, keeps_objects)? {
            return Err(ArchiveError::InUse);
        }
        let asked = Arc::new((Mutex::new(Asked::Kept), Condvar::new()));
        let (told, taken_away) = watch::channel(false);
        let (theirs, name) = (Arc::clone(&asked), token.clone());
        let thread = std::thread::Builder::new()
            .name("archive-lease".to_owned())
            .spawn(move || keep(&db, &name, &theirs, &told))?;
        Ok(Self {
            token,
            asked,
            taken_away,
            thread: Some(thread),
        })
    }

    /// What a process of another folder than `dir` does with the archive now.
    pub(super) fn elsewhere(schema: &Schema, dir: &Path) -> Result<Elsewhere> {
        Ok(match another(&on(schema), &of_folder(dir)?)? {
            None => Elsewhere::Nobody,
            Some((_, false)) => Elsewhere::Had,
            Some((_, true)) => Elsewhere::Leaving,
        })
    }

    /// Says that the archive will be free soon, to who waits for it.
    pub(crate) fn leaves(&self) {
        self.ask(Asked::Left);
    }

    fn ask(&self, what: Asked) {
        *self.asked.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
        self.asked.1.notify_all();
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether another process has the archive now.
    pub(crate) fn taken_away(&self) -> watch::Receiver<bool> {
        self.taken_away.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ask(Asked::Ended);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Until when a process of another folder has it, if one does, and whether it leaves.
/// Takes no lock: one who asks holds up nobody who has it.
fn another(db: &Connection, here: &str) -> Result<Option<(String, bool)>> {
    db.snapshot(|db| {
        Ok(db
            .query_row(
                "SELECT until::text, leaving IS NOT DISTINCT FROM token FROM owner
                 WHERE until >= clock_timestamp() AND NOT starts_with(token, ?1)",
                [here],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?)
    })
}

/// Takes it, behind whoever changes something under the name of the process before;
/// whether it was free.
fn take(db: &mut Connection, token: &str, here: &str, keeps_objects: bool) -> Result<bool> {
    let tx = db.begin(Whose::Every)?;
    tx.query_row(
        "SELECT pg_advisory_xact_lock(hashtextextended(current_schema || '/every', 0))",
        [],
        |_| Ok(()),
    )?;
    if keeps_objects {
        tx.execute(
            "INSERT INTO home (id, folder) VALUES (1, ?1) ON CONFLICT DO NOTHING",
            [here],
        )?;
        let home: String = tx.query_row("SELECT folder FROM home", [], |row| row.get(0))?;
        if home != here {
            return Err(ArchiveError::Invalid(
                "the archive's objects are files of another data folder: start there, or keep \
                 objects in a bucket",
            ));
        }
    }
    let taken = tx.execute(
        "INSERT INTO owner (id, token, until)
         VALUES (1, ?1, clock_timestamp() + ?2 * interval '1 millisecond')
         ON CONFLICT (id) DO UPDATE SET token = excluded.token, until = excluded.until
            WHERE owner.until < clock_timestamp() OR starts_with(owner.token, ?3)",
        params![token, millis(LEASE), here],
    )?;
    tx.commit()?;
    Ok(taken == 1)
}

/// What tells a folder from others, also on other machines.
fn of_folder(dir: &Path) -> Result<String> {
    let path = dir.join("archive.id");
    let found = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        read => Some(read?),
    };
    let is_whole = |id: &String| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(id) = found.filter(is_whole) {
        return Ok(id);
    }
    let id = hex::encode(&random::<16>()?);
    durable::replace(&path, id.as_bytes())?;
    Ok(id)
}

/// Puts the time off until it is told to end.
fn keep(
    db: &Connection,
    token: &str,
    asked: &(Mutex<Asked>, Condvar),
    taken_away: &watch::Sender<bool>,
) {
    let put_off = |leaving: &str| {
        format!(
            "UPDATE owner SET until = clock_timestamp() + {} * interval '1 millisecond'{leaving}
             WHERE token = '{token}'",
            millis(LEASE)
        )
    };
    let mut known = Asked::Kept;
    loop {
        let mut now = asked.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == known {
            let waited = asked.1.wait_timeout(now, LEASE / 3);
            (now, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        known = *now;
        drop(now);
        let said = match known {
            Asked::Kept => put_off(""),
            Asked::Left => put_off(", leaving = token"),
            Asked::Ended => break,
        };
        match db.aside(&said).map_err(ArchiveError::from) {
            Ok(1) => {}
            Ok(_) => {
                tracing::error!("another process has taken the archive: this one changes nothing");
                taken_away.send_replace(true);
                return;
            }
            // Nobody else reaches it either, or it is asked again in time.
            Err(error) => tracing::warn!(%error, "the archive's index does not answer"),
        }
    }
    let left = db.aside(&format!("DELETE FROM owner WHERE token = '{token}'"));
    if let Err(error) = left.map_err(ArchiveError::from) {
        tracing::warn!(%error, "the archive is free for another process some seconds later");
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
