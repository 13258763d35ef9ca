//! An object of a bucket that is read: in blocks, a run of them by one GET, and
//! further than asked for where somebody reads on.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use object_store::path::Path as Key;

use super::ObjectName;
use super::blocks::{BLOCK, BLOCK_LEN};
use super::bucket::Bucket;
use crate::error::{ArchiveError, Result};
use crate::limits::BUCKET_AHEAD;

pub(crate) struct Remote {
    bucket: Arc<Bucket>,
    name: ObjectName,
    key: Key,
    length: OnceLock<u64>,
    /// The block behind those that are about to be read.
    expected: u64,
    since: Instant,
}

impl Remote {
    pub(super) fn new(bucket: &Arc<Bucket>, tenant: &str, name: &ObjectName) -> Self {
        Self {
            bucket: Arc::clone(bucket),
            name: *name,
            key: bucket.key(tenant, name),
            length: OnceLock::new(),
            expected: 0,
            since: Instant::now(),
        }
    }

    pub(super) fn length(&self) -> Result<u64> {
        if let Some(length) = self.length.get() {
            return Ok(*length);
        }
        let length = self.bucket.head(&self.key)?.size;
        Ok(*self.length.get_or_init(|| length))
    }

    pub(super) fn expect(&mut self, at: u64, length: u64) {
        let end = at.saturating_add(length.min(BUCKET_AHEAD * BLOCK));
        self.expected = end.div_ceil(BLOCK);
    }

    /// Reads as much of `into` as the object has behind `at`; how much.
    pub(super) fn read(&self, into: &mut [u8], at: u64) -> Result<usize> {
        let end = at.saturating_add(into.len() as u64);
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let from = at.saturating_add(filled as u64);
            let block = from / BLOCK;
            let bytes = match self.bucket.blocks.get(&self.name, block) {
                Some(bytes) => bytes,
                None => match self.fetch(block, end.div_ceil(BLOCK))? {
                    Some(bytes) => bytes,
                    None => break,
                },
            };
            let within = usize::try_from(from % BLOCK).map_err(|_| ArchiveError::Corrupt)?;
            let Some(bytes) = bytes.get(within..).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            let some = bytes.len().min(rest.len());
            for (to, from) in rest.iter_mut().zip(bytes) {
                *to = *from;
            }
            filled += some;
        }
        Ok(filled)
    }

    /// Asks for `block`, and for those behind it that will be wanted; `None`
    /// behind the object's end.
    fn fetch(&self, block: u64, wanted: u64) -> Result<Option<bytes::Bytes>> {
        // The sweep may have taken it.
        if self.since.elapsed() > self.bucket.read {
            return Err(ArchiveError::Missing);
        }
        if self
            .length
            .get()
            .is_some_and(|length| block * BLOCK >= *length)
        {
            return Ok(None);
        }
        let blocks = &self.bucket.blocks;
        let ahead = match blocks.follows(&self.name, block) {
            true => block + BUCKET_AHEAD,
            false => 0,
        };
        let mut end = block + 1;
        let limit = wanted
            .max(self.expected)
            .max(ahead)
            .min(block + 2 * BUCKET_AHEAD);
        while end < limit && blocks.get(&self.name, end).is_none() {
            end += 1;
        }
        let (bytes, length) = self.bucket.get(&self.key, block * BLOCK, end * BLOCK)?;
        self.length.get_or_init(|| length);
        blocks.ends(&self.name, end);
        let mut first = None;
        for (number, from) in (block..end).zip((0..bytes.len()).step_by(BLOCK_LEN)) {
            let piece = bytes.slice(from..(from + BLOCK_LEN).min(bytes.len()));
            // Apart, so that one block does not keep the others' memory.
            let piece = match end - block {
                1 => piece,
                _ => bytes::Bytes::copy_from_slice(&piece),
            };
            first.get_or_insert_with(|| piece.clone());
            blocks.put(&self.name, number, piece);
        }
        Ok(first)
    }
}
