//! Decoded blocks and texts that were read lately, as many as fit into a
//! number of bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::block::{Block, Section};

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
    fn pack(self) -> Option<i64> {
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

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Block(block) => block.footprint(),
            Self::Texts(texts) => texts.len(),
        }
    }
}

struct Slot {
    kept: Kept,
    used: u64,
}

#[derive(Default)]
struct Slots {
    by_key: HashMap<Key, Slot>,
    by_use: BTreeMap<u64, Key>,
    bytes: usize,
    clock: u64,
}

impl Slots {
    fn remove(&mut self, key: Key) {
        if let Some(slot) = self.by_key.remove(&key) {
            self.by_use.remove(&slot.used);
            self.bytes = self.bytes.saturating_sub(slot.kept.bytes());
        }
    }
}

/// Least recently used go first.
pub(super) struct Cache {
    slots: Mutex<Slots>,
    limit: usize,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            slots: Mutex::default(),
            limit,
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: Key) -> Option<Kept> {
        let mut slots = self.slots();
        slots.clock += 1;
        let now = slots.clock;
        let found = slots.by_key.get_mut(&key).map(|slot| {
            let before = std::mem::replace(&mut slot.used, now);
            (before, slot.kept.clone())
        });
        let outcome = match found {
            Some((before, _)) => {
                slots.by_use.remove(&before);
                slots.by_use.insert(now, key);
                "hit"
            }
            None => "miss",
        };
        drop(slots);
        metrics::counter!("archive_block_cache_total", "outcome" => outcome).increment(1);
        found.map(|(_, kept)| kept)
    }

    pub(super) fn put(&self, key: Key, kept: Kept) {
        let bytes = kept.bytes();
        // One that would push everything else out is not worth it.
        if bytes > self.limit / 2 {
            return;
        }
        let mut slots = self.slots();
        slots.remove(key);
        slots.clock += 1;
        let used = slots.clock;
        slots.by_key.insert(key, Slot { kept, used });
        slots.by_use.insert(used, key);
        slots.bytes += bytes;
        while slots.bytes > self.limit {
            let Some((_, oldest)) = slots.by_use.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            slots.remove(oldest);
        }
        let held = u32::try_from(slots.bytes).unwrap_or(u32::MAX);
        metrics::gauge!("archive_block_cache_bytes").set(f64::from(held));
    }

    /// Forgets everything of a pack.
    pub(super) fn forget(&self, pack: i64) {
        let mut slots = self.slots();
        let of_pack: Vec<Key> = slots
            .by_key
            .keys()
            .filter(|key| key.pack() == Some(pack))
            .copied()
            .collect();
        for key in of_pack {
            slots.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: usize) -> Key {
        Key::Texts(1, Section::Metadata, group)
    }

    #[test]
    fn what_was_used_least_lately_goes_first_and_the_limit_holds() {
        let cache = Cache::new(100);
        for group in 0..4 {
            cache.put(key(group), Kept::Texts(Bytes::from(vec![0; 30])));
            assert!(cache.get(key(0)).is_some(), "{group}");
        }
        assert!(cache.get(key(1)).is_none());
        assert!(cache.get(key(2)).is_some());
        assert!(cache.slots().bytes <= 100);
        cache.put(key(9), Kept::Texts(Bytes::from(vec![0; 51])));
        assert!(cache.get(key(9)).is_none());
        cache.forget(1);
        assert_eq!(cache.slots().bytes, 0);
        assert!(cache.slots().by_use.is_empty());
    }
}
