//! Circuit breaking: after several failures in a row a neighbour is not asked for
//! a while, so that its callers fail at once instead of waiting, and it is not
//! asked by all of them at the moment it comes back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::{NEIGHBOUR_FAILURES, NEIGHBOUR_GONE, NEIGHBOUR_REST, NEIGHBOUR_REST_MAX};

/// Whether somebody who may be away is asked now.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Failures since the last answer.
    failures: u32,
    /// Nobody asks before.
    rests_until: Option<Instant>,
    /// Since when nobody was there to be connected to.
    gone_since: Option<Instant>,
}

impl Breaker {
    /// Whether the neighbour may be asked now. After a rest one caller may; the
    /// others wait for what it finds.
    pub(crate) fn may(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.rests_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.rests_until = now.checked_add(NEIGHBOUR_REST);
                true
            }
        }
    }

    /// Whether it is not asked now, or only by who looks whether it is back.
    pub(crate) fn rests(&self) -> bool {
        self.state().rests_until.is_some()
    }

    /// Nobody was there to be connected to.
    pub(crate) fn not_there(&self, now: Instant) {
        self.state().gone_since.get_or_insert(now);
    }

    /// Whether nobody was there when it was asked last.
    pub(crate) fn is_gone(&self) -> bool {
        self.state().gone_since.is_some()
    }

    /// Whether it is there, for all that is known, or only for a moment not: it is being
    /// replaced then, as a rule.
    pub(crate) fn may_be_back(&self, now: Instant) -> bool {
        let since = self.state().gone_since;
        since.is_none_or(|since| now.saturating_duration_since(since) < NEIGHBOUR_GONE)
    }

    /// It answered, whatever it said. `true`: it had not before.
    pub(crate) fn answered(&self) -> bool {
        let mut state = self.state();
        let rested = state.rests_until.is_some();
        *state = State::default();
        rested
    }

    /// It did not answer. `jitter` in 0…1 spreads when who comes back. `true`: it
    /// is not asked from now on.
    pub(crate) fn failed(&self, now: Instant, jitter: f64) -> bool {
        let mut state = self.state();
        let rested = state.rests_until.is_some();
        state.failures = state.failures.saturating_add(1);
        let over = state.failures.saturating_sub(NEIGHBOUR_FAILURES);
        if state.failures < NEIGHBOUR_FAILURES {
            return false;
        }
        let rest = rest(over).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        state.rests_until = now.checked_add(rest);
        !rested
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rest after so many failures more than are let pass.
fn rest(over: u32) -> Duration {
    let doubled = NEIGHBOUR_REST.saturating_mul(2_u32.saturating_pow(over.min(16)));
    doubled.min(NEIGHBOUR_REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_again_and_again_is_left_alone_and_then_asked_by_one() {
        let (breaker, begin) = (Breaker::default(), Instant::now());
        for _ in 1..NEIGHBOUR_FAILURES {
            assert!(!breaker.failed(begin, 1.0));
            assert!(breaker.may(begin));
        }
        assert!(breaker.failed(begin, 1.0));
        assert!(!breaker.may(begin));
        let later = begin + NEIGHBOUR_REST;
        assert!(breaker.may(later));
        assert!(!breaker.may(later), "a second caller waits for the first");
        assert!(breaker.answered());
        assert!(breaker.may(later));
    }

    #[test]
    fn who_is_gone_is_expected_back_for_a_moment() {
        let (breaker, begin) = (Breaker::default(), Instant::now());
        assert!(breaker.may_be_back(begin));
        breaker.not_there(begin);
        let last = begin + NEIGHBOUR_GONE - Duration::from_millis(1);
        breaker.not_there(last);
        assert!(breaker.may_be_back(last));
        assert!(!breaker.may_be_back(begin + NEIGHBOUR_GONE));
        breaker.answered();
        assert!(breaker.may_be_back(begin + NEIGHBOUR_GONE));
    }

    #[test]
    fn rests_grow_to_a_limit() {
        let (breaker, begin) = (Breaker::default(), Instant::now());
        for _ in 0..100 {
            breaker.failed(begin, 1.0);
        }
        assert!(breaker.may(begin + NEIGHBOUR_REST_MAX));
        assert_eq!(rest(u32::MAX), NEIGHBOUR_REST_MAX);
    }
}
