//! The object files there are, by their headers.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::descriptor::{Digest, hex};
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::keys::KeyStore;
use crate::model::{ObjectFault, RebuildReport};
use crate::moved::MovedAway;
use crate::note::Note;
use crate::read::read_header;

use super::note;
use super::told::tell;

/// What was deleted, by tenant and mark: when, and where instances of it were
/// found all the same.
pub(super) type Buried = HashMap<(String, [u8; 32]), (i64, HashSet<([u8; 16], u32)>)>;

/// An object file, by its header.
#[derive(Clone)]
pub(super) struct Found {
    pub created: i64,
    pub kind: Kind,
    pub tenant: String,
    pub name: [u8; 16],
    pub root: Arc<PathBuf>,
    pub path: PathBuf,
}

/// Every object, in the order in which they were begun.
pub(super) fn headers(dir: &Path, report: &mut RebuildReport) -> Result<Vec<Found>> {
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
pub(super) fn deletions(found: &[Found], keys: &KeyStore) -> Buried {
    let mut buried = Buried::new();
    for one in found.iter().filter(|one| one.kind == Kind::Note) {
        let told = tell(one.clone(), keys);
        if let Some((Note::Deleted { mark, also, at, .. }, _)) = told.note {
            for mark in std::iter::once(mark).chain(also.iter().map(|Digest(mark)| *mark)) {
                let entry = buried.entry((one.tenant.clone(), mark)).or_default();
                entry.0 = entry.0.max(at);
            }
        }
    }
    buried
}

/// What the notes and objects of moves say.
pub(super) fn moves(found: &[Found], keys: &KeyStore) -> MovedAway {
    let mut moved = MovedAway::default();
    for one in found.iter().filter(|one| one.kind == Kind::Note) {
        if let Some((note, _)) = tell(one.clone(), keys).note {
            moved.note(&note);
        }
    }
    for one in found.iter().filter(|one| one.kind == Kind::Moved) {
        if moved.counts(&one.name) {
            let told = tell(one.clone(), keys);
            moved.object(&one.tenant, &told.instances, one.created);
        }
    }
    moved
}

/// A file that was moved to another name or tenant is not what it says.
fn in_its_place(path: &Path, tenant: &str, name: &[u8; 16]) -> bool {
    let mut parts = path.iter().rev().map(OsStrExt::as_bytes);
    parts.next() == Some(hex::encode(name).as_bytes()) && parts.nth(1) == Some(tenant.as_bytes())
}
