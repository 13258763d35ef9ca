//! Decoded blocks and texts that were read lately.

use std::sync::Arc;

use bytes::Bytes;

use super::block::{Block, Section};
use crate::lru::{Lru, Names, Weighed};

/// What is kept: a pack's block, one group of its texts, or what a form made
/// of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Block(i64),
    Texts(i64, Section, usize),
    /// A group of metadata in the form of this name.
    Made(i64, usize, [u8; 16]),
    /// By the object's name: the block of a pack whose instances are rows again.
    Remains([u8; 16]),
}

impl Key {
    pub(super) fn pack(self) -> Option<i64> {
        match self {
            Self::Block(pack) | Self::Texts(pack, ..) | Self::Made(pack, ..) => Some(pack),
            Self::Remains(_) => None,
        }
    }
}

#[derive(Clone)]
pub(super) enum Kept {
    Block(Arc<Block>),
    Texts(Bytes),
}

impl Weighed for Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Block(block) => block.footprint(),
            Self::Texts(texts) => texts.len(),
        }
    }
}

pub(super) type Cache = Lru<Key, Kept>;

pub(super) fn cache(limit: usize) -> Cache {
    let names = Names {
        total: "archive_block_cache_total",
        bytes: "archive_block_cache_bytes",
    };
    Lru::new(limit, names)
}
