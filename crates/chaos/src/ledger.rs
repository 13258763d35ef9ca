//! What was acknowledged to whom, and what must follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What the model makes of a series: a segmentation and a report.
pub(crate) const RESULTS: usize = 2;

/// A series that the model takes.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) tenant: &'static str,
    /// The number of its study.
    pub(crate) study: u64,
    /// When the first try to send it began,
    pub(crate) began: Instant,
    /// when all of it was acknowledged and its sender had ended in order,
    pub(crate) acknowledged: Option<Instant>,
    /// when its results were found,
    pub(crate) result: Option<Instant>,
    /// and when the receiver had all of them.
    pub(crate) delivered: Option<Instant>,
}

/// A study, and the SOP Instance UIDs of it that were acknowledged.
pub(crate) type Acknowledged = BTreeMap<(&'static str, u64), BTreeSet<String>>;

#[derive(Default)]
pub(crate) struct Ledger(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    sent: u64,
    acknowledged: Acknowledged,
    series: BTreeMap<u64, Series>,
    wrong: Vec<String>,
}

impl Ledger {
    pub(crate) fn sent(&self) {
        self.inner().sent += 1;
    }

    pub(crate) fn acknowledged(&self, tenant: &'static str, study: u64, uid: String) {
        let mut inner = self.inner();
        inner
            .acknowledged
            .entry((tenant, study))
            .or_default()
            .insert(uid);
    }

    /// A series is about to be sent.
    pub(crate) fn series_begins(&self, tenant: &'static str, study: u64) {
        let series = Series {
            tenant,
            study,
            began: Instant::now(),
            acknowledged: None,
            result: None,
            delivered: None,
        };
        self.inner().series.insert(study, series);
    }

    pub(crate) fn series_ended(&self, study: u64) {
        if let Some(series) = self.inner().series.get_mut(&study) {
            series.acknowledged = Some(Instant::now());
        }
    }

    pub(crate) fn results_are_there(&self, study: u64) {
        if let Some(series) = self.inner().series.get_mut(&study) {
            series.result.get_or_insert_with(Instant::now);
        }
    }

    pub(crate) fn delivered(&self, study: u64, at: Instant) {
        if let Some(series) = self.inner().series.get_mut(&study) {
            series.delivered.get_or_insert(at);
        }
    }

    /// Something that must never be.
    pub(crate) fn is_wrong(&self, what: String) {
        self.inner().wrong.push(what);
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.inner().wrong.clone()
    }

    /// Every series that was begun.
    pub(crate) fn series(&self) -> Vec<Series> {
        self.inner().series.values().cloned().collect()
    }

    /// Some acknowledged instance.
    pub(crate) fn one_of(&self) -> Option<(&'static str, u64, String)> {
        let inner = self.inner();
        let nth = fastrand::usize(..inner.acknowledged.len().max(1));
        let ((tenant, study), uids) = inner.acknowledged.iter().nth(nth)?;
        let nth = fastrand::usize(..uids.len().max(1));
        Some((*tenant, *study, uids.iter().nth(nth)?.clone()))
    }

    pub(crate) fn all_acknowledged(&self) -> Acknowledged {
        self.inner().acknowledged.clone()
    }

    /// Instances sent, repeats included, and acknowledged.
    pub(crate) fn counts(&self) -> (u64, usize) {
        let inner = self.inner();
        let acknowledged = inner.acknowledged.values().map(BTreeSet::len).sum();
        (inner.sent, acknowledged)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
