//! The block of a pack (docs/formats/object-v1.md): everything that the index
//! knew of a settled series' instances, their metadata and their layouts, in
//! three sections that are read apart. Bytes in memory only: no IO, no keys.

use std::sync::Arc;

use hilum_contracts::ids::CorrelationId;
use serde::{Deserialize, Serialize};

use crate::descriptor::{Descriptor, Digest, decompress};
use crate::error::{ArchiveError, Result};
use crate::format::Cursor;
use crate::limits::{PACK_BLOCK_BYTES, PACK_INSTANCES};
use crate::model::{
    InstanceAttributes, Origin, PatientIdentity, SeriesAttributes, Standing, StudyAttributes,
};
use crate::seal::too_long;

use super::column::{Columns, Reader};
use super::entries::{self, json, json_of};
use super::head::{Head, Publication};
use super::texts::{Group, Span, Texts, TextsWriter, open_group};

const MAGIC: &[u8; 4] = b"HBLK";
/// Since version 2 with a head, and with what was published.
const VERSION: u16 = 2;
/// Bytes before the sections.
pub(crate) const BLOCK_HEADER: usize = 48;
/// As intake's.
const LEVEL: i32 = 3;

/// What an instance carries of the levels above it, as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Above {
    pub study: String,
    pub series: String,
    pub patient: PatientIdentity,
    pub study_attributes: StudyAttributes,
    pub series_attributes: SeriesAttributes,
}

/// Where an instance's segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Another object than the pack itself.
    pub elsewhere: Option<[u8; 16]>,
    pub segment: u32,
    pub offset: u64,
}

/// A settled instance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Of the row that it was: breaks ties in the order of answers.
    pub id: i64,
    pub sop_class: Arc<str>,
    pub sop_instance: Box<str>,
    pub transfer_syntax: Arc<str>,
    pub above: Arc<Above>,
    pub attributes: InstanceAttributes,
    pub flags: Arc<[String]>,
    pub origin: Arc<Origin>,
    pub correlation: Arc<CorrelationId>,
    /// Unix milliseconds.
    pub received_at: i64,
    pub standing: Standing,
    pub sha256: [u8; 32],
    pub comparison: Option<Digest>,
    pub length: u64,
    pub place: Place,
    /// The result set that it was published in.
    pub publication: Option<Arc<Publication>>,
}

impl Entry {
    pub(crate) fn new(of: Descriptor, id: i64, standing: Standing, place: Place) -> Self {
        Self {
            id,
            sop_class: of.sop_class.into(),
            sop_instance: of.sop_instance.into(),
            transfer_syntax: of.transfer_syntax.into(),
            above: Arc::new(Above {
                study: of.study,
                series: of.series,
                patient: of.patient,
                study_attributes: of.study_attributes,
                series_attributes: of.series_attributes,
            }),
            attributes: of.instance_attributes,
            flags: of.flags.into(),
            origin: Arc::new(of.origin),
            correlation: Arc::new(of.correlation),
            received_at: of.received_at,
            standing,
            sha256: of.sha256,
            comparison: of.comparison,
            length: of.length,
            place,
            publication: of.publication.map(|key| {
                Arc::new(Publication {
                    key,
                    ..Publication::default()
                })
            }),
        }
    }
}

impl Entry {
    /// The descriptor that it was made from.
    pub(crate) fn descriptor(self) -> Descriptor {
        let above = Arc::unwrap_or_clone(self.above);
        Descriptor {
            sop_class: self.sop_class.to_string(),
            sop_instance: self.sop_instance.into(),
            series: above.series,
            study: above.study,
            transfer_syntax: self.transfer_syntax.to_string(),
            length: self.length,
            sha256: self.sha256,
            comparison: self.comparison,
            patient: above.patient,
            study_attributes: above.study_attributes,
            series_attributes: above.series_attributes,
            instance_attributes: self.attributes,
            flags: self.flags.to_vec(),
            origin: Arc::unwrap_or_clone(self.origin),
            correlation: *self.correlation,
            received_at: self.received_at,
            publication: self.publication.map(|of| of.key.clone()),
            placed: None,
            rejects: None,
        }
    }
}

/// A decoded block without its texts.
#[derive(Debug)]
pub(crate) struct Block {
    /// `None` in a block of version 1.
    pub head: Option<Head>,
    pub entries: Vec<Entry>,
    metadata: Texts,
    layouts: Texts,
    header: Header,
}

/// The two sections of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Section {
    /// DICOM JSON, joined by commas.
    Metadata,
    /// Layouts, one after the other.
    Layouts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    version: u16,
    instances: u32,
    entries: u64,
    entries_plain: u64,
    metadata: u64,
    layouts: u64,
}

impl Header {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor(bytes);
        let header = Self::fields(&mut cursor)?;
        let sane = header.instances as usize <= PACK_INSTANCES
            && header.entries_plain <= PACK_BLOCK_BYTES as u64
            && header.length().is_some();
        sane.then_some(header).ok_or(ArchiveError::Corrupt)
    }

    fn fields(cursor: &mut Cursor<'_>) -> Result<Self> {
        let magic: [u8; 4] = cursor.take()?;
        let version = u16::from_le_bytes(cursor.take()?);
        let _reserved: [u8; 2] = cursor.take()?;
        if magic != *MAGIC || !(1..=VERSION).contains(&version) {
            return Err(ArchiveError::Corrupt);
        }
        let instances = u32::from_le_bytes(cursor.take()?);
        let _reserved: [u8; 4] = cursor.take()?;
        let mut length = || Ok::<_, ArchiveError>(u64::from_le_bytes(cursor.take()?));
        Ok(Self {
            version,
            instances,
            entries: length()?,
            entries_plain: length()?,
            metadata: length()?,
            layouts: length()?,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_HEADER);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.instances.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for length in [
            self.entries,
            self.entries_plain,
            self.metadata,
            self.layouts,
        ] {
            out.extend_from_slice(&length.to_le_bytes());
        }
        out
    }

    /// Where the entries end, from the start of the block.
    pub(crate) fn entries_end(&self) -> Option<u64> {
        self.entries.checked_add(BLOCK_HEADER as u64)
    }

    /// Length of the whole block.
    pub(crate) fn length(&self) -> Option<u64> {
        self.entries_end()?
            .checked_add(self.metadata)?
            .checked_add(self.layouts)
    }
}

