//! Seals what must be read again: secrets at others, and what a browser keeps
//! while its person is away at a provider. AES-256-GCM with a random nonce,
//! under a key derived from the tenant's.

use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::TenantId;
use hilum_platform::cipher::{Cipher, Refused};
use zeroize::Zeroizing;

use crate::IdentityService;

/// For what the tenant's key is derived.
const PURPOSE: &str = "hilum identity v1";

impl IdentityService {
    /// Seals `text`, bound to `what` it is.
    pub(crate) async fn seal(
        &self,
        tenant: &TenantId,
        what: &str,
        text: &[u8],
    ) -> Result<Vec<u8>, ServiceError> {
        let key = self.sealing_key(tenant).await?;
        key.seal(text, what.as_bytes()).map_err(failed)
    }

    /// Opens what was sealed as `what`; nothing when it was not.
    pub(crate) async fn open_sealed(
        &self,
        tenant: &TenantId,
        what: &str,
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ServiceError> {
        let key = self.sealing_key(tenant).await?;
        Ok(key.open(sealed, what.as_bytes()).ok())
    }

    async fn sealing_key(&self, tenant: &TenantId) -> Result<Cipher, ServiceError> {
        let secret = self
            .keyring
            .derive(tenant, PURPOSE)
            .await
            .map_err(|error| {
                tracing::error!(%error, "a tenant's key");
                ServiceError::new(ErrorCode::Unavailable, "The tenant's key is not there.")
            })?;
        Cipher::new(secret.as_slice()).map_err(failed)
    }
}

fn failed(_: Refused) -> ServiceError {
    ServiceError::internal("The cipher failed.")
}
