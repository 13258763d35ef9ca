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
    /// Who did what, in the trails of all services.
    Search,
}

impl Function {
    pub(crate) const ALL: [Self; 6] = [
        Self::Dicom,
        Self::Stow,
        Self::Query,
        Self::Retrieve,
        Self::SignIn,
        Self::Search,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dicom => "C-STORE",
            Self::Stow => "STOW-RS",
            Self::Query => "queries",
            Self::Retrieve => "retrieval",
            Self::SignIn => "sign-in",
            Self::Search => "audit search",
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
    /// When it ended, and how; not yet.
    pub(crate) ended: Option<(Instant, Outcome)>,
}

impl Asked {
    fn is_done(&self) -> bool {
        matches!(self.ended, Some((_, Outcome::Done)))
    }

    /// When somebody was told that it is not done.
    pub(crate) fn refused(&self) -> Option<Instant> {
        match &self.ended {
            Some((at, Outcome::Not(_))) => Some(*at),
            _ => None,
        }
    }
}

/// Everything that was asked for.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<Asked>>);

impl Seen {
    /// Somebody asks; by what its end is told.
    pub(crate) fn begins(&self, function: Function) -> usize {
        let mut all = self.all();
        all.push(Asked {
            function,
            began: Instant::now(),
            ended: None,
        });
        all.len() - 1
    }

    pub(crate) fn ended(&self, one: usize, outcome: Outcome) {
        self.all()[one].ended = Some((Instant::now(), outcome));
    }

    /// What began from then on, in the order in which it began.
    pub(crate) fn since(&self, then: Instant) -> Vec<Asked> {
        let all = self.all();
        let from = all.partition_point(|one| one.began < then);
        all[from..].to_vec()
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
        match &one.ended {
            Some((_, Outcome::Done)) => {}
            Some((_, Outcome::Not(reason))) => *why.entry(reason).or_default() += 1,
            None => *why.entry("no end").or_default() += 1,
        }
    }
    let refused: usize = why.values().sum();
    let reasons: Vec<_> = why.keys().copied().collect();
    let reasons = reasons.join(", ");
    let done = of.iter().filter(|one| one.is_done());
    let done: Vec<_> = done
        .filter_map(|one| Some((one.began, one.ended.as_ref()?.0)))
        .collect();
    let in_time = done.iter().filter(|(_, at)| *at <= ended).count();
    let longest = done.iter().map(|(began, at)| *at - *began).max();
    let slow = match longest {
        Some(longest) if longest > AT_ONCE => {
            format!(", ≤ {:.0} s", longest.as_secs_f64().ceil())
        }
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

/// How long after `ended` a function worked again: from then on nothing that was
/// begun failed, `enough` of it were done, and whoever asked from `began` on knows
/// what became of it. None: it does not yet.
pub(crate) fn recovered(
    all: &[Asked],
    function: Function,
    ended: Instant,
    enough: usize,
) -> Option<Duration> {
    let of = |one: &&Asked| one.function == function;
    let (before, after): (Vec<_>, Vec<_>) =
        all.iter().filter(of).partition(|one| one.began < ended);
    let mut last = ended;
    for one in before {
        last = last.max(one.ended.as_ref()?.0);
    }
    let well = after.iter().rposition(|one| one.refused().is_some());
    let well = &after[well.map_or(0, |at| at + 1)..];
    let done = well.iter().filter(|one| one.is_done());
    let done: Vec<_> = done.filter_map(|one| Some(one.ended.as_ref()?.0)).collect();
    if done.len() < enough {
        return None;
    }
    let first = done.into_iter().min()?;
    Some(first.max(last) - ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: Instant, began: u64, took: u64, outcome: Outcome) -> Asked {
        let at = |ms| from + Duration::from_millis(ms);
        Asked {
            function: Function::Query,
            began: at(began),
            ended: Some((at(began + took), outcome)),
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
        // Who asked before it ended has to know what became of it.
        let before = from.checked_sub(Duration::from_millis(50)).unwrap();
        all.insert(0, asked(before, 0, 300, not("503")));
        assert_eq!(well(&all), Some(Duration::from_millis(250)));
        all[0].ended = None;
        assert_eq!(well(&all), None);
        assert_eq!(
            told(&all[..1], Function::Query, before, from),
            "refused: no end"
        );
    }
}
