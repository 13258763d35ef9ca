//! What is kept for the next question, in two layers: [`Near`] in this process and
//! [`Shared`] between all of them, in Redis. Neither is a place where anything is: what
//! is lost is asked for again, and who reads from the shared layer verifies what it
//! finds there, for anybody may have written it.
//!
//! What is kept is either true for ever under its name, or verified against what is
//! known now whenever it is used. Nothing is ever deleted so that something else
//! becomes true.

mod near;
mod shared;

pub use near::Near;
pub use shared::Shared;

use std::time::Duration;

/// What a cache is for: its name in keys and figures, and its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Purpose {
    /// Its name.
    pub name: &'static str,
    /// Longest value in the shared layer.
    pub bytes: usize,
    /// Longest time for one question to the shared layer.
    pub within: Duration,
}

/// What came of a question to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for.
    Hit,
    /// Nothing.
    Miss,
    /// Something that is too old to be taken without asking.
    Stale,
    /// Something that is none of ours.
    Refused,
    /// The layer did not answer.
    Away,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Away => "away",
        }
    }
}

impl Purpose {
    /// Shows its figures before there are any: an alert sees a first one come only if it
    /// saw none before.
    pub fn counts_from_zero(self) {
        use Outcome::{Away, Hit, Miss, Refused, Stale};
        for outcome in [Hit, Miss, Stale, Refused, Away] {
            counted(self, "redis", outcome, 0);
        }
    }
}

/// Counts what came of a question.
fn count(purpose: Purpose, layer: &'static str, outcome: Outcome) {
    counted(purpose, layer, outcome, 1);
}

fn counted(purpose: Purpose, layer: &'static str, outcome: Outcome, times: u64) {
    let labels = [
        ("purpose", purpose.name),
        ("layer", layer),
        ("outcome", outcome.word()),
    ];
    metrics::counter!("hilum_cache_requests_total", &labels).increment(times);
}
