//! A new index from objects and keys alone: every object's own headers and
//! descriptors are read, and what they tell is committed again in the order in
//! which it was written, by the same transaction as at intake. Bodies are not
//! read: `verify` does that afterwards. Objects are never changed.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};
use hilum_contracts::ids::TenantId;
use rusqlite::Connection;

use crate::archive::ArchiveConfig;
use crate::descriptor::{Descriptor, NoteDescriptor, QuarantineDescriptor, hex};
use crate::disk::{Disk, LocalDisk};
use crate::engine;
use crate::error::{ArchiveError, Result};
use crate::format::{Kind, SEGMENT_HEADER, SegmentHeader, sealed_len};
use crate::index::commit::{self, Publication, Record, Unit};
use crate::index::objects::{self, Name};
use crate::index::quarantine::{self, Bounds};
use crate::index::schema::{MIGRATIONS, state};
use crate::index::tombstone::{self, Marks};
use crate::index::{correct, delete, hold, sqlite};
use crate::keys::KeyStore;
use crate::limits;
use crate::lookup::Lookup;
use crate::model::{Corrected, NewCorrection, ObjectFault, Progress, RebuildReport};
use crate::note::{Note, Written};
use crate::pack::Packs;
use crate::read::{OpenSegment, Whereabouts, read_exact, read_header};
use crate::seal::{Part, SegmentKeys};
use crate::verify::segments;

/// Longest note that is read.
const NOTE_BYTES: u64 = 1 << 20;
/// The index while it is being made; a rebuild that broke off begins again.
const DRAFT: &str = "archive.sqlite.rebuilding";

/// What was deleted, by tenant and mark: when, and how many instances of it
/// were found all the same.
type Buried = HashMap<(String, [u8; 32]), (i64, u64)>;

/// An object file, by its header.
#[derive(Clone)]
struct Found {
    created: i64,
    kind: Kind,
    tenant: String,
    name: [u8; 16],
    root: Arc<PathBuf>,
    path: PathBuf,
}

/// What an object tells.
struct Told {
    found: Found,
    kind: Kind,
    bytes: u64,
    instances: Vec<Record>,
    quarantined: Option<(QuarantineDescriptor, u64)>,
    note: Option<(Note, Written)>,
    /// Segments whose key was destroyed.
    erased: u64,
    /// Segments that do not open although their key is there, or the whole
    /// object when its headers can't be followed.
    faults: Vec<ObjectFault>,
}

/// Makes `archive.sqlite` again. An index that is there is kept beside it.
pub(crate) async fn rebuild(
    config: ArchiveConfig,
    progress: Option<Progress>,
) -> Result<RebuildReport> {
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
    // The transaction asks packs, too; there are none in a new index.
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let lookup = Lookup::new(&dir, disk, Arc::clone(&keys));
    let packs = Packs::new(&dir, Arc::clone(&keys), lookup, 0);
    let found = headers(&dir, &mut report)?;
    let total = found.len() as u64;
    let parallel = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if found.iter().any(|one| one.kind == Kind::Pack) {
        return Err(ArchiveError::Invalid(
            "this archive holds packs, whose index can't be made again yet: restore it from a backup",
        ));
    }
    let mut buried = deletions(&found, &keys);
    let mut told = stream::iter(found)
        .map(|found| {
            let keys = Arc::clone(&keys);
            tokio::task::spawn_blocking(move || tell(found, &keys))
        })
        .buffered(parallel);
    while let Some(told) = told.next().await {
        let told = told.map_err(|_| ArchiveError::Closed)?;
        replay(&mut db, &packs, told, &mut buried, &mut report)?;
        report.objects += 1;
        if let Some(progress) = &progress {
            progress(report.objects, total);
        }
    }
    // The services know of all this: to tell them again would start work anew.
    db.execute("DELETE FROM outbox", [])?;
    finish(db, &dir, &mut report)?;
    Ok(report)
}

