//! How packs are read: blocks and texts, through the cache, and instances by
//! UID through the look-up. What the index and a block say together is here;
//! which pack is asked is the index's business.

use std::sync::Arc;

use bytes::Bytes;
use hilum_platform::clock::from_millis;

use crate::db::Connection;
use crate::error::{ArchiveError, Result};
use crate::format::BLOCK_SEGMENT;
use crate::index::packs::{self, Overrides, PackRow};
use crate::index::schema::NO_NUMBER;
use crate::keys::KeyStore;
use crate::lookup::Lookup;
use crate::model::{InstanceLocation, InstanceMetadata, InstanceRow, Standing};
use crate::objects::Objects;
use crate::read::{OpenSegment, Whereabouts};

use super::block::{BLOCK_HEADER, Block, Entry, Header, Section};
use super::cache::{Cache, Kept, Key, cache};

/// Read at once: most heads of blocks are within.
const HEAD_BYTES: u64 = 64 << 10;

/// Every pack of the archive.
pub(crate) struct Packs {
    objects: Arc<Objects>,
    keys: Arc<KeyStore>,
    pub(super) cache: Cache,
    pub lookup: Lookup,
}

impl Packs {
    pub(crate) fn new(
        objects: Arc<Objects>,
        keys: Arc<KeyStore>,
        lookup: Lookup,
        cached_bytes: usize,
    ) -> Self {
        Self {
            objects,
            keys,
            cache: cache(cached_bytes),
            lookup,
        }
    }

    /// The pack of a row, with what was decided since. Blocks.
    pub(crate) fn open(&self, db: &Connection, row: PackRow) -> Result<Packed> {
        let overrides = packs::overrides(db, row.id)?;
        let block = self.block(&row)?;
        Ok(Packed {
            row,
            block,
            overrides,
        })
    }

    /// The pack of a series.
    pub(crate) fn of_series(&self, db: &Connection, series: i64) -> Result<Option<Packed>> {
        packs::of_series(db, series)?
            .map(|row| self.open(db, row))
            .transpose()
    }

    /// Where the packs have this UID: pack and ordinal, whatever the standing.
    pub(crate) fn find(
        &self,
        db: &Connection,
        tenant: i64,
        uid: &str,
    ) -> Result<Vec<(Packed, u32)>> {
        self.find_all(db, tenant, &[uid])
    }

    /// Where the packs have any of these UIDs.
    pub(crate) fn find_all(
        &self,
        db: &Connection,
        tenant: i64,
        uids: &[&str],
    ) -> Result<Vec<(Packed, u32)>> {
        let mut found = Vec::new();
        for (pack, ordinal) in self.lookup.find(db, tenant, uids)? {
            let pack = i64::try_from(pack).map_err(|_| ArchiveError::Corrupt)?;
            let Some(row) = packs::by_id(db, tenant, pack)? else {
                continue;
            };
            let packed = self.open(db, row)?;
            if uids.contains(&&*packed.entry(ordinal)?.sop_instance) {
                found.push((packed, ordinal));
            }
        }
        Ok(found)
    }

    /// Opens the segment that a pack's block is.
    pub(crate) fn segment(&self, row: &PackRow) -> Result<OpenSegment> {
        let at = Whereabouts {
            tenant: &row.tenant_name,
            object: &row.object,
            offset: row.block_at,
            segment: BLOCK_SEGMENT,
            length: row.block_length,
        };
        OpenSegment::open(&self.objects, &self.keys, at)
    }

    fn block(&self, row: &PackRow) -> Result<Arc<Block>> {
        if let Some(Kept::Block(block)) = self.cache.get(&Key::Block(row.id)) {
            return Ok(block);
        }
        let block = Arc::new(self.read_block(row)?);
        let kept = Kept::Block(Arc::clone(&block));
        self.cache.put(Key::Block(row.id), kept);
        Ok(block)
    }

