//! What a series has before it is a pack: every instance with what its row, its
//! object and a pack that is to be replaced know of it. It writes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use crate::descriptor::{Descriptor, decompress};
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::index::head;
use crate::index::packs::{self, LooseRow};
use crate::limits::{LAYOUT_BYTES, METADATA_BYTES};
use crate::read::{OpenSegment, Whereabouts};
use crate::tenant::Tenant;

use super::block::{BlockWriter, Entry, Place};
use super::head::Publication;
use super::order::Plane;
use super::pace::Pace;
use super::packs::Packed;

/// Texts taken from the index on one snapshot.
const TEXTS_PER_READ: usize = 256;

/// Where an entry's texts come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Row(i64),
    Packed(u32),
}

pub(super) struct Draft {
    pub entry: Entry,
    pub source: Source,
    /// Where its body is now.
    pub object: [u8; 16],
    pub segment: u32,
    pub offset: u64,
    pub plane: Option<Plane>,
}

impl Engine {
    /// What the series has, with what is known of it.
    pub(super) fn drafts(
        &self,
        tenant: &Tenant,
        rows: &[LooseRow],
        replaced: Option<&Packed>,
        pace: &mut Pace<'_>,
    ) -> Result<Vec<Draft>> {
        let mut drafts = Vec::with_capacity(rows.len());
        for row in rows {
            drafts.push(self.draft_of_row(tenant, row)?);
            pace.rest();
        }
        let Some(old) = replaced else {
            return Ok(drafts);
        };
        for (entry, ordinal) in old.block.entries.iter().zip(0_u32..) {
            let metadata = self.packs.metadata(old, ordinal)?;
            let mut entry = entry.clone();
            entry.standing = old.standing(ordinal)?;
            drafts.push(Draft {
                source: Source::Packed(ordinal),
                object: entry.place.elsewhere.unwrap_or(old.row.object),
                segment: entry.place.segment,
                offset: entry.place.offset,
                plane: Plane::of(&metadata.metadata),
                entry,
            });
            pace.rest();
        }
        Ok(drafts)
    }

    /// What was published and is whole still, as its rows tell of it.
    pub(super) fn publications(&self, tenant: i64, drafts: &mut [Draft]) -> Result<()> {
        self.readers.read_here(|db| {
            let mut known: HashMap<String, Option<Arc<Publication>>> = HashMap::new();
            for draft in drafts {
                let Some(of) = &draft.entry.publication else {
                    continue;
                };
                let found = match known.get(&of.key) {
                    Some(found) => found.clone(),
                    None => {
                        let found = head::publication(db, tenant, &of.key)?.map(Arc::new);
                        known.insert(of.key.clone(), found.clone());
                        found
                    }
                };
                draft.entry.publication = found;
            }
            Ok(())
        })
    }

    fn draft_of_row(&self, tenant: &Tenant, row: &LooseRow) -> Result<Draft> {
        let place = Place {
            elsewhere: Some(row.object),
            segment: row.segment,
            offset: row.offset,
        };
        let entry = match self.remaining_entry(tenant, row)? {
            Some(entry) => Entry {
                standing: row.standing,
                place,
                ..entry
            },
            None => {
                let segment =
                    self.open_body(tenant, &row.object, row.segment, row.offset, row.length)?;
                let (descriptor, _) = Descriptor::decode(&segment.descriptor()?)?;
                Entry::new(descriptor, row.id, row.standing, place)
            }
        };
        if *entry.sop_instance != *row.uid || entry.sha256 != row.sha256 {
            return Err(ArchiveError::Corrupt);
        }
        let (metadata, _) = self.readers.read_here(|db| packs::texts(db, row.id))?;
        let metadata = decompress(&metadata, METADATA_BYTES)?;
        Ok(Draft {
            entry,
            source: Source::Row(row.id),
            object: row.object,
            segment: row.segment,
            offset: row.offset,
            plane: Plane::of(&metadata),
        })
    }

    /// What a pack knew of a row that was in it before.
    pub(crate) fn remaining_entry(&self, tenant: &Tenant, row: &LooseRow) -> Result<Option<Entry>> {
        let remains = self
            .readers
            .read_here(|db| packs::remains(db, &row.object))?;
        let Some(at) = remains else { return Ok(None) };
        let block = self.packs.remains(tenant.id.as_str(), &row.object, at)?;
        let entry = block.entries.iter().find(|entry| entry.id == row.id);
        Ok(Some(entry.cloned().ok_or(ArchiveError::Corrupt)?))
    }

    pub(crate) fn open_body(
        &self,
        tenant: &Tenant,
        object: &[u8; 16],
        segment: u32,
        offset: u64,
        length: u64,
    ) -> Result<OpenSegment> {
        let at = Whereabouts {
            tenant: tenant.id.as_str(),
            object,
            offset,
            segment,
            length,
        };
        OpenSegment::open(&self.objects, &self.keys, at)
    }

    pub(super) fn texts(
        &self,
        drafts: &[Draft],
        replaced: Option<&Packed>,
        pace: &mut Pace<'_>,
    ) -> Result<BlockWriter> {
        let mut block = BlockWriter::new();
        for some in drafts.chunks(TEXTS_PER_READ) {
            let mut loose = self.readers.read_here(|db| {
                some.iter()
                    .filter_map(|draft| match draft.source {
                        Source::Row(id) => Some(packs::texts(db, id)),
                        Source::Packed(_) => None,
                    })
                    .collect::<Result<std::collections::VecDeque<_>>>()
            })?;
            for draft in some {
                match (draft.source, replaced) {
                    (Source::Packed(ordinal), Some(old)) => {
                        let texts = self.packs.metadata(old, ordinal)?;
                        block.push(&texts.metadata, &texts.layout)?;
                    }
                    _ => {
                        let (metadata, layout) = loose.pop_front().ok_or(ArchiveError::Missing)?;
                        let metadata = decompress(&metadata, METADATA_BYTES)?;
                        block.push(&metadata, &decompress(&layout, LAYOUT_BYTES)?)?;
                    }
                }
                pace.rest();
            }
        }
        Ok(block)
    }
}
