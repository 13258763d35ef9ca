//! Packs: a settled series as one object, its segments in slice order and one
//! block with everything that the index knew of them. Owns the block's bytes,
//! how blocks are read and cached, and how a series becomes a pack. It never
//! acknowledges anything: what it writes was durable before.

mod block;
#[cfg(test)]
mod block_tests;
mod cache;
mod column;
mod copied;
mod drafts;
mod entries;
mod head;
mod lookup;
mod open;
mod order;
mod pace;
mod packs;
mod texts;
mod worker;

pub(crate) use block::{Block, Entry};
pub(crate) use copied::Copied;
pub(crate) use head::{Head, Publication, RowHead, SeriesHead, StudyHead};
pub(crate) use open::OpenTexts;
pub(crate) use packs::{OrderKey, Packed, Packs};
