//! What was read lately of a bucket's objects, in blocks as they are stored:
//! sealed. So that headers and the rest of a block are not asked for again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::ObjectName;
use crate::lru::{Lru, Names, Weighed};

/// Bytes of a block: about what a bucket sends in the time that it takes to begin.
pub(super) const BLOCK: u64 = 256 << 10;
/// The same, of what is in memory.
pub(super) const BLOCK_LEN: usize = 256 << 10;

#[derive(Clone)]
struct Block(Bytes);

impl Weighed for Block {
    fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// Readings that somebody may go on with.
const READINGS: usize = 64;

pub(super) struct Blocks {
    kept: Lru<(ObjectName, u64), Block>,
    /// Where in an object a reading ended: the number of the block behind it.
    ends: Mutex<VecDeque<(ObjectName, u64)>>,
}

impl Blocks {
    pub(super) fn new(limit: usize) -> Self {
        let names = Names {
            total: "archive_bucket_cache_total",
            bytes: "archive_bucket_cache_bytes",
        };
        Self {
            kept: Lru::new(limit, names),
            ends: Mutex::default(),
        }
    }

    pub(super) fn get(&self, object: &ObjectName, block: u64) -> Option<Bytes> {
        Some(self.kept.get(&(*object, block))?.0)
    }

    pub(super) fn put(&self, object: &ObjectName, block: u64, bytes: Bytes) {
        self.kept.put((*object, block), Block(bytes));
    }

    /// Whether `block` follows what was read before: then more will be wanted.
    pub(super) fn follows(&self, object: &ObjectName, block: u64) -> bool {
        self.readings().contains(&(*object, block))
    }

    pub(super) fn ends(&self, object: &ObjectName, block: u64) {
        let mut ends = self.readings();
        ends.retain(|(of, _)| of != object);
        ends.push_back((*object, block));
        if ends.len() > READINGS {
            ends.pop_front();
        }
    }

    /// After an object was removed.
    pub(super) fn forget(&self, object: &ObjectName) {
        self.kept.forget(|(name, _)| name == object);
    }

    fn readings(&self) -> MutexGuard<'_, VecDeque<(ObjectName, u64)>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
