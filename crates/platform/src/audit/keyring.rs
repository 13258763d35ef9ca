//! The keys that the trail seals and finds subjects with, one set a tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hilum_contracts::ids::TenantId;
use zeroize::Zeroizing;

use super::sealing::Keys;
use crate::cipher::Refused;
use crate::limits::AUDIT_TENANTS_CACHED;

/// The purpose that the trail's keys are derived for.
pub const PURPOSE: &str = "hilum audit v1";

/// Why there is no key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeyError {
    /// The tenant was ended and its key destroyed.
    #[error("the tenant's key was destroyed")]
    Destroyed,
    /// The keys do not answer.
    #[error("the keys do not answer: {0}")]
    Unavailable(String),
    /// The cipher refused its input, or the source of randomness failed.
    #[error("the cipher failed")]
    Cipher,
}

/// Whoever owns the tenants' keys, and hands out what is derived from them.
#[async_trait]
pub trait TenantKeys: Send + Sync {
    /// A secret of `tenant` for one purpose; always the same.
    ///
    /// # Errors
    /// [`KeyError::Destroyed`] when there is no key of the tenant any more.
    async fn derive(
        &self,
        tenant: &TenantId,
        purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError>;

    /// Forgets what it keeps of a tenant that is ended, where it keeps something.
    fn forget(&self, _: &TenantId) {}
}

/// The trail's keys of every tenant, kept in memory once they were asked for.
#[derive(Clone)]
pub struct Keyring {
    source: Arc<dyn TenantKeys>,
    known: Arc<Mutex<HashMap<TenantId, Arc<Keys>>>>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Keyring {
    /// The keys that `source` derives.
    #[must_use]
    pub fn new(source: Arc<dyn TenantKeys>) -> Self {
        Self {
            source,
            known: Arc::default(),
        }
    }

    /// The trail's keys of a tenant.
    ///
    /// # Errors
    /// See [`TenantKeys::derive`].
    pub async fn of(&self, tenant: &TenantId) -> Result<Arc<Keys>, KeyError> {
        if let Some(keys) = self.known().get(tenant) {
            return Ok(Arc::clone(keys));
        }
        let secret = self.source.derive(tenant, PURPOSE).await?;
        let keys = Arc::new(Keys::new(tenant, &secret)?);
        let mut known = self.known();
        if known.len() >= AUDIT_TENANTS_CACHED {
            known.clear();
        }
        known.insert(tenant.clone(), Arc::clone(&keys));
        Ok(keys)
    }

    /// A secret of a tenant for another purpose than the trail's, straight from
    /// the source.
    ///
    /// # Errors
    /// See [`TenantKeys::derive`].
    pub async fn derive(
        &self,
        tenant: &TenantId,
        purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        self.source.derive(tenant, purpose).await
    }

    /// Forgets a tenant's keys, when it is ended.
    pub fn forget(&self, tenant: &TenantId) {
        self.known().remove(tenant);
        self.source.forget(tenant);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<Keys>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Refused> for KeyError {
    fn from(_: Refused) -> Self {
        Self::Cipher
    }
}

impl From<KeyError> for crate::db::DbError {
    fn from(error: KeyError) -> Self {
        Self::Encode(Box::new(error))
    }
}
