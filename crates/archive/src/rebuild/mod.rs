//! A new index from objects and keys alone: every object's own headers and
//! descriptors are read, and what they tell is committed again in the order in
//! which it was written, by the same transaction as at intake. Only packs are
//! read to the end; `verify` reads the others' bodies afterwards. Objects are
//! never changed.

mod found;
mod notes;
mod packs;
mod replay;
mod told;
mod trail;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, stream};

use self::found::{Buried, Found, deletions, headers, moves};
use self::packs::{Opened, Sealed};
use self::replay::replay;
use self::told::tell;
use crate::archive::ArchiveConfig;
use crate::db::Connection;
use crate::disk::{Disk, LocalDisk};
use crate::engine;
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::index::again;
use crate::index::schema::MIGRATIONS;
use crate::keys::KeyStore;
use crate::limits;
use crate::lookup::Lookup;
use crate::model::{ObjectFault, Progress, RebuildReport};
use crate::moved::MovedAway;
use crate::objects::Objects;
use crate::pack::Packs;

/// The index while it is being made; a rebuild that broke off begins again.
const DRAFT: &str = "archive.sqlite.rebuilding";

/// Makes `archive.sqlite` again. An index that is there is kept beside it.
pub(crate) async fn rebuild(
    config: ArchiveConfig,
    progress: Option<Progress>,
) -> Result<RebuildReport> {
    if config.server.is_some() {
        return Err(ArchiveError::Invalid(
            "the index is on PostgreSQL: restore it with pg_restore from its last dump",
        ));
    }
    let dir = config.dir.clone();
    let _lock = engine::lock(&dir)?;
    if !dir.join("keys.sqlite").is_file() {
        return Err(ArchiveError::Invalid(
            "without keys.sqlite no object opens: restore it from a backup of the keys first",
        ));
    }
    let keys = KeyStore::open(&dir, &config.master_key, config.limits.cached_keys)?;
    let keys = Arc::new(keys);
    let mut report = RebuildReport::default();
    let mut db = draft(&dir)?;
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let lookup = Lookup::new(&dir, Arc::clone(&disk), Arc::clone(&keys));
    let cached = config.limits.cached_block_bytes;
    let objects = Objects::open(&config.objects, &dir, disk, &config.limits)?;
    let objects = Arc::new(objects);
    let of_packs = Arc::clone(&objects);
    let packs = Arc::new(Packs::new(of_packs, Arc::clone(&keys), lookup, cached));
    let found = headers(&objects, &mut report)?;
    let total = found.len() as u64;
    let parallel = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let buried = Arc::new(deletions(&found, &keys));
    let moved = Arc::new(moves(&found, &keys));
    let since = (&buried, &moved);
    let mut sealed = open_packs((&found, parallel), &packs, &keys, since, &mut report).await?;
    let mut buried = Arc::unwrap_or_clone(buried);
    packs::choose(&mut sealed);
    let others = others(&found, &sealed);
    packs::take(&mut db, &packs, &sealed, &others, &mut buried, &mut report)?;
    let known: HashMap<[u8; 16], &Sealed> =
        sealed.iter().map(|one| (one.found.name, one)).collect();
    let mut told = stream::iter(found)
        .map(|found| {
            let keys = Arc::clone(&keys);
            tokio::task::spawn_blocking(move || tell(found, &keys))
        })
        .buffered(parallel);
    while let Some(told) = told.next().await {
        let told = told.map_err(|_| ArchiveError::Closed)?;
        match known.get(&told.found.name) {
            Some(pack) => packs::reach(&mut db, &packs, &keys, pack)?,
            None => replay(&mut db, &packs, told, (&mut buried, &moved), &mut report)?,
        }
        report.objects += 1;
        if let Some(progress) = &progress {
            progress(report.objects, total);
        }
    }
    packs::take_broken(&mut db, &packs, &sealed, &others, &mut report)?;
    again::settle(&db, &packs)?;
    // The services know of all this: to tell them again would start work anew.
    db.execute("DELETE FROM outbox", [])?;
    trail::take_over(&dir, &mut db, &keys, config.clock.now_millis())?;
    finish(db, &dir, &mut report)?;
    Ok(report)
}

/// Reads every pack from end to end.
async fn open_packs(
    (found, parallel): (&[Found], usize),
    packs: &Arc<Packs>,
    keys: &Arc<KeyStore>,
    (buried, moved): (&Arc<Buried>, &Arc<MovedAway>),
    report: &mut RebuildReport,
) -> Result<Vec<Sealed>> {
    let of_kind: Vec<Found> = found
        .iter()
        .filter(|one| one.kind == Kind::Pack)
        .cloned()
        .collect();
    let mut opened = stream::iter(of_kind)
        .map(|found| {
            let (packs, keys) = (Arc::clone(packs), Arc::clone(keys));
            let (buried, moved) = (Arc::clone(buried), Arc::clone(moved));
            tokio::task::spawn_blocking(move || {
                packs::open(found, &keys, &packs, (&buried, &moved))
            })
        })
        .buffered(parallel);
    let mut sealed = Vec::new();
    while let Some(one) = opened.next().await {
        match one.map_err(|_| ArchiveError::Closed)? {
            Opened::Sealed(one) => sealed.push(*one),
            Opened::Erased(segments) => report.erased += segments,
            Opened::Damaged(fault) => note(report, fault),
        }
    }
    Ok(sealed)
}

/// What packs may refer to: kind and length of the objects that are none.
fn others(found: &[Found], sealed: &[Sealed]) -> HashMap<[u8; 16], (Kind, u64)> {
    if sealed.is_empty() {
        return HashMap::new();
    }
    let others = found
        .iter()
        .filter(|one| matches!(one.kind, Kind::Bundle | Kind::Streamed));
    others
        .filter_map(|one| {
            let bytes = one.open().ok()?.length().ok()?;
            Some((one.name, (one.kind, bytes)))
        })
        .collect()
}

fn draft(dir: &Path) -> Result<Connection> {
    for end in ["", "-wal", "-shm"] {
        remove(&dir.join(format!("{DRAFT}{end}")))?;
    }
    Connection::draft(&dir.join(DRAFT), MIGRATIONS)
}

/// Puts the draft in the index's place, durably.
fn finish(db: Connection, dir: &Path, report: &mut RebuildReport) -> Result<()> {
    db.fold_some()?;
    db.close()?;
    let draft = dir.join(DRAFT);
    File::open(&draft)?.sync_all()?;
    let index = dir.join("archive.sqlite");
    if index.exists() {
        for end in ["-wal", "-shm", ""] {
            let from = dir.join(format!("archive.sqlite{end}"));
            if from.exists() {
                std::fs::rename(from, dir.join(format!("archive.sqlite.before{end}")))?;
            }
        }
        report.kept_old = true;
    }
    std::fs::rename(draft, index)?;
    Ok(File::open(dir)?.sync_all()?)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn note(report: &mut RebuildReport, fault: ObjectFault) {
    report.fault_count += 1;
    if report.faults.len() < limits::FAULTS_REPORTED {
        report.faults.push(fault);
    }
}
