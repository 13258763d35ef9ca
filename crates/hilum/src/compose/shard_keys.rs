//! The keys of tenants that live on other shards: they are where the tenant is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hilum_contracts::ids::TenantId;
use hilum_contracts::service::ServiceName;
use hilum_platform::audit::{KeyError, TenantKeys};
use hilum_platform::remote::elsewhere::{Answers, Shards};
use hilum_platform::remote::keys::RemoteKeys;
use zeroize::Zeroizing;

/// Keys of this shard, and the ways to those of others.
pub(super) struct ShardKeys {
    here: Arc<dyn TenantKeys>,
    shards: Shards,
    /// By where they are.
    others: Mutex<HashMap<String, RemoteKeys>>,
}

impl ShardKeys {
    pub(super) fn new(here: Arc<dyn TenantKeys>, shards: Shards) -> Self {
        Self {
            here,
            shards,
            others: Mutex::default(),
        }
    }

    fn others(&self) -> std::sync::MutexGuard<'_, HashMap<String, RemoteKeys>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TenantKeys for ShardKeys {
    async fn derive(
        &self,
        tenant: &TenantId,
        purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        match self.shards.of(tenant, ServiceName::Imaging) {
            Answers::Here => self.here.derive(tenant, purpose).await,
            Answers::At(way) => {
                let other = {
                    let mut others = self.others();
                    let made = || RemoteKeys::new(way.clone());
                    others
                        .entry(way.at().to_string())
                        .or_insert_with(made)
                        .clone()
                };
                other.derive(tenant, purpose).await
            }
            Answers::Nowhere(shard) => Err(KeyError::Unavailable(format!(
                "[shards] does not say where {shard} is"
            ))),
        }
    }

    fn forget(&self, tenant: &TenantId) {
        self.here.forget(tenant);
        for other in self.others().values() {
            other.forget(tenant);
        }
    }
}
