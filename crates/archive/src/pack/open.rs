//! The metadata of a whole pack, group after group, in the form that a caller
//! gives it out in. What was made is kept, so that a series that is looked at
//! again is neither opened nor written anew.

use std::sync::OnceLock;

use bytes::Bytes;

use super::block::Section;
use super::cache::{Kept, Key};
use super::packs::{Packed, Packs, read_texts};
use crate::error::{ArchiveError, Result};
use crate::model::{MetadataForm, MetadataPiece, PieceInstance};
use crate::read::OpenSegment;

/// A pack whose metadata is read. Its file is opened when it is needed; from
/// then on it stays readable even when the pack is replaced and swept.
pub(crate) struct OpenTexts {
    of: Packed,
    segment: OnceLock<OpenSegment>,
}

impl OpenTexts {
    pub(crate) fn new(of: Packed) -> Self {
        Self {
            of,
            segment: OnceLock::new(),
        }
    }

    pub(crate) fn groups(&self) -> usize {
        self.of.block.groups(Section::Metadata).len()
    }

    /// Opens the file, for what is read later than the snapshot that found it.
    pub(crate) fn lease(&self, packs: &Packs) -> Result<&OpenSegment> {
        if let Some(segment) = self.segment.get() {
            return Ok(segment);
        }
        let segment = packs.segment(&self.of.row)?;
        Ok(self.segment.get_or_init(|| segment))
    }

    /// The served metadata of one group in this form; empty when nothing in it
    /// is served. Blocks.
    pub(crate) fn made(
        &self,
        packs: &Packs,
        group: usize,
        form: &dyn MetadataForm,
    ) -> Result<Bytes> {
        // A correction says itself when it was made, and whose words it follows.
        let kept = self.of.row.overlay.is_none().then(|| {
            let row = &self.of.row;
            let name = form.name(&row.study_uid, &row.series_uid);
            Key::Made(row.id, group, name)
        });
        if let Some(Kept::Texts(made)) = kept.and_then(|key| packs.cache.get(&key)) {
            return Ok(made);
        }
        let piece = self.piece(packs, group)?;
        let made = if piece.instances.is_empty() {
            Bytes::new()
        } else {
            form.make(&piece)?
        };
        if let Some(key) = kept {
            packs.cache.put(key, Kept::Texts(made.clone()));
        }
        Ok(made)
    }

    fn piece(&self, packs: &Packs, group: usize) -> Result<MetadataPiece> {
        let (row, block) = (&self.of.row, &self.of.block);
        let text = match packs
            .cache
            .get(&Key::Texts(row.id, Section::Metadata, group))
        {
            Some(Kept::Texts(text)) => text,
            // Not kept: the form's is.
            _ => read_texts(self.lease(packs)?, block, Section::Metadata, group)?,
        };
        let before = block.groups(Section::Metadata).iter().take(group);
        let first: usize = before.map(|group| group.texts).sum();
        let mut instances = Vec::new();
        let mut end = 0;
        for (ordinal, entry) in self.of.served().skip(first) {
            let span = block.span(Section::Metadata, ordinal as usize)?;
            if span.group != group {
                break;
            }
            end = span.end;
            instances.push(PieceInstance {
                sop_instance: entry.sop_instance.to_string(),
                sha256: entry.sha256,
                within: span.start..span.end,
                origin: row.overlay.as_ref().map(|_| entry.origin.as_ref().clone()),
                placed: None,
            });
        }
        if end > text.len() {
            return Err(ArchiveError::Corrupt);
        }
        Ok(MetadataPiece {
            study: row.study_uid.as_str().into(),
            series: row.series_uid.as_str().into(),
            overlay: row.overlay.clone(),
            text: text.slice(0..end),
            instances,
        })
    }
}
