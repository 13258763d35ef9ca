//! Seals what a service must read again: secrets at others, people's own words.
//! AES-256-GCM with a random nonce, under a key derived from the tenant's, so that
//! nothing of it opens once that is destroyed.

use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::TenantId;
use zeroize::Zeroizing;

use crate::audit::Keyring;
use crate::cipher::{Cipher, Refused};

/// Seals for one purpose.
#[derive(Clone, Debug)]
pub struct Sealer {
    keyring: Keyring,
    purpose: &'static str,
}

impl Sealer {
    /// Seals under keys that are derived for `purpose`: that of no other service.
    #[must_use]
    pub fn new(keyring: Keyring, purpose: &'static str) -> Self {
        Self { keyring, purpose }
    }

    /// Seals `text`, bound to `what` it is.
    ///
    /// # Errors
    /// When the tenant's key is not there.
    pub async fn seal(
        &self,
        tenant: &TenantId,
        what: &str,
        text: &[u8],
    ) -> Result<Vec<u8>, ServiceError> {
        let key = self.key(tenant).await?;
        key.seal(text, what.as_bytes()).map_err(failed)
    }

    /// Opens what was sealed as `what`; nothing when it was not.
    ///
    /// # Errors
    /// When the tenant's key is not there.
    pub async fn open(
        &self,
        tenant: &TenantId,
        what: &str,
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ServiceError> {
        let key = self.key(tenant).await?;
        Ok(key.open(sealed, what.as_bytes()).ok())
    }

    async fn key(&self, tenant: &TenantId) -> Result<Cipher, ServiceError> {
        let secret = self.keyring.derive(tenant, self.purpose).await;
        let secret = secret.map_err(|error| {
            tracing::error!(%error, "a tenant's key");
            ServiceError::new(ErrorCode::Unavailable, "The tenant's key is not there.")
        })?;
        Cipher::new(secret.as_slice()).map_err(failed)
    }
}

fn failed(_: Refused) -> ServiceError {
    ServiceError::internal("The cipher failed.")
}
