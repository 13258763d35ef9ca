//! Backup while serving, and restore. Objects never change once they are live,
//! so a snapshot of the index and the objects that it names are a consistent
//! copy; the keys are copied right after the index, so that none that it needs
//! is missing, into a folder of their own, to be kept apart. The master key is
//! never copied. A restore finds the erasures that the backup does not know.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use crate::db::copy_of;
use crate::disk::LocalDisk;
use crate::engine::Engine;
use crate::erasures::copies::{self, KNOWN};
use crate::erasures::ledger::{self, DUE, LEDGER, SINCE};
use crate::error::{ArchiveError, Result};
use crate::index::objects;
use crate::limits::Limits;
use crate::lookup;
use crate::model::{BackupReport, Progress, RestoreReport};
use crate::objects::{Objects, ObjectsAt};

/// Objects listed at a time.
const BATCH: u32 = 256;

impl Engine {
    pub(crate) async fn backup(
        self: &Arc<Self>,
        to: &Path,
        progress: Option<Progress>,
    ) -> Result<BackupReport> {
        if !self.readers.are_of_a_file() {
            return Err(ArchiveError::Invalid(
                "the index is on PostgreSQL: stop Hilum, run pg_dump and copy the data folder",
            ));
        }
        // Nothing is swept while its copy is on the way.
        let gate = Arc::clone(&self.gate).read_owned().await;
        let engine = Arc::clone(self);
        let to = to.to_owned();
        let copied = tokio::task::spawn_blocking(move || {
            let _gate = gate;
            engine.backup_here(&to, progress.as_ref())
        })
        .await
        .map_err(|_| ArchiveError::Closed)?;
        self.sweep_if_due().await;
        copied
    }

    fn backup_here(&self, to: &Path, progress: Option<&Progress>) -> Result<BackupReport> {
        must_be_empty(to)?;
        self.begin_backup(to)?;
        let index = to.join("archive.sqlite");
        fs::create_dir_all(to.join("keys"))?;
        {
            let _whole = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
            let _files = self.packs.lookup.pause();
            self.readers.read_here(|db| db.copy_to(&index))?;
            self.keys.backup(&to.join("keys").join("keys.sqlite"))?;
            lookup::copy(&copy_of(&index)?, &self.dir, to)?;
        }
        let report = copy_objects(&index, &self.objects, &Objects::in_folder(to), progress)?;
        sync_dir(&to.join("keys"))?;
        // Of erasures meanwhile, and every backup that was away at its time.
        self.tell_backups()?;
        sync_dir(to)?;
        Ok(report)
    }

    /// What is written before anything is copied: from here on the backup is
    /// told of erasures. Those that were carried out before are in it.
    fn begin_backup(&self, to: &Path) -> Result<()> {
        let _one = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        copies::begin(&self.dir, to, self.clock.now_millis())?;
        let due = ledger::read(&self.dir.join(DUE))?;
        let done = ledger::without(ledger::read(&self.dir.join(LEDGER))?, &due);
        ledger::write(&to.join(LEDGER), &done)?;
        copy(&self.dir.join(KNOWN), &to.join(KNOWN))?;
        Ok(())
    }
}

/// Makes an archive folder from a backup, with the erasures to be carried out
/// in it: those that the backup was told of, those in `erasures`, and those that
/// were left in the folder. Blocks.
pub(crate) fn restore(
    from: &Path,
    to: &Path,
    erasures: &[PathBuf],
    objects: &ObjectsAt,
    progress: Option<&Progress>,
) -> Result<RestoreReport> {
    for part in ["archive.sqlite", "keys/keys.sqlite"] {
        if !from.join(part).is_file() {
            return Err(ArchiveError::Invalid(
                "this is not a backup: archive.sqlite or keys/keys.sqlite is missing",
            ));
        }
    }
    fs::create_dir_all(to)?;
    // A master key may lie there already; an archive may not.
    if to.join("archive.sqlite").exists() || to.join("objects").exists() {
        return Err(ArchiveError::Invalid(
            "restore into a folder without an archive",
        ));
    }
    let done = ledger::read(&from.join(LEDGER))?;
    let mut known = done.clone();
    ledger::add(&mut known, ledger::read(&from.join(SINCE))?);
    for path in erasures {
        ledger::add(&mut known, ledger::given(path)?);
    }
    ledger::add(&mut known, ledger::read(&to.join(LEDGER))?);
    let newest_erasure = known.iter().map(|record| record.at).max();
    ledger::write(&to.join(LEDGER), &known)?;
    let due = ledger::without(known, &done);
    ledger::write(&to.join(DUE), &due)?;
    if from.join(KNOWN).is_file() && !to.join(KNOWN).exists() {
        copy(&from.join(KNOWN), &to.join(KNOWN))?;
    }
    let index = from.join("archive.sqlite");
    let objects = Objects::open(objects, to, Arc::new(LocalDisk), &Limits::default())?;
    let copied = copy_objects(&index, &Objects::in_folder(from), &objects, progress)?;
    lookup::copy(&copy_of(&index)?, from, to)?;
    copy(
        &from.join("keys").join("keys.sqlite"),
        &to.join("keys.sqlite"),
    )?;
    // The index last: before it is there, this is no archive.
    copy(&from.join("archive.sqlite"), &to.join("archive.sqlite"))?;
    sync_dir(to)?;
    Ok(RestoreReport {
        objects: copied.objects,
        bytes: copied.bytes,
        backup_at: copies::made_at(from),
        erasures_due: due.len() as u64,
        newest_erasure,
    })
}

fn copy_objects(
    index: &Path,
    from: &Objects,
    to: &Objects,
    progress: Option<&Progress>,
) -> Result<BackupReport> {
    let db = copy_of(index)?;
    let total = objects::count_live(&db)?;
    let mut report = BackupReport::default();
    let mut after = 0;
    loop {
        let batch = objects::live_after(&db, after, BATCH)?;
        let Some(last) = batch.last() else { break };
        after = last.row;
        for live in batch {
            let copied = from.copy(to, &live.tenant, &live.name)?;
            if copied != live.bytes {
                return Err(ArchiveError::Corrupt);
            }
            report.objects += 1;
            report.bytes += copied;
            if let Some(progress) = progress {
                progress(report.objects, total);
            }
        }
    }
    to.settle_all()?;
    Ok(report)
}

fn copy(from: &Path, to: &Path) -> Result<u64> {
    let copied = fs::copy(from, to).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ArchiveError::Missing,
        _ => error.into(),
    })?;
    fs::File::open(to)?.sync_all()?;
    Ok(copied)
}

fn sync_dir(path: &Path) -> Result<()> {
    Ok(fs::File::open(path)?.sync_all()?)
}

fn must_be_empty(path: &Path) -> Result<()> {
    fs::create_dir_all(path)?;
    if fs::read_dir(path)?.next().is_some() {
        return Err(ArchiveError::Invalid("back up into an empty folder"));
    }
    Ok(())
}
