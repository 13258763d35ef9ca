//! What the audit trail needs of the archive: keys of the tenants.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{KeyError, TenantKeys};
use zeroize::Zeroizing;

use super::{Archive, blocking};
use crate::error::ArchiveError;

#[async_trait]
impl TenantKeys for Archive {
    async fn derive(
        &self,
        tenant: &TenantId,
        purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let (engine, tenant, purpose) =
            (Arc::clone(&self.engine), tenant.clone(), purpose.to_owned());
        let derived = blocking(move || {
            let now = engine.clock.now_millis();
            engine.keys.derived_secret(tenant.as_str(), &purpose, now)
        });
        derived.await.map_err(|error| match error {
            ArchiveError::NotFound => KeyError::Destroyed,
            other => KeyError::Unavailable(other.to_string()),
        })
    }
}
