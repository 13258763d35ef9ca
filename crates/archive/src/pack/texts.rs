//! The texts of a block, metadata or layouts: joined in groups of consecutive
//! instances, each group compressed by itself, so that neither writing nor
//! reading holds more than one group in the clear.

use crate::descriptor::decompress;
use crate::error::{ArchiveError, Result};
use crate::limits::{METADATA_BYTES, PACK_TEXT_GROUP_BYTES};

use super::column::{Columns, Reader};

/// Above intake's level: written once, read for years.
const LEVEL: i32 = 6;

/// A group of texts as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    /// Where its compressed bytes begin within the section.
    pub at: u64,
    /// Compressed bytes.
    pub stored: usize,
    /// Bytes in the clear, separators included.
    pub plain: usize,
    /// Instances.
    pub texts: usize,
}

/// Where a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub group: usize,
    pub start: usize,
    pub end: usize,
}

/// Collects texts into compressed groups.
pub(super) struct TextsWriter {
    separator: &'static [u8],
    open: Vec<u8>,
    open_texts: usize,
    lengths: Vec<usize>,
    groups: Vec<Group>,
    stored: Vec<u8>,
}

impl TextsWriter {
    pub(super) fn new(separator: &'static [u8]) -> Self {
        Self {
            separator,
            open: Vec::new(),
            open_texts: 0,
            lengths: Vec::new(),
            groups: Vec::new(),
            stored: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, text: &[u8]) -> Result<()> {
        if self.open_texts > 0 {
            self.open.extend_from_slice(self.separator);
        }
        self.open.extend_from_slice(text);
        self.open_texts += 1;
        self.lengths.push(text.len());
        if self.open.len() >= PACK_TEXT_GROUP_BYTES {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if self.open_texts == 0 {
            return Ok(());
        }
        let compressed = zstd::bulk::compress(&self.open, LEVEL)?;
        self.groups.push(Group {
            at: self.stored.len() as u64,
            stored: compressed.len(),
            plain: self.open.len(),
            texts: self.open_texts,
        });
        self.stored.extend_from_slice(&compressed);
        self.open.clear();
        self.open_texts = 0;
        Ok(())
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.open.len() + self.stored.len()
    }

    /// Writes lengths and groups to `columns`; the section's bytes.
    pub(super) fn finish(mut self, columns: &mut Columns) -> Result<Vec<u8>> {
        self.close()?;
        columns.size(self.groups.len());
        for group in &self.groups {
            columns.size(group.texts);
            columns.size(group.stored);
            columns.size(group.plain);
        }
        columns.numbers(self.lengths.iter().map(|length| *length as u64));
        Ok(self.stored)
    }
}

/// Where the texts of a section are.
#[derive(Debug)]
pub(super) struct Texts {
    pub groups: Vec<Group>,
    pub spans: Vec<Span>,
}

impl Texts {
    pub(super) fn read(reader: &mut Reader<'_>, separator: usize, section: u64) -> Result<Self> {
        let count = reader.count()?;
        let mut groups = Vec::with_capacity(count);
        let mut at = 0_u64;
        for _ in 0..count {
            let group = Group {
                at,
                texts: reader.size()?,
                stored: reader.size()?,
                plain: reader.size()?,
            };
            at = at
                .checked_add(group.stored as u64)
                .ok_or(ArchiveError::Corrupt)?;
            if group.plain > PACK_TEXT_GROUP_BYTES.saturating_add(METADATA_BYTES) + separator {
                return Err(ArchiveError::Corrupt);
            }
            groups.push(group);
        }
        let lengths = reader.numbers()?;
        let mut lengths = lengths.into_iter();
        let mut spans = Vec::with_capacity(reader.rows);
        for (index, group) in groups.iter().enumerate() {
            let mut start = 0_usize;
            for text in 0..group.texts {
                if text > 0 {
                    start += separator;
                }
                let length = lengths
                    .next()
                    .and_then(|length| usize::try_from(length).ok())
                    .ok_or(ArchiveError::Corrupt)?;
                let end = start
                    .checked_add(length)
                    .filter(|end| *end <= group.plain)
                    .ok_or(ArchiveError::Corrupt)?;
                spans.push(Span {
                    group: index,
                    start,
                    end,
                });
                start = end;
            }
            if start != group.plain {
                return Err(ArchiveError::Corrupt);
            }
        }
        if at != section || spans.len() != reader.rows {
            return Err(ArchiveError::Corrupt);
        }
        Ok(Self { groups, spans })
    }
}

/// The texts of a group in the clear.
pub(super) fn open_group(group: &Group, stored: &[u8]) -> Result<Vec<u8>> {
    let plain = decompress(stored, group.plain)?;
    if plain.len() == group.plain {
        Ok(plain)
    } else {
        Err(ArchiveError::Corrupt)
    }
}
