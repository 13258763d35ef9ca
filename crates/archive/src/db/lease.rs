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
use crate::descriptor::hex;
use crate::error::{ArchiveError, Result};
use crate::keys::random;
use crate::limits::{LEASE, LEASE_ASKED};

/// That the archive is this process's. Given back when it is dropped.
pub(crate) struct Lease {
    token: String,
    ended: Arc<(Mutex<bool>, Condvar)>,
    taken_away: watch::Receiver<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
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
        while let Some(until) = another(&db, &here)? {
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
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let (told, taken_away) = watch::channel(false);
        let (theirs, name) = (Arc::clone(&ended), token.clone());
        let thread = std::thread::Builder::new()
            .name("archive-lease".to_owned())
            .spawn(move || keep(&db, &name, &theirs, &told))?;
        Ok(Self {
            token,
            ended,
            taken_away,
            thread: Some(thread),
        })
    }

    /// Whether a process of another folder than `dir` has the archive now.
    pub(super) fn is_had_elsewhere(schema: &Schema, dir: &Path) -> Result<bool> {
        Ok(another(&on(schema), &of_folder(dir)?)?.is_some())
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
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Until when a process of another folder has it, if one does. Takes no lock: one who
/// asks holds up nobody who has it.
fn another(db: &Connection, here: &str) -> Result<Option<String>> {
    db.snapshot(|db| {
        Ok(db
            .query_row(
                "SELECT until::text FROM owner
                 WHERE until >= clock_timestamp() AND NOT starts_with(token, ?1)",
                [here],
                |row| row.get(0),
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
    ended: &(Mutex<bool>, Condvar),
    taken_away: &watch::Sender<bool>,
) {
    let put_off = format!(
        "UPDATE owner SET until = clock_timestamp() + {} * interval '1 millisecond'
         WHERE token = '{token}'",
        millis(LEASE)
    );
    let mut over = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*over {
        let waited = ended.1.wait_timeout(over, LEASE / 3);
        (over, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *over {
            break;
        }
        match db.aside(&put_off).map_err(ArchiveError::from) {
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
