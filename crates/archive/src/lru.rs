//! What was used lately, as much as fits into a number of bytes. Counts what is
//! found and what is not, and says how much it holds. What may be kept, and
//! for how long that is true, is its owner's knowledge.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What takes memory.
pub(crate) trait Weighed: Clone {
    /// About so many bytes.
    fn bytes(&self) -> usize;
}

/// Its metrics: a counter with the label `outcome`, and a gauge of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub total: &'static str,
    pub bytes: &'static str,
}

struct Slot<V> {
    kept: V,
    used: u64,
}

struct Slots<K, V> {
    by_key: HashMap<K, Slot<V>>,
    by_use: BTreeMap<u64, K>,
    bytes: usize,
    clock: u64,
    /// How often everything was forgotten.
    cleared: u64,
}

impl<K: Clone + Eq + Hash, V: Weighed> Slots<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(slot) = self.by_key.remove(key) {
            self.by_use.remove(&slot.used);
            self.bytes = self.bytes.saturating_sub(slot.kept.bytes());
        }
    }

    fn insert(&mut self, key: K, kept: V) {
        self.remove(&key);
        self.clock += 1;
        let used = self.clock;
        self.bytes += kept.bytes();
        self.by_key.insert(key.clone(), Slot { kept, used });
        self.by_use.insert(used, key);
    }
}

/// Least recently used go first.
pub(crate) struct Lru<K, V> {
    slots: Mutex<Slots<K, V>>,
    limit: usize,
    names: Names,
}

/// When somebody began to read what is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun(u64);

impl<K: Clone + Eq + Hash, V: Weighed> Lru<K, V> {
    /// Holds `limit` bytes at most; 0 keeps nothing.
    pub(crate) fn new(limit: usize, names: Names) -> Self {
        Self {
            slots: Mutex::new(Slots {
                by_key: HashMap::new(),
                by_use: BTreeMap::new(),
                bytes: 0,
                clock: 0,
                cleared: 0,
            }),
            limit,
            names,
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots<K, V>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept under a key, as long as `holds` says so of it.
    pub(crate) fn get_if(&self, key: &K, holds: impl FnOnce(&V) -> bool) -> Option<V> {
        let mut slots = self.slots();
        slots.clock += 1;
        let now = slots.clock;
        let found = slots
            .by_key
            .get_mut(key)
            .filter(|slot| holds(&slot.kept))
            .map(|slot| (std::mem::replace(&mut slot.used, now), slot.kept.clone()));
        let (outcome, kept) = match found {
            Some((before, kept)) => {
                if let Some(key) = slots.by_use.remove(&before) {
                    slots.by_use.insert(now, key);
                }
                ("hit", Some(kept))
            }
            None => ("miss", None),
        };
        drop(slots);
        metrics::counter!(self.names.total, "outcome" => outcome).increment(1);
        kept
    }

    /// What is kept under a key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.get_if(key, |_| true)
    }

    /// For who reads something to keep it.
    pub(crate) fn begin(&self) -> Begun {
        Begun(self.slots().cleared)
    }

    pub(crate) fn put(&self, key: K, kept: V) {
        let begun = self.begin();
        self.put_since(begun, key, kept);
    }

    /// Keeps it unless everything was forgotten since the reading began.
    pub(crate) fn put_since(&self, begun: Begun, key: K, kept: V) {
        // One that would push everything else out is not worth it.
        if kept.bytes() > self.limit / 2 {
            return;
        }
        let mut slots = self.slots();
        if Begun(slots.cleared) != begun {
            return;
        }
        slots.insert(key, kept);
        while slots.bytes > self.limit {
            let Some((_, oldest)) = slots.by_use.first_key_value() else {
                break;
            };
            let oldest = oldest.clone();
            slots.remove(&oldest);
        }
        self.tell(&slots);
    }

    /// The same, but pushes nothing out.
    pub(crate) fn put_if_room(&self, begun: Begun, key: K, kept: V) {
        let mut slots = self.slots();
        if Begun(slots.cleared) == begun && slots.bytes.saturating_add(kept.bytes()) <= self.limit {
            slots.insert(key, kept);
            self.tell(&slots);
        }
    }

    /// Forgets what `is_meant` says.
    pub(crate) fn forget(&self, is_meant: impl Fn(&K) -> bool) {
        let mut slots = self.slots();
        let meant: Vec<K> = slots
            .by_key
            .keys()
            .filter(|key| is_meant(key))
            .cloned()
            .collect();
        for key in meant {
            slots.remove(&key);
        }
        self.tell(&slots);
    }

    /// Forgets everything, and what is being read at this moment.
    pub(crate) fn clear(&self) {
        let mut slots = self.slots();
        slots.by_key.clear();
        slots.by_use.clear();
        slots.bytes = 0;
        slots.cleared += 1;
        self.tell(&slots);
    }

    fn tell(&self, slots: &Slots<K, V>) {
        let held = u32::try_from(slots.bytes).unwrap_or(u32::MAX);
        metrics::gauge!(self.names.bytes).set(f64::from(held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Sized(usize);

    impl Weighed for Sized {
        fn bytes(&self) -> usize {
            self.0
        }
    }

    fn lru() -> Lru<u32, Sized> {
        let names = Names {
            total: "test_total",
            bytes: "test_bytes",
        };
        Lru::new(100, names)
    }

    #[test]
    fn what_was_used_least_lately_goes_first_and_the_limit_holds() {
        let cache = lru();
        for key in 0..4 {
            cache.put(key, Sized(30));
            assert!(cache.get(&0).is_some(), "{key}");
        }
        assert!(cache.get(&1).is_none());
        assert!(cache.get(&2).is_some());
        assert!(cache.slots().bytes <= 100);
        cache.put(9, Sized(51));
        assert!(cache.get(&9).is_none());
        cache.forget(|_| true);
        assert_eq!(cache.slots().bytes, 0);
        assert!(cache.slots().by_use.is_empty());
    }

    #[test]
    fn what_goes_into_free_room_pushes_nothing_out() {
        let cache = lru();
        cache.put(1, Sized(40));
        cache.put_if_room(cache.begin(), 2, Sized(60));
        cache.put_if_room(cache.begin(), 3, Sized(1));
        assert!(cache.get(&1).is_some() && cache.get(&2).is_some());
        assert!(cache.get(&3).is_none());
    }

    #[test]
    fn what_was_read_before_everything_was_forgotten_is_not_kept() {
        let cache = lru();
        let begun = cache.begin();
        cache.clear();
        cache.put_since(begun, 1, Sized(1));
        cache.put_if_room(begun, 2, Sized(1));
        assert!(cache.get(&1).is_none() && cache.get(&2).is_none());
        cache.put_since(cache.begin(), 1, Sized(1));
        assert!(cache.get(&1).is_some());
        assert!(cache.get_if(&1, |_| false).is_none());
    }
}
