//! The objects there are, by their headers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::descriptor::Digest;
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::keys::KeyStore;
use crate::model::{ObjectFault, RebuildReport};
use crate::moved::MovedAway;
use crate::note::Note;
use crate::objects::{Object, Objects};
use crate::read::{OpenSegment, Whereabouts, read_header};

use super::note;
use super::told::tell;

/// What was deleted, by tenant and mark: when, and where instances of it were
/// found all the same.
pub(super) type Buried = HashMap<(String, [u8; 32]), (i64, HashSet<([u8; 16], u32)>)>;

/// An object, by its header.
#[derive(Clone)]
pub(super) struct Found {
    pub created: i64,
    pub kind: Kind,
    pub tenant: String,
    pub name: [u8; 16],
    objects: Arc<Objects>,
}

impl Found {
    /// Its bytes.
    pub(super) fn open(&self) -> Result<Object> {
        self.objects.get(&self.tenant, &self.name)
    }

    /// A segment of it.
    pub(super) fn segment(&self, keys: &KeyStore, at: Whereabouts<'_>) -> Result<OpenSegment> {
        OpenSegment::open(&self.objects, keys, at)
    }
}

/// Every object, in the order in which they were begun.
pub(super) fn headers(objects: &Arc<Objects>, report: &mut RebuildReport) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    objects.list(&mut |listed| {
        let header = match &listed.object {
            None => Err(ArchiveError::Corrupt),
            Some((tenant, name)) => objects
                .get(tenant, name)
                .and_then(|object| read_header(&object)),
        };
        match header {
            Err(error @ ArchiveError::Bucket) => return Err(error),
            // One that was moved to another name or tenant is not what it says.
            Ok((header, _)) if listed.object == Some((header.tenant.clone(), header.object)) => {
                found.push(Found {
                    created: header.created,
                    kind: header.kind,
                    tenant: header.tenant,
                    name: header.object,
                    objects: Arc::clone(objects),
                });
            }
            _ => note(report, ObjectFault::Unknown { path: listed.path }),
        }
        Ok(())
    })?;
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