fn draft(dir: &Path) -> Result<Connection> {
    for end in ["", "-wal", "-shm"] {
        remove(&dir.join(format!("{DRAFT}{end}")))?;
    }
    let mut db = sqlite::open_writer(&dir.join(DRAFT))?;
    // Worth nothing before it is whole, and synced then.
    db.pragma_update(None, "synchronous", "OFF")?;
    sqlite::migrate(&mut db, MIGRATIONS)?;
    Ok(db)
}

/// Puts the draft in the index's place, durably.
fn finish(db: Connection, dir: &Path, report: &mut RebuildReport) -> Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    db.close().map_err(|(_, error)| error)?;
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

/// Every object, in the order in which they were begun.
fn headers(dir: &Path, report: &mut RebuildReport) -> Result<Vec<Found>> {
    let root = Arc::new(dir.to_owned());
    let mut found = Vec::new();
    let mut folders = vec![dir.join("objects")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let header = File::open(&path)
                .map_err(ArchiveError::from)
                .and_then(|file| read_header(&file));
            match header {
                Ok((header, _)) if in_its_place(&path, &header.tenant, &header.object) => {
                    found.push(Found {
                        created: header.created,
                        kind: header.kind,
                        tenant: header.tenant,
                        name: header.object,
                        root: Arc::clone(&root),
                        path,
                    });
                }
                _ => {
                    let path = path.strip_prefix(dir).unwrap_or(&path);
                    let path = path.display().to_string();
                    note(report, ObjectFault::Unknown { path });
                }
            }
        }
    }
    found.sort_by_key(|one| (one.created, one.name));
    Ok(found)
}

/// What the notes say was deleted: an instance that was begun before is not
/// taken, whatever the order in which objects were begun and committed.
fn deletions(found: &[Found], keys: &KeyStore) -> Buried {
    let mut buried = Buried::new();
    for one in found.iter().filter(|one| one.kind == Kind::Note) {
        let told = tell(one.clone(), keys);
        if let Some((Note::Deleted { mark, at, .. }, _)) = told.note {
            let entry = buried.entry((one.tenant.clone(), mark)).or_default();
            entry.0 = entry.0.max(at);
        }
    }
    buried
}

/// A file that was moved to another name or tenant is not what it says.
fn in_its_place(path: &Path, tenant: &str, name: &[u8; 16]) -> bool {
    let mut parts = path.iter().rev().map(OsStrExt::as_bytes);
    parts.next() == Some(hex::encode(name).as_bytes()) && parts.nth(1) == Some(tenant.as_bytes())
}

/// Reads what an object tells. Blocks.
fn tell(found: Found, keys: &KeyStore) -> Told {
    let mut told = Told {
        kind: Kind::Bundle,
        bytes: 0,
        instances: Vec::new(),
        quarantined: None,
        note: None,
        erased: 0,
        faults: Vec::new(),
        found,
    };
    if let Err(segment) = read(&mut told, keys) {
        let fault = ObjectFault::Corrupt {
            tenant: told.found.tenant.clone(),
            object: hex::encode(&told.found.name),
            segment,
        };
        told.faults.push(fault);
    }
    told
}

fn read(told: &mut Told, keys: &KeyStore) -> std::result::Result<(), Option<u32>> {
    let file = File::open(&told.found.path).map_err(|_| None)?;
    let (header, encoded) = read_header(&file).map_err(|_| None)?;
    told.kind = header.kind;
    told.bytes = file.metadata().map_err(|_| None)?.len();
    let mut damaged = None;
    let tenant = told.found.tenant.clone();
    let followed = segments(&file, &encoded, |segment, head, at| {
        let opened = keys
            .by_id(&tenant, &segment.key)
            .and_then(|key| SegmentKeys::derive(&key.secret, &header.salt, &encoded, head))
            .and_then(|segment_keys| {
                let text = descriptor(&file, &segment_keys, segment, at)?;
                take(told, keys, segment, at, &text)
            });
        match opened {
            Ok(()) => {}
            Err(ArchiveError::NotFound) => told.erased += 1,
            Err(_) => damaged = damaged.or(Some(segment.ordinal)),
        }
    });
    if let Err(damage) = followed {
        // Never acknowledged, or cut off since: what is whole of it counts only
        // when the object is.
        told.instances.clear();
        told.quarantined = None;
        return Err(damage.0);
    }
    damaged.map_or(Ok(()), |segment| Err(Some(segment)))
}

