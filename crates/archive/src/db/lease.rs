//! One process at a time has an archive whose index is on PostgreSQL: its name stands
//! in the index, with a time that it puts off again and again. Whoever dies is out
//! some seconds later; whoever was only slow finds another name there, in every
//! transaction (`enter` in `index/postgres.sql`), and changes nothing any more.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::place::on;
use super::postgres::Schema;
use super::{Connection, OptionalExtension as _, params};
use crate::descriptor::hex;
use crate::error::{ArchiveError, Result};
use crate::keys::random;
use crate::limits::{LEASE, LEASE_ASKED};

/// That the archive is this process's. Given back when it is dropped.
pub(crate) struct Lease {
    token: String,
    ended: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Lease {
    /// Takes the archive for the process that has locked `dir`, as soon as one that
    /// had it elsewhere is out: one that had it here is.
    ///
    /// # Errors
    /// [`ArchiveError::InUse`] when it is another one's that is alive.
    pub(super) fn take(schema: &Schema, dir: &Path) -> Result<Self> {
        let here = of_folder(dir)?;
        let token = format!("{here}-{}", hex::encode(&random::<16>()?));
        let mut db = on(schema);
        let began = Instant::now();
        let mut known = None;
        while let Some(until) = take(&mut db, &token, &here)? {
            // It is put off by whoever is alive.
            if known.as_ref().is_some_and(|known| *known != until) || began.elapsed() > 2 * LEASE {
                return Err(ArchiveError::InUse);
            }
            known = Some(until);
            std::thread::sleep(LEASE_ASKED);
        }
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let (theirs, name) = (Arc::clone(&ended), token.clone());
        let thread = std::thread::Builder::new()
            .name("archive-lease".to_owned())
            .spawn(move || keep(&db, &name, &theirs))?;
        Ok(Self {
            token,
            ended,
            thread: Some(thread),
        })
    }

    pub(super) fn token(&self) -> &str {
        &self.token
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

/// Takes it; until when another process has it, if it does. Behind whoever changes
/// something under the other's name.
fn take(db: &mut Connection, token: &str, here: &str) -> Result<Option<String>> {
    let tx = db.begin(super::Whose::Every)?;
    tx.query_row(
        "SELECT pg_advisory_xact_lock(hashtextextended(current_schema || '/every', 0))",
        [],
        |_| Ok(()),
    )?;
    let taken = tx.execute(
        "INSERT INTO owner (id, token, until)
         VALUES (1, ?1, clock_timestamp() + ?2 * interval '1 millisecond')
         ON CONFLICT (id) DO UPDATE SET token = excluded.token, until = excluded.until
            WHERE owner.until < clock_timestamp() OR starts_with(owner.token, ?3)",
        params![token, millis(LEASE), here],
    )?;
    let until = match taken {
        0 => tx
            .query_row("SELECT until::text FROM owner", [], |row| row.get(0))
            .optional()?,
        _ => None,
    };
    tx.commit()?;
    Ok(until)
}

/// What tells a folder from others, also on other machines.
fn of_folder(dir: &Path) -> Result<String> {
    let path = dir.join("archive.id");
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        read => return Ok(read?),
    }
    let id = hex::encode(&random::<16>()?);
    std::fs::write(&path, &id)?;
    Ok(id)
}

/// Puts the time off until it is told to end.
fn keep(db: &Connection, token: &str, ended: &(Mutex<bool>, Condvar)) {
    let mut over = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*over {
        let waited = ended.1.wait_timeout(over, LEASE / 3);
        (over, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *over {
            break;
        }
        let put_off = db.execute(
            "UPDATE owner SET until = clock_timestamp() + ?2 * interval '1 millisecond'
             WHERE token = ?1",
            params![token, millis(LEASE)],
        );
        match put_off.map_err(ArchiveError::from) {
            Ok(1) => {}
            Ok(_) => {
                tracing::error!("another process has taken the archive: this one changes nothing");
                return;
            }
            // Nobody else reaches it either, or it is asked again in time.
            Err(error) => tracing::warn!(%error, "the archive's index does not answer"),
        }
    }
    if let Err(error) = db
        .execute("DELETE FROM owner WHERE token = ?1", [token])
        .map_err(ArchiveError::from)
    {
        tracing::warn!(%error, "the archive is free for another process some seconds later");
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
