//! The tenants' keys over the network: both ends. What is derived is asked for
//! once and kept by whoever asks, for as long as it runs; a key is never written
//! down there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::response::IntoResponse as _;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::answering::read;
use super::{Answering, Asking, Neighbour};
use crate::audit::{KeyError, TenantKeys};
use crate::limits::AUDIT_TENANTS_CACHED;

type Derived = HashMap<(TenantId, String), Arc<Zeroizing<[u8; 32]>>>;

/// Whoever owns the keys, in another process.
#[derive(Clone)]
pub struct RemoteKeys {
    neighbour: Neighbour,
    derived: Arc<Mutex<Derived>>,
}

#[derive(Serialize, Deserialize)]
struct Wanted {
    #[serde(deserialize_with = "TenantId::deserialize_stored")]
    tenant: TenantId,
    purpose: String,
}

impl RemoteKeys {
    /// Those that `neighbour` owns.
    #[must_use]
    pub fn new(neighbour: Neighbour) -> Self {
        Self {
            neighbour,
            derived: Arc::default(),
        }
    }

    fn derived(&self) -> std::sync::MutexGuard<'_, Derived> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TenantKeys for RemoteKeys {
    async fn derive(
        &self,
        tenant: &TenantId,
        purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let wanted = Wanted {
            tenant: tenant.clone(),
            purpose: purpose.to_owned(),
        };
        let key = (tenant.clone(), purpose.to_owned());
        if let Some(secret) = self.derived().get(&key) {
            return Ok(Zeroizing::clone(secret));
        }
        let question = serde_json::to_vec(&wanted).map_err(|_| KeyError::Cipher)?;
        let asking = Asking::REPEATABLE;
        let told = self
            .neighbour
            .ask_bytes(asking, "derive", None, question.into())
            .await;
        let secret = match told {
            Ok(told) => Zeroizing::new(<[u8; 32]>::try_from(&*told).map_err(|_| KeyError::Cipher)?),
            Err(error) if error.code == ErrorCode::NotFound => return Err(KeyError::Destroyed),
            Err(error) => return Err(KeyError::Unavailable(error.message)),
        };
        let mut derived = self.derived();
        if derived.len() >= AUDIT_TENANTS_CACHED {
            derived.clear();
        }
        derived.insert(key, Arc::new(secret.clone()));
        Ok(secret)
    }

    fn forget(&self, tenant: &TenantId) {
        self.derived().retain(|(of, _), _| of != tenant);
    }
}

/// Answers with what `keys` derive.
pub fn answer(answering: Answering, keys: Arc<dyn TenantKeys>) -> Answering {
    answering.on_bytes("derive", move |_, body| {
        let keys = Arc::clone(&keys);
        async move {
            let wanted: Wanted = read(&body)?;
            match keys.derive(&wanted.tenant, &wanted.purpose).await {
                Ok(secret) => Ok(secret.to_vec().into_response()),
                Err(KeyError::Destroyed) => {
                    Err(ServiceError::not_found("The tenant's key was destroyed."))
                }
                Err(error) => {
                    tracing::error!(%error, "a key could not be derived");
                    let text = "The keys do not answer.";
                    Err(ServiceError::new(ErrorCode::Unavailable, text))
                }
            }
        }
    })
}
