//! Which keys a tenant's seals may be signed with: this shard's, and those of the shards
//! that it has lived on, each with a proof that was made under a key of the tenant.
//! Whoever has the tables and not the master key can make none.

use hilum_contracts::error::ServiceError;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::AuditService;

/// For what the tenant's key is derived.
pub(crate) const PURPOSE: &str = "hilum audit keys of seals v1";

/// What a proof is bound to.
const PROOF: &str = "key of seals";

impl AuditService {
    /// Has the tenant know the key of this shard.
    pub(crate) async fn prove_key(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        let Some(shards) = &self.shards else {
            return Ok(());
        };
        let key = self.signer.public();
        let known = self.store.seal_keys(scope).await;
        let known = known.map_err(|error| database_error(&error))?;
        if known.iter().any(|(one, _)| *one == key) {
            return Ok(());
        }
        // A tenant that was ended has no key, and moves nowhere.
        let proof = shards.sealer.seal(scope.tenant(), PROOF, key.as_bytes());
        let Ok(proof) = proof.await else {
            return Ok(());
        };
        let kept = self.store.keep_seal_key(scope, &key, &proof).await;
        kept.map_err(|error| database_error(&error))
    }

    /// The keys that a tenant's seals may be signed with, this shard's first.
    pub(crate) async fn keys_of(&self, scope: &TenantScope) -> Result<Vec<String>, ServiceError> {
        let mut keys = vec![self.signer.public()];
        let Some(shards) = &self.shards else {
            return Ok(keys);
        };
        let known = self.store.seal_keys(scope).await;
        for (key, proof) in known.map_err(|error| database_error(&error))? {
            let opened = shards.sealer.open(scope.tenant(), PROOF, &proof).await;
            // Without the tenant's key nothing is proved.
            if let Ok(Some(proved)) = opened
                && proved.as_slice() == key.as_bytes()
            {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}