    /// The block at a place of an object that no row tells of.
    pub(crate) fn block_at(
        &self,
        tenant: &str,
        object: &[u8; 16],
        offset: u64,
        length: u64,
    ) -> Result<Block> {
        let at = Whereabouts {
            tenant,
            object,
            offset,
            segment: BLOCK_SEGMENT,
            length,
        };
        any_block(&OpenSegment::open(&self.objects, &self.keys, at)?, length)
    }

    /// Reads a block from disk.
    pub(super) fn read_block(&self, row: &PackRow) -> Result<Block> {
        read_block(&self.segment(row)?, row.block_length, row.instances)
    }

    /// The block of a pack whose instances are rows again. Kept by its object:
    /// every one of those rows asks for it.
    pub(super) fn remains(
        &self,
        tenant: &str,
        object: &[u8; 16],
        (offset, length, instances): (u64, u64, u64),
    ) -> Result<Arc<Block>> {
        let key = Key::Remains(*object);
        if let Some(Kept::Block(block)) = self.cache.get(&key) {
            return Ok(block);
        }
        let at = Whereabouts {
            tenant,
            object,
            offset,
            segment: BLOCK_SEGMENT,
            length,
        };
        let segment = OpenSegment::open(&self.objects, &self.keys, at)?;
        let block = Arc::new(read_block(&segment, length, instances)?);
        self.cache.put(key, Kept::Block(Arc::clone(&block)));
        Ok(block)
    }

    /// A group of texts in the clear.
    pub(crate) fn texts(&self, of: &Packed, section: Section, group: usize) -> Result<Bytes> {
        let key = Key::Texts(of.row.id, section, group);
        if let Some(Kept::Texts(texts)) = self.cache.get(&key) {
            return Ok(texts);
        }
        let segment = self.segment(&of.row)?;
        let texts = read_texts(&segment, &of.block, section, group)?;
        self.cache.put(key, Kept::Texts(texts.clone()));
        Ok(texts)
    }

    fn text(&self, of: &Packed, section: Section, ordinal: u32) -> Result<Bytes> {
        let span = of.block.span(section, ordinal as usize)?;
        let texts = self.texts(of, section, span.group)?;
        if span.end > texts.len() {
            return Err(ArchiveError::Corrupt);
        }
        Ok(texts.slice(span.start..span.end))
    }

    /// A packed instance with its texts.
    pub(crate) fn metadata(&self, of: &Packed, ordinal: u32) -> Result<InstanceMetadata> {
        Ok(InstanceMetadata {
            row: of.instance(ordinal)?,
            metadata: self.text(of, Section::Metadata, ordinal)?,
            layout: self.text(of, Section::Layouts, ordinal)?,
        })
    }

    /// A packed instance's layout.
    pub(crate) fn layout_text(&self, of: &Packed, ordinal: u32) -> Result<Bytes> {
        self.text(of, Section::Layouts, ordinal)
    }

    /// A packed instance's metadata.
    pub(crate) fn metadata_text(&self, of: &Packed, ordinal: u32) -> Result<Bytes> {
        self.text(of, Section::Metadata, ordinal)
    }

    /// Reads a pack's block and every text in it from disk, none of it kept.
    pub(crate) fn check(&self, row: &PackRow) -> Result<Block> {
        let block = self.read_block(row)?;
        let segment = self.segment(row)?;
        for section in [Section::Metadata, Section::Layouts] {
            for group in 0..block.groups(section).len() {
                read_texts(&segment, &block, section, group)?;
            }
        }
        Ok(block)
    }