impl Block {
    /// Decodes the head of a block: its header and the whole of its entries.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let header = Header::decode(bytes)?;
        let end = header
            .entries_end()
            .and_then(|end| usize::try_from(end).ok())
            .ok_or(ArchiveError::Corrupt)?;
        let stored = bytes.get(BLOCK_HEADER..end).ok_or(ArchiveError::Corrupt)?;
        let plain = usize::try_from(header.entries_plain).map_err(|_| ArchiveError::Corrupt)?;
        let columns = decompress(stored, plain)?;
        let mut reader = Reader::new(&columns, header.instances as usize);
        let head = match header.version {
            1 => None,
            _ => Some(json(reader.bytes()?)?),
        };
        let metadata = Texts::read(&mut reader, 1, header.metadata)?;
        let layouts = Texts::read(&mut reader, 0, header.layouts)?;
        let mut entries = entries::read(&mut reader)?;
        if header.version > 1 {
            entries::read_publications(&mut reader, &mut entries)?;
        }
        reader.finish()?;
        Ok(Self {
            head,
            entries,
            metadata,
            layouts,
            header,
        })
    }

    fn texts(&self, section: Section) -> &Texts {
        match section {
            Section::Metadata => &self.metadata,
            Section::Layouts => &self.layouts,
        }
    }

    /// Where an instance's text is.
    pub(crate) fn span(&self, section: Section, ordinal: usize) -> Result<Span> {
        let span = self.texts(section).spans.get(ordinal);
        span.copied().ok_or(ArchiveError::Corrupt)
    }

    pub(crate) fn groups(&self, section: Section) -> &[Group] {
        &self.texts(section).groups
    }

    /// Where a group's compressed bytes are, from the start of the block.
    pub(crate) fn range(&self, section: Section, group: usize) -> Result<std::ops::Range<u64>> {
        let of = self.groups(section).get(group);
        let of = of.ok_or(ArchiveError::Corrupt)?;
        let before = match section {
            Section::Metadata => 0,
            Section::Layouts => self.header.metadata,
        };
        let start = self
            .header
            .entries_end()
            .and_then(|end| end.checked_add(before)?.checked_add(of.at))
            .ok_or(ArchiveError::Corrupt)?;
        let end = start.checked_add(of.stored as u64);
        Ok(start..end.ok_or(ArchiveError::Corrupt)?)
    }

    /// A group's texts in the clear, of the bytes in its range.
    pub(crate) fn open_group(
        &self,
        section: Section,
        group: usize,
        stored: &[u8],
    ) -> Result<Vec<u8>> {
        let of = self.groups(section).get(group);
        open_group(of.ok_or(ArchiveError::Corrupt)?, stored)
    }

    /// About how much memory it takes.
    pub(crate) fn footprint(&self) -> usize {
        let texts = self.metadata.spans.len() + self.layouts.spans.len();
        self.entries.len() * (size_of::<Entry>() + 64) + texts * size_of::<Span>() + 4_096
    }
}

/// Collects a block in the order of its entries.
pub(crate) struct BlockWriter {
    metadata: TextsWriter,
    layouts: TextsWriter,
    texts: usize,
}

impl BlockWriter {
    pub(crate) fn new() -> Self {
        Self {
            metadata: TextsWriter::new(b","),
            layouts: TextsWriter::new(b""),
            texts: 0,
        }
    }

    /// Adds the texts of the next entry.
    pub(crate) fn push(&mut self, metadata: &[u8], layout: &[u8]) -> Result<()> {
        self.texts += 1;
        self.metadata.push(metadata)?;
        self.layouts.push(layout)?;
        if self.texts > PACK_INSTANCES
            || self.metadata.held() + self.layouts.held() > PACK_BLOCK_BYTES
        {
            return Err(ArchiveError::Invalid("the series is too large for a pack"));
        }
        Ok(())
    }

    /// The block, once the places of its entries are known.
    pub(crate) fn finish(self, head: &Head, entries: &[Entry]) -> Result<Vec<u8>> {
        if entries.len() != self.texts {
            return Err(ArchiveError::Invalid("an entry without its texts"));
        }
        let mut columns = Columns::default();
        columns.bytes(&json_of(head)?);
        let metadata = self.metadata.finish(&mut columns)?;
        let layouts = self.layouts.finish(&mut columns)?;
        entries::write(&mut columns, entries)?;
        entries::write_publications(&mut columns, entries)?;
        if columns.0.len() > PACK_BLOCK_BYTES {
            return Err(ArchiveError::Invalid("the series is too large for a pack"));
        }
        let stored = zstd::bulk::compress(&columns.0, LEVEL)?;
        let header = Header {
            version: VERSION,
            instances: u32::try_from(entries.len()).map_err(|_| too_long())?,
            entries: stored.len() as u64,
            entries_plain: columns.0.len() as u64,
            metadata: metadata.len() as u64,
            layouts: layouts.len() as u64,
        };
        let mut out = header.encode();
        for section in [stored, metadata, layouts] {
            out.extend_from_slice(&section);
        }
        Ok(out)
    }
}
