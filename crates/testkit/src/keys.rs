//! Keys of the audit trail without an archive.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{KeyError, Keyring, TenantKeys};
use zeroize::Zeroizing;

struct ByName;

#[async_trait]
impl TenantKeys for ByName {
    async fn derive(&self, tenant: &TenantId, _: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut secret = Zeroizing::new([7; 32]);
        for (byte, of) in secret.iter_mut().zip(tenant.as_str().bytes()) {
            *byte = of;
        }
        Ok(secret)
    }
}

/// Keys that come from the tenants' names.
#[must_use]
pub fn keyring() -> Keyring {
    Keyring::new(Arc::new(ByName))
}
