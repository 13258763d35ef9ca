//! What users asked for, and what became of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
    /// Images by C-STORE.
    Dicom,
    /// Images by STOW-RS.
    Stow,
    /// Studies by QIDO-RS, in a session.
    Query,
    /// An image by WADO-RS, with an API key.
    Retrieve,
    /// A password is shown for a session.
    SignIn,
}

impl Function {
    pub(crate) const ALL: [Self; 5] = [
        Self::Dicom,
        Self::Stow,
        Self::Query,
        Self::Retrieve,
        Self::SignIn,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dicom => "C-STORE",
            Self::Stow => "STOW-RS",
            Self::Query => "queries",
            Self::Retrieve => "retrieval",
            Self::SignIn => "sign-in",
        }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Refused with this status, or without an answer because of this.
    Not(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) function: Function,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
}

/// Everything that was asked for.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<Asked>>);

impl Seen {
    pub(crate) fn add(&self, function: Function, began: Instant, outcome: Outcome) {
        let ended = Instant::now();
        self.all().push(Asked {
            function,
            began,
            ended,
            outcome,
        });
    }

    /// What began from then on, in the order in which it began.
    pub(crate) fn since(&self, then: Instant) -> Vec<Asked> {
        let mut since: Vec<_> = self
            .all()
            .iter()
            .filter(|one| one.began >= then)
            .cloned()
            .collect();
        since.sort_by_key(|one| one.began);
        since
    }

    fn all(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Slower than this is said.
const AT_ONCE: Duration = Duration::from_secs(2);

/// In a few words how a function went in a fault that lasted from `began` to
/// `ended`.
pub(crate) fn told(all: &[Asked], function: Function, began: Instant, ended: Instant) -> String {
    let of: Vec<_> = all
        .iter()
        .filter(|one| one.function == function && one.began >= began && one.began < ended)
        .collect();
    if of.is_empty() {
        return "not asked".to_owned();
    }
    let mut why: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &of {
        if let Outcome::Not(reason) = &one.outcome {
            *why.entry(reason).or_default() += 1;
        }
    }
    let refused: usize = why.values().sum();
    let reasons: Vec<_> = why.keys().copied().collect();
    let reasons = reasons.join(", ");
    let done: Vec<_> = of
        .iter()
        .filter(|one| one.outcome == Outcome::Done)
        .collect();
    let in_time = done.iter().filter(|one| one.ended <= ended).count();
    let longest = done.iter().map(|one| one.ended - one.began).max();
    let slow = match longest {
        Some(longest) if longest > AT_ONCE => format!(", ≤ {:.0} s", longest.as_secs_f64().ceil()),
        _ => String::new(),
    };
    match (refused, in_time) {
        (0, 0) => "waited".to_owned(),
        (0, _) => format!("on{slow}"),
        (_, 0) if done.is_empty() => format!("refused: {reasons}"),
        (_, 0) => format!("waited, {refused} of {} refused: {reasons}", of.len()),
        _ => format!("{refused} of {} refused: {reasons}{slow}", of.len()),
    }
}

/// When a function worked again after `ended`: from then on nothing that was
/// begun failed, and `enough` of it were done. None: it does not yet.
pub(crate) fn recovered(
    all: &[Asked],
    function: Function,
    ended: Instant,
    enough: usize,
) -> Option<Duration> {
    let mut of: Vec<_> = all
        .iter()
        .filter(|one| one.function == function && one.began >= ended)
        .collect();
    of.sort_by_key(|one| one.began);
    let last_failure = of.iter().rposition(|one| one.outcome != Outcome::Done);
    let well = &of[last_failure.map_or(0, |at| at + 1)..];
    if well.len() < enough {
        return None;
    }
    let first = well.iter().map(|one| one.ended).min()?;
    Some(first - ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: Instant, began: u64, took: u64, outcome: Outcome) -> Asked {
        let at = |ms| from + Duration::from_millis(ms);
        Asked {
            function: Function::Query,
            began: at(began),
            ended: at(began + took),
            outcome,
        }
    }

    fn not(reason: &str) -> Outcome {
        Outcome::Not(reason.to_owned())
    }

    #[test]
    fn it_is_said_what_went_on_was_slow_waited_or_was_refused() {
        let from = Instant::now();
        let until = from + Duration::from_secs(10);
        let say = |all: &[Asked]| told(all, Function::Query, from, until);
        assert_eq!(say(&[]), "not asked");
        let mut all = vec![asked(from, 0, 100, Outcome::Done)];
        assert_eq!(say(&all), "on");
        all.push(asked(from, 100, 4_200, Outcome::Done));
        assert_eq!(say(&all), "on, ≤ 5 s");
        all.push(asked(from, 200, 1, not("503")));
        assert_eq!(say(&all), "1 of 3 refused: 503, ≤ 5 s");
        assert_eq!(say(&[asked(from, 0, 11_000, Outcome::Done)]), "waited");
        assert_eq!(say(&[asked(from, 0, 1, not("503"))]), "refused: 503");
        // What came after it is not of the fault.
        assert_eq!(say(&[asked(from, 10_001, 1, not("503"))]), "not asked");
    }

    #[test]
    fn it_is_well_again_when_nothing_fails_any_more() {
        let from = Instant::now();
        let well = |all: &[Asked]| recovered(all, Function::Query, from, 2);
        let mut all = vec![
            asked(from, 0, 10, Outcome::Done),
            asked(from, 10, 5, not("503")),
        ];
        assert_eq!(well(&all), None);
        all.push(asked(from, 100, 20, Outcome::Done));
        assert_eq!(well(&all), None);
        all.push(asked(from, 200, 20, Outcome::Done));
        assert_eq!(well(&all), Some(Duration::from_millis(120)));
    }
}
