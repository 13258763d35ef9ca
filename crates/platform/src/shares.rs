//! Places that tenants share, for associations or requests that are worked on: one
//! that takes all it can leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hilum_contracts::ids::TenantId;

/// The places, and who holds how many. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: usize,
    held: Mutex<HashMap<TenantId, usize>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Share {
    of: Shares,
    tenant: TenantId,
}

/// The place of a request, for who has it wait for something that takes no work:
/// it can be given back before the request is answered.
#[derive(Clone, Debug)]
pub struct Place(Arc<Mutex<Option<Share>>>);

impl Place {
    /// Holds `share`.
    #[must_use]
    pub fn of(share: Share) -> Self {
        Self(Arc::new(Mutex::new(Some(share))))
    }

    /// Gives it back.
    pub fn leave(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Shares {
    /// So many places.
    #[must_use]
    pub fn new(all: usize) -> Self {
        Self(Arc::new(Inner {
            all,
            held: Mutex::default(),
        }))
    }

    /// A place for a tenant, of so many that there are; none when all are taken, or
    /// the tenant holds its share: three quarters where there are several tenants.
    #[must_use]
    pub fn take(&self, tenant: &TenantId, tenants: usize) -> Option<Share> {
        let all = self.0.all;
        let most = match tenants {
            0 | 1 => all,
            _ => (all / 4 * 3).max(1),
        };
        let mut held = self.held();
        let taken: usize = held.values().sum();
        let count = held.get(tenant).copied().unwrap_or_default();
        if taken >= all || count >= most {
            return None;
        }
        held.insert(tenant.clone(), count + 1);
        Some(Share {
            of: self.clone(),
            tenant: tenant.clone(),
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held();
        match held.get_mut(&self.tenant) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_tenants_holds_three_quarters_and_gets_a_place_back_that_ended() {
        let shares = Shares::new(8);
        let [a, b] = ["a", "b"].map(|name| TenantId::new(name).unwrap());
        let mut of_a: Vec<_> = (0..6).map(|_| shares.take(&a, 2).unwrap()).collect();
        assert!(shares.take(&a, 2).is_none());
        let mut of_b: Vec<_> = (0..2).map(|_| shares.take(&b, 2).unwrap()).collect();
        assert!(shares.take(&b, 2).is_none(), "all are taken");
        of_a.pop();
        of_b.push(shares.take(&b, 2).unwrap());
        of_b.pop();
        assert!(shares.take(&a, 2).is_some());
        drop((of_a, of_b));
        assert!(shares.held().is_empty());
        let alone: Vec<_> = (0..8).map(|_| shares.take(&a, 1).unwrap()).collect();
        assert!(shares.take(&a, 1).is_none());
        drop(alone);
        // However few there are, each gets one.
        assert!(Shares::new(1).take(&a, 5).is_some());
    }
}