fn descriptor(
    file: &File,
    keys: &SegmentKeys,
    segment: &SegmentHeader,
    at: u64,
) -> Result<Vec<u8>> {
    let sealed = sealed_len(u64::from(segment.descriptor));
    let mut text = vec![0; usize::try_from(sealed).map_err(|_| ArchiveError::Corrupt)?];
    read_exact(file, &mut text, at + SEGMENT_HEADER as u64)?;
    let plain = keys.open_run(Part::Descriptor, 0, true, &mut text)?;
    text.truncate(plain);
    Ok(text)
}

fn take(
    told: &mut Told,
    keys: &KeyStore,
    segment: &SegmentHeader,
    at: u64,
    text: &[u8],
) -> Result<()> {
    let tenant = told.found.tenant.as_str();
    match told.kind {
        Kind::Bundle | Kind::Streamed => {
            let (descriptor, blocks) = Descriptor::decode(text)?;
            if descriptor.length != segment.body {
                return Err(ArchiveError::Corrupt);
            }
            let marks = Marks::of(keys, tenant, &descriptor, told.found.created)?;
            told.instances.push(Record {
                segment: segment.ordinal,
                offset: at,
                descriptor,
                blocks,
                key: segment.key,
                marks,
            });
            Ok(())
        }
        Kind::Quarantine => {
            told.quarantined = Some((QuarantineDescriptor::decode(text)?, at));
            Ok(())
        }
        Kind::Note => {
            let descriptor = NoteDescriptor::decode(text)?;
            let place = Whereabouts {
                tenant,
                object: &told.found.name,
                offset: at,
                segment: segment.ordinal,
                length: segment.body,
            };
            if segment.body > NOTE_BYTES {
                return Err(ArchiveError::Corrupt);
            }
            let root = told.found.root.as_path();
            let body = OpenSegment::open(root, keys, place)?.read(0..segment.body)?;
            let note = serde_json::from_slice(&body).map_err(|_| ArchiveError::Corrupt)?;
            let written = Written {
                // Its row is made when it is replayed.
                name: Name {
                    row: 0,
                    name: told.found.name,
                },
                bytes: told.bytes,
                offset: at,
                length: descriptor.length,
                sha256: descriptor.sha256,
            };
            told.note = Some((note, written));
            Ok(())
        }
        // A pack tells of its segments in its block.
        Kind::Pack => Err(ArchiveError::Corrupt),
    }
}

