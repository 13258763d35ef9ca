//! What each tenant holds against what it may hold. A charge is made before
//! anything is written and given back when nothing was stored. Counts live in
//! memory and are read from the index again after every sweep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::index::query;
use crate::model::Quota;
use crate::tenant::Tenant;

#[derive(Default)]
pub(crate) struct Quotas(Mutex<HashMap<String, Account>>);

#[derive(Default)]
struct Account {
    quota: Quota,
    /// `None`: to be read from the index.
    held: Option<Amount>,
    pending: Amount,
}

#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    bytes: u64,
    instances: u64,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            instances: self.instances.saturating_add(other.instances),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            instances: self.instances.saturating_sub(other.instances),
        }
    }

    fn fits(self, quota: Quota) -> bool {
        quota.bytes.is_none_or(|most| self.bytes <= most)
            && quota.instances.is_none_or(|most| self.instances <= most)
    }
}

/// Room that one instance takes up until it is stored or not.
pub(crate) struct Charge {
    engine: Arc<Engine>,
    tenant: Arc<Tenant>,
    amount: Amount,
    kept: bool,
}

impl Quotas {
    pub(crate) fn set(&self, tenant: &str, quota: Quota) {
        self.accounts().entry(tenant.to_owned()).or_default().quota = quota;
    }

    pub(crate) fn of(&self, tenant: &str) -> Quota {
        self.accounts()
            .get(tenant)
            .map(|account| account.quota)
            .unwrap_or_default()
    }

    /// Forgets a tenant.
    pub(crate) fn forget(&self, tenant: &str) {
        self.accounts().remove(tenant);
    }

    /// What the index says is true again: something was removed.
    pub(crate) fn recount(&self) {
        for account in self.accounts().values_mut() {
            account.held = None;
        }
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Room for an instance of `bytes`; `None` where there is no quota.
    ///
    /// # Errors
    /// [`ArchiveError::OverQuota`].
    pub(crate) async fn charge(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        bytes: u64,
    ) -> Result<Option<Charge>> {
        let name = tenant.id.as_str();
        if self.quotas.of(name) == Quota::default() {
            return Ok(None);
        }
        let counted = self
            .quotas
            .accounts()
            .get(name)
            .is_some_and(|account| account.held.is_some());
        if !counted {
            let row = tenant.row;
            let report = self
                .readers
                .read(move |db| query::storage(db, Some(row)))
                .await?;
            if let Some(account) = self.quotas.accounts().get_mut(name) {
                account.held = Some(Amount {
                    bytes: report.object_bytes,
                    instances: report.instances,
                });
            }
        }
        let amount = Amount {
            bytes,
            instances: 1,
        };
        let mut accounts = self.quotas.accounts();
        let Some(account) = accounts.get_mut(name) else {
            return Ok(None);
        };
        let all = account
            .held
            .unwrap_or_default()
            .plus(account.pending)
            .plus(amount);
        if !all.fits(account.quota) {
            return Err(ArchiveError::OverQuota);
        }
        account.pending = account.pending.plus(amount);
        drop(accounts);
        Ok(Some(Charge {
            engine: Arc::clone(self),
            tenant: Arc::clone(tenant),
            amount,
            kept: false,
        }))
    }
}

impl Charge {
    /// It was stored.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut accounts = self.engine.quotas.accounts();
        if let Some(account) = accounts.get_mut(self.tenant.id.as_str()) {
            account.pending = account.pending.minus(self.amount);
            if self.kept {
                account.held = account.held.map(|held| held.plus(self.amount));
            }
        }
    }
}
