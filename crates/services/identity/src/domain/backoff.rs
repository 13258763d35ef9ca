//! How long somebody waits after failures. Each counter has its own: the
//! account from one network, the account from one known browser, the network.

use std::time::Duration;

use crate::limits::{FAILURES_FREE_ALL, SLOWED_MAX, WAIT_MAX};

/// How long to wait after the last of `failures` of which `free` cost nothing:
/// one second, doubled with each.
pub(crate) fn wait(failures: u32, free: u32) -> Duration {
    let Some(over) = failures.checked_sub(free) else {
        return Duration::ZERO;
    };
    let seconds = 1_u64.checked_shl(over).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(WAIT_MAX)
}

/// How long each answer is held back while everybody fails this often.
pub(crate) fn slowed(failures_of_all: u32) -> Duration {
    let over = failures_of_all.saturating_sub(FAILURES_FREE_ALL);
    Duration::from_millis(10)
        .saturating_mul(over)
        .min(SLOWED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_ends_at_a_quarter_of_an_hour() {
        assert_eq!(wait(4, 5), Duration::ZERO);
        assert_eq!(wait(5, 5), Duration::from_secs(1));
        assert_eq!(wait(8, 5), Duration::from_secs(8));
        assert_eq!(wait(u32::MAX, 5), WAIT_MAX);
    }

    #[test]
    fn a_storm_slows_everybody_a_little_and_stops_nobody() {
        assert_eq!(slowed(10), Duration::ZERO);
        assert_eq!(slowed(u32::MAX), SLOWED_MAX);
    }
}
