//! Whom erasures have forgotten while something was on its way: a look that
//! began before an erasure and is recorded after it must not name whom nobody
//! may name any more. What begins after the erasure is another matter: whoever
//! asks then says the identifier themselves, and a person may come back.
//!
//! Kept in memory alone, because nothing that is on its way outlives the process.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hilum_contracts::audit::Subject;
use hilum_contracts::ids::TenantId;

use super::trail::is_named;
use crate::limits::AUDIT_FORGOTTEN_MAX;

/// When something began, as the erasures of this process count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

#[derive(Default)]
pub(super) struct Forgotten(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Erasures so far.
    erasures: u64,
    /// Who was forgotten by which of them, the latest.
    latest: VecDeque<(u64, TenantId, Subject)>,
    /// The newest erasure that is not wholly in `latest` any more.
    dropped: u64,
}

impl Forgotten {
    pub(super) fn now(&self) -> Moment {
        Moment(self.kept().erasures)
    }

    pub(super) fn add(&self, tenant: &TenantId, subjects: &[Subject]) {
        let mut kept = self.kept();
        kept.erasures = kept.erasures.saturating_add(1);
        let erasure = kept.erasures;
        for subject in subjects {
            if kept.latest.len() >= AUDIT_FORGOTTEN_MAX
                && let Some((oldest, _, _)) = kept.latest.pop_front()
            {
                kept.dropped = oldest;
            }
            let forgotten = (erasure, tenant.clone(), subject.clone());
            kept.latest.push_back(forgotten);
        }
    }

    /// Whether the subject was forgotten, or text that names one who was, since
    /// something began. What began so long ago that it is not known may name
    /// nobody.
    pub(super) fn has(&self, since: Moment, tenant: &TenantId, subject: &Subject) -> bool {
        let kept = self.kept();
        if since.0 < kept.dropped {
            return true;
        }
        let mut later = kept.latest.iter().rev();
        let mut later = later
            .by_ref()
            .take_while(|(erasure, _, _)| *erasure > since.0);
        later.any(|(_, of, gone)| {
            let is_named = || {
                let text = subject.free_text();
                text.is_some_and(|text| is_named(text, gone))
            };
            of == tenant && (gone == subject || is_named())
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn who_was_forgotten_since_something_began_is_not_named_by_it() {
        let forgotten = Forgotten::default();
        let (a, b) = (tenant("a"), tenant("b"));
        let study = Subject::study("1.2.3");
        let before = forgotten.now();
        forgotten.add(&a, std::slice::from_ref(&study));
        let after = forgotten.now();
        assert!(forgotten.has(before, &a, &study));
        assert!(forgotten.has(before, &a, &Subject::query("study_uid=1.2.3")));
        assert!(!forgotten.has(before, &a, &Subject::study("1.2.4")));
        assert!(!forgotten.has(before, &b, &study));
        assert!(!forgotten.has(after, &a, &study));
    }

    #[test]
    fn what_began_before_all_that_is_remembered_names_nobody() {
        let forgotten = Forgotten::default();
        let (a, before) = (tenant("a"), forgotten.now());
        for number in 0..=AUDIT_FORGOTTEN_MAX {
            forgotten.add(&a, &[Subject::study(format!("1.{number}"))]);
        }
        assert!(forgotten.has(before, &a, &Subject::study("9.9")));
        assert!(!forgotten.has(forgotten.now(), &a, &Subject::study("9.9")));
    }
}
