//! A data set as it reads with attributes corrected: which of its bytes stay,
//! and what is written between them. Owns the corrected attributes, the
//! Original Attributes Sequence (PS3.3 C.12.1.1.9) that tells what they were,
//! and the character set in which both are written. Never changes the source,
//! never touches pixel data or what follows it, and copies by range, so that a
//! data set of any length costs the memory of what is new in it.

mod change;
mod convert;
mod form;
mod json;
mod plan;
mod write;

pub use change::{Change, Correction, Unchangeable};
pub use json::{json, text_of};

use std::ops::Range;

use crate::encoding::Encoding;
use crate::error::ScanError;
use crate::source::ByteSource;
use crate::text::CharacterSet;

/// A part of a corrected data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the source, as they are.
    Copy(Range<u64>),
    /// Bytes that are new.
    New(Vec<u8>),
}

/// A corrected data set: its parts in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patched {
    /// The parts.
    pub pieces: Vec<Piece>,
    /// Length of them together, in bytes.
    pub length: u64,
}

impl Patched {
    fn copy(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        self.length += range.end - range.start;
        match self.pieces.last_mut() {
            Some(Piece::Copy(last)) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(Piece::Copy(range)),
        }
    }

    fn new_bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.length += bytes.len() as u64;
        match self.pieces.last_mut() {
            Some(Piece::New(last)) => last.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::New(bytes.to_vec())),
        }
    }

    fn append(&mut self, other: Self) {
        for piece in other.pieces {
            match piece {
                Piece::Copy(range) => self.copy(range),
                Piece::New(bytes) => self.new_bytes(&bytes),
            }
        }
    }

    /// The whole of it in memory: for a source that is there already.
    ///
    /// # Errors
    /// Whatever the source reports.
    pub fn collect<S: ByteSource + ?Sized>(&self, source: &S) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0));
        for piece in &self.pieces {
            match piece {
                Piece::New(bytes) => out.extend_from_slice(bytes),
                Piece::Copy(range) => {
                    let mut at = range.start;
                    let mut buffer = vec![0; crate::limits::READ_AHEAD];
                    while at < range.end {
                        let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX);
                        let room = wanted.min(buffer.len());
                        let piece = buffer.get_mut(..room).unwrap_or_default();
                        let count = source.read_at(at, piece)?;
                        if count == 0 {
                            return Err(std::io::ErrorKind::UnexpectedEof.into());
                        }
                        out.extend_from_slice(piece.get(..count).unwrap_or_default());
                        at += count as u64;
                    }
                }
            }
        }
        Ok(out)
    }
}

/// How `source`, a data set without preamble and meta information whose
/// elements are encoded as `encoding`, reads after `corrections`, the oldest
/// first. A deflated one is given inflated ([`crate::Inflated`]).
///
/// Where the declared character set can't hold a new value, all text of the
/// data set is given in `ISO_IR 192`. `fallback` is the set of text whose set
/// is not declared.
///
/// # Errors
/// [`ScanError::Refused`] when the source can't be walked, or would take more
/// than [`crate::limits::MAX_PATCH`] new bytes; [`ScanError::Source`] when it
/// can't be read.
pub fn patch<S: ByteSource + ?Sized>(
    source: &S,
    encoding: Encoding,
    corrections: &[Correction],
    fallback: Option<CharacterSet>,
) -> Result<Patched, ScanError> {
    if corrections.is_empty() {
        let mut whole = Patched::default();
        whole.copy(0..source.len());
        return Ok(whole);
    }
    let survey = plan::survey(source, encoding, corrections, fallback)?;
    let plan = plan::Plan::of(&survey, corrections);
    write::Rewriter::new(source, encoding, &survey, &plan).run()
}