    /// Whether the look-up leads to every instance of a pack.
    pub(crate) fn leads_to(&self, db: &Connection, row: &PackRow, block: &Block) -> Result<bool> {
        let pack = u64::try_from(row.id).map_err(|_| ArchiveError::Corrupt)?;
        for (entry, ordinal) in block.entries.iter().zip(0_u32..) {
            let found = self.lookup.find(db, row.tenant, &[&entry.sop_instance])?;
            if !found.contains(&(pack, ordinal)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Forgets what was kept of every pack in memory.
    pub(crate) fn forget_all(&self) {
        self.cache.clear();
    }

    /// Forgets what was kept of a pack in memory.
    pub(crate) fn forget(&self, pack: i64) {
        self.cache.forget(|key| key.pack() == Some(pack));
    }
}

fn read_block(segment: &OpenSegment, length: u64, instances: u64) -> Result<Block> {
    let block = any_block(segment, length)?;
    if block.entries.len() as u64 != instances {
        return Err(ArchiveError::Corrupt);
    }
    Ok(block)
}

fn any_block(segment: &OpenSegment, length: u64) -> Result<Block> {
    let head = segment.read(0..length.min(HEAD_BYTES))?;
    let header = Header::decode(head.get(..BLOCK_HEADER).unwrap_or_default())?;
    if header.length() != Some(length) {
        return Err(ArchiveError::Corrupt);
    }
    let end = header.entries_end().ok_or(ArchiveError::Corrupt)?;
    if end > head.len() as u64 {
        Block::decode(&segment.read(0..end)?)
    } else {
        Block::decode(&head)
    }
}

/// Reads a group of texts through an open segment.
pub(super) fn read_texts(
    segment: &OpenSegment,
    block: &Block,
    section: Section,
    group: usize,
) -> Result<Bytes> {
    let stored = segment.read(block.range(section, group)?)?;
    Ok(block.open_group(section, group, &stored)?.into())
}

/// A pack as one snapshot of the index knows it.
pub(crate) struct Packed {
    pub row: PackRow,
    pub block: Arc<Block>,
    pub overrides: Overrides,
}

/// What answers are sorted by within a series: instance number, then arrival.
pub(crate) type OrderKey = (i64, i64);

impl Packed {
    pub(crate) fn entry(&self, ordinal: u32) -> Result<&Entry> {
        let entry = self.block.entries.get(ordinal as usize);
        entry.ok_or(ArchiveError::Corrupt)
    }

    pub(crate) fn standing(&self, ordinal: u32) -> Result<Standing> {
        match self.overrides.get(&ordinal) {
            Some(standing) => Ok(*standing),
            None => Ok(self.entry(ordinal)?.standing),
        }
    }

    /// Served instances in the order of answers.
    pub(crate) fn served(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.block
            .entries
            .iter()
            .take_while(|entry| entry.standing == Standing::Served)
            .zip(0_u32..)
            .map(|(entry, ordinal)| (ordinal, entry))
            .filter(|(ordinal, _)| {
                let decided = self.overrides.get(ordinal);
                decided.is_none_or(|standing| *standing == Standing::Served)
            })
    }

    pub(crate) fn instance(&self, ordinal: u32) -> Result<InstanceRow> {
        let of = self.entry(ordinal)?;
        Ok(InstanceRow {
            study: self.row.study_uid.clone(),
            series: self.row.series_uid.clone(),
            sop_class: of.sop_class.to_string(),
            sop_instance: of.sop_instance.to_string(),
            transfer_syntax: of.transfer_syntax.to_string(),
            attributes: of.attributes.clone(),
            flags: of.flags.to_vec(),
            origin: of.origin.as_ref().clone(),
            received_at: from_millis(of.received_at),
            standing: self.standing(ordinal)?,
            sha256: of.sha256,
            location: InstanceLocation {
                object: of.place.elsewhere.unwrap_or(self.row.object),
                offset: of.place.offset,
                segment: of.place.segment,
                length: of.length,
                sop_instance: of.sop_instance.to_string(),
                sha256: of.sha256,
            },
            overlay: self.row.overlay.clone(),
        })
    }
}

impl Entry {
    pub(crate) fn key(&self) -> OrderKey {
        (self.attributes.number.unwrap_or(NO_NUMBER), self.id)
    }
}
