//! How often somebody may ask: a minute's requests at once, and then as many as
//! flow back, each in its share of a minute (the generic cell rate algorithm: one
//! number for each principal says how much of its minute is spent).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Principal, TenantScope};

/// Requests in a minute of one principal whose tenant decided nothing: more than
/// a viewer or a sender makes, and less than a runaway script.
const BY_DEFAULT: u32 = 30_000;

/// Principals that are counted before those are forgotten who have all of their
/// minute again; about 100 bytes each.
const FORGET_FROM: usize = 10_000;

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// What a tenant decided, in requests per minute.
type LimitOf = Box<dyn Fn(&TenantId) -> Option<u32> + Send + Sync>;

/// How much of its minute each principal has spent.
pub(crate) struct Rates {
    limit_of: LimitOf,
    /// When all of it is there again, in microseconds since 1970.
    whole_at: Mutex<HashMap<(TenantId, String), i64>>,
}

impl Rates {
    /// With what `limit_of` says now.
    pub(crate) fn new(limit_of: impl Fn(&TenantId) -> Option<u32> + Send + Sync + 'static) -> Self {
        Self {
            limit_of: Box::new(limit_of),
            whole_at: Mutex::default(),
        }
    }

    /// Counts a request at `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// With the seconds to wait when there were too many.
    pub(crate) fn take(&self, scope: &TenantScope, now: i64) -> Result<(), u64> {
        let limit = (self.limit_of)(scope.tenant()).unwrap_or(BY_DEFAULT);
        // Sessions of a person are one: another sign-in gives no other minute.
        let who = match scope.principal() {
            Principal::Person { id, .. } => id.to_string(),
            other => other.to_string(),
        };
        let (now, share) = (now.saturating_mul(1_000), MINUTE / i64::from(limit.max(1)));
        let mut all = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (scope.tenant().clone(), who);
        if all.len() >= FORGET_FROM && !all.contains_key(&key) {
            all.retain(|_, whole_at| *whole_at > now);
        }
        let whole_at = all.entry(key).or_insert(now);
        // A clock that was set back makes nobody wait longer than a minute.
        let spent = (*whole_at).clamp(now, now.saturating_add(MINUTE));
        let next = spent.saturating_add(share);
        let over = next.saturating_sub(now).saturating_sub(MINUTE);
        if over > 0 {
            *whole_at = spent;
            return Err(u64::try_from(over).unwrap_or_default().div_ceil(1_000_000));
        }
        *whole_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hilum_platform::auth;

    use super::*;

    fn device(tenant: &str, name: &str) -> TenantScope {
        auth::device(&TenantId::new(tenant).unwrap(), name, None)
    }

    #[test]
    fn a_minutes_requests_come_at_once_and_then_as_they_flow_back() {
        let rates = Rates::new(|_| Some(60));
        let one = device("a", "ONE");
        for _ in 0..60 {
            assert_eq!(rates.take(&one, 1_000_000), Ok(()));
        }
        assert_eq!(rates.take(&one, 1_000_000), Err(1));
        assert_eq!(rates.take(&one, 1_001_000), Ok(()));
        assert_eq!(rates.take(&one, 1_001_500), Err(1));
        // A refused one costs nothing.
        assert_eq!(rates.take(&one, 1_002_000), Ok(()));
    }

    #[test]
    fn nobody_spends_anothers_minute() {
        let rates = Rates::new(|tenant| (tenant.as_str() == "a").then_some(1));
        assert_eq!(rates.take(&device("a", "ONE"), 0), Ok(()));
        assert_eq!(rates.take(&device("a", "ONE"), 0), Err(60));
        assert_eq!(rates.take(&device("a", "TWO"), 0), Ok(()));
        assert_eq!(rates.take(&device("b", "ONE"), 0), Ok(()));
        assert_eq!(rates.take(&device("b", "ONE"), 0), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_longer_than_a_minute() {
        let rates = Rates::new(|_| Some(60));
        let one = device("a", "ONE");
        assert_eq!(rates.take(&one, 10_000_000_000), Ok(()));
        assert_eq!(rates.take(&one, 0), Err(1));
        assert_eq!(rates.take(&one, 1_000), Ok(()));
    }
}