/// Commits what an object tells.
fn replay(
    db: &mut Connection,
    packs: &Packs,
    mut told: Told,
    buried: &mut Buried,
    report: &mut RebuildReport,
) -> Result<()> {
    report.erased += told.erased;
    for fault in std::mem::take(&mut told.faults) {
        note(report, fault);
    }
    if told.instances.is_empty() && told.quarantined.is_none() && told.note.is_none() {
        return Ok(());
    }
    let (created, kind, bytes) = (told.found.created, told.kind, told.bytes);
    let tenant = TenantId::new(told.found.tenant.clone()).map_err(|_| ArchiveError::Corrupt)?;
    let (row, name) = reserved(db, &told.found)?;
    if let Some((descriptor, offset)) = told.quarantined {
        report.quarantined += 1;
        let bounds = Bounds {
            items: u64::MAX,
            bytes: u64::MAX,
        };
        quarantine::keep(db, row, name, &descriptor, (bytes, offset), bounds, created)?;
        return Ok(());
    }
    if let Some((note, written)) = told.note {
        let written = Written { name, ..written };
        return match note {
            Note::Deleted { mark, .. } => {
                let instances = buried
                    .get(&(told.found.tenant, mark))
                    .map_or(0, |(_, instances)| *instances);
                delete::replay(db, row, &note, &written, instances)
            }
            Note::Corrected { .. } => correct_again(db, (&tenant, row), note, written, created),
            Note::Held {
                mark,
                on,
                reason,
                by,
                at,
            } => hold::place(db, row, &mark, (&on, &reason, &by), &written, at).map(drop),
            Note::Lifted { mark, by, at } => hold::lift(db, row, &mark, &by, &written, at),
        };
    }
    let owner = told.found.tenant;
    let mut dead_keys = Vec::new();
    told.instances.retain(|record| {
        let marks = record.marks.0;
        for (level, mark) in marks.into_iter().enumerate() {
            let Some((at, instances)) = buried.get_mut(&(owner.clone(), mark)) else {
                continue;
            };
            if *at >= created {
                *instances += 1;
                if level == 0 {
                    dead_keys.push(record.key);
                }
                return false;
            }
        }
        true
    });
    for key in dead_keys {
        // The deletion was committed and the key not yet destroyed: the next
        // opening does it.
        tombstone::doom(db, row, &key)?;
    }
    if told.instances.is_empty() && told.erased > 0 {
        // Nothing is buried because a key is missing: it may come back.
        objects::transition(db, name.row, state::RESERVED, state::GONE, created)?;
        return Ok(());
    }
    report.instances += told.instances.len() as u64;
    let key = told
        .instances
        .first()
        .and_then(|record| record.descriptor.publication.clone());
    let unit = Unit {
        tenant,
        tenant_row: row,
        name,
        kind,
        bytes,
        records: told.instances,
        // It was taken then.
        takes_resends: true,
        publication: key.map(|key| Publication {
            key,
            events: Vec::new(),
        }),
    };
    commit::commit(db, packs, &unit, created, None)?;
    Ok(())
}

/// Carries out a correction again. One of a study that was deleted since is
/// left out with it.
fn correct_again(
    db: &mut Connection,
    (tenant, tenant_row): (&TenantId, i64),
    note: Note,
    written: Written,
    at: i64,
) -> Result<()> {
    let Note::Corrected {
        study,
        series,
        patient,
        study_attributes,
        series_attributes,
        overlay,
        detail,
        reason,
        by,
        ..
    } = note
    else {
        return Ok(());
    };
    let corrected = match (series, patient, study_attributes, series_attributes) {
        (None, Some(patient), Some(attributes), _) => Corrected::Study {
            patient: *patient,
            attributes: *attributes,
        },
        (Some(series), _, _, Some(attributes)) => Corrected::Series {
            series,
            attributes: *attributes,
        },
        _ => return Err(ArchiveError::Corrupt),
    };
    let mut unit = correct::Unit {
        tenant: tenant.clone(),
        tenant_row,
        correction: NewCorrection {
            study,
            revision: 0,
            corrected,
            overlay,
            detail,
            reason,
            by,
        },
        note: written,
    };
    let Some(revision) = correct::revision(db, tenant_row, &unit.correction)? else {
        return delete::give_up(db, &unit.note, at);
    };
    unit.correction.revision = revision;
    correct::correct(db, &unit, at).map(drop)
}

/// The rows of an object and its tenant, as if its name had just been reserved.
fn reserved(db: &mut Connection, found: &Found) -> Result<(i64, Name)> {
    let tx = db.transaction()?;
    let tenant = objects::tenant_row(&tx, &found.tenant)?;
    let row = objects::reserve_as(&tx, tenant, &found.name, found.created)?;
    tx.commit()?;
    let name = Name {
        row,
        name: found.name,
    };
    Ok((tenant, name))
}

fn note(report: &mut RebuildReport, fault: ObjectFault) {
    report.fault_count += 1;
    if report.faults.len() < limits::FAULTS_REPORTED {
        report.faults.push(fault);
    }
}
