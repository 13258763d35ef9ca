//! Time as a parameter: nothing else in the product asks the machine for it.
//!
//! In a build with debug assertions the variable `PLATFORM_CLOCK` may name a
//! file with the seconds by which the machine's clock is off, read at every
//! question: `make crash` lets it jump. A release build has nothing of it.

use std::sync::Arc;

use time::OffsetDateTime;

/// Tells the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now, in UTC.
    fn now(&self) -> OffsetDateTime;

    /// Now, in milliseconds since 1970: how times are stored.
    fn now_millis(&self) -> i64 {
        to_millis(self.now())
    }
}

/// A clock that many hold.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        #[cfg(debug_assertions)]
        let now = now.saturating_add(off::by());
        now
    }
}

#[cfg(debug_assertions)]
mod off {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use time::Duration;

    pub(super) fn by() -> Duration {
        static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
        FILE.get_or_init(|| std::env::var_os("PLATFORM_CLOCK").map(PathBuf::from))
            .as_ref()
            .and_then(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
            .map_or(Duration::ZERO, Duration::seconds)
    }
}

/// The machine's clock, shared.
#[must_use]
pub fn system() -> SharedClock {
    Arc::new(SystemClock)
}

/// Milliseconds since 1970. Times outside of what `i64` holds don't occur:
/// `OffsetDateTime` ends in the year 9999.
#[must_use]
pub fn to_millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The time that [`to_millis`] stored; 1970 for what is no time.
#[must_use]
pub fn from_millis(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis).saturating_mul(1_000_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
