//! Seals what must be read again: secrets at others, and what a browser keeps
//! while its person is away at a provider. AES-256-GCM with a random nonce,
//! under a key derived from the tenant's.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::TenantId;
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
        let failed = |_| ServiceError::internal("The cipher failed.");
        let key = self.sealing_key(tenant).await?;
        let mut sealed = text.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(what.as_bytes()), &mut sealed)
            .map_err(failed)?;
        let mut all = nonce.as_ref().to_vec();
        all.append(&mut sealed);
        Ok(all)
    }

    /// Opens what was sealed as `what`; nothing when it was not.
    pub(crate) async fn open_sealed(
        &self,
        tenant: &TenantId,
        what: &str,
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ServiceError> {
        let key = self.sealing_key(tenant).await?;
        let Some((nonce, rest)) = sealed.split_at_checked(NONCE_LEN) else {
            return Ok(None);
        };
        let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else {
            return Ok(None);
        };
        let mut text = Zeroizing::new(rest.to_vec());
        let opened = key.open_in_place(nonce, Aad::from(what.as_bytes()), &mut text);
        let Ok(length) = opened.map(|opened| opened.len()) else {
            return Ok(None);
        };
        text.truncate(length);
        Ok(Some(text))
    }

    async fn sealing_key(&self, tenant: &TenantId) -> Result<RandomizedNonceKey, ServiceError> {
        let secret = self
            .keyring
            .derive(tenant, PURPOSE)
            .await
            .map_err(|error| {
                tracing::error!(%error, "a tenant's key");
                ServiceError::new(ErrorCode::Unavailable, "The tenant's key is not there.")
            })?;
        RandomizedNonceKey::new(&AES_256_GCM, secret.as_slice())
            .map_err(|_| ServiceError::internal("The cipher failed."))
    }
}
