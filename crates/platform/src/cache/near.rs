//! The layer in this process: bounded, and lost with it.

use std::time::Duration;

use super::{Outcome, Purpose, count};

/// What a value is kept under.
type Name = [u8; 32];

/// Values of one purpose.
#[derive(Clone)]
pub struct Near<V> {
    purpose: Purpose,
    kept: moka::sync::Cache<Name, V>,
}

impl<V: Clone + Send + Sync + 'static> Near<V> {
    /// Keeps `most` values, each for `life`.
    #[must_use]
    pub fn new(purpose: Purpose, most: u64, life: Duration) -> Self {
        let kept = moka::sync::Cache::builder()
            .max_capacity(most)
            .time_to_live(life)
            .build();
        Self { purpose, kept }
    }

    /// The value of a name, where it `is_good` without asking.
    pub fn get(&self, name: &Name, is_good: impl FnOnce(&V) -> bool) -> Option<V> {
        let found = self.kept.get(name);
        let outcome = match &found {
            None => Outcome::Miss,
            Some(value) if is_good(value) => Outcome::Hit,
            Some(_) => Outcome::Stale,
        };
        count(self.purpose, "process", outcome);
        found.filter(|_| outcome == Outcome::Hit)
    }

    /// The value of a name as it is: this is not counted.
    #[must_use]
    pub fn peek(&self, name: &Name) -> Option<V> {
        self.kept.get(name)
    }

    /// Keeps a value.
    pub fn put(&self, name: Name, value: V) {
        self.kept.insert(name, value);
    }

    /// Forgets a value.
    pub fn remove(&self, name: &Name) {
        self.kept.invalidate(name);
    }

    /// Whether there is such a value.
    pub fn any(&self, is: impl Fn(&V) -> bool) -> bool {
        self.kept.iter().any(|(_, value)| is(&value))
    }
}
