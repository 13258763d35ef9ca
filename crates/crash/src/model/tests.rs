//! What the model is asked.

use super::{Bounds, NAMES, RULES, Rule, check, walk};

/// Everybody, and a crash.
const WIDE: Bounds = Bounds {
    names: 4,
    crashes: 1,
    senders: 2,
    reads: true,
    erases: false,
};
/// Erasure, and two crashes, one maybe during what follows the other.
const DEEP: Bounds = Bounds {
    names: 4,
    crashes: 2,
    senders: 1,
    reads: false,
    erases: true,
};
/// Everybody, and crash after crash.
const LONG: Bounds = Bounds {
    names: NAMES,
    crashes: 4,
    senders: 2,
    reads: true,
    erases: true,
};

#[test]
fn every_invariant_holds_in_every_state() {
    for bounds in [WIDE, DEEP] {
        let checked = check(bounds, None);
        assert_eq!(checked.wrong, None, "{bounds:?}");
        assert!(checked.states > 50_000, "{bounds:?}: {}", checked.states);
    }
}

#[test]
fn every_invariant_holds_in_thousands_of_long_histories() {
    for seed in 0..20_000 {
        let checked = walk(LONG, None, seed);
        assert_eq!(checked.wrong, None, "seed {seed}");
    }
}

#[test]
fn without_any_one_rule_an_invariant_falls() {
    for rule in RULES {
        let bounds = match rule {
            Rule::ErasureIsRemembered | Rule::LogSyncedBeforeErased => DEEP,
            _ => WIDE,
        };
        let found = check(bounds, Some(rule)).wrong;
        assert!(found.is_some(), "{rule:?} is not needed");
    }
}

#[test]
fn without_any_one_rule_a_long_history_goes_wrong() {
    // A name that is used twice shows only to a reader who sleeps over all
    // of it: that takes every history, not many.
    for rule in RULES.into_iter().filter(|rule| *rule != Rule::NamesOnce) {
        let found = (0..20_000).any(|seed| walk(LONG, Some(rule), seed).wrong.is_some());
        assert!(found, "{rule:?} is not missed");
    }
}
