//! What is done to the whole installation: a backup, a restoration, another
//! master key. It stands in the installation's own trail and in that of every
//! tenant, because it was done to the data of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::audit::Entry;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{AuditSource as _, KeyError, Keyring, TellsAll, TenantKeys, Trail};
use hilum_platform::auth;
use hilum_platform::clock::SharedClock;
use hilum_platform::db::{Across, DbError, Home};
use hilum_platform::http::database_error;
use zeroize::Zeroizing;

use crate::store::Store;
use crate::{AuditService, MIGRATIONS, WRITER};

#[async_trait]
impl TellsAll for AuditService {
    async fn tell_all(&self, entry: Entry) -> Result<(), ServiceError> {
        let mut tenants = BTreeSet::new();
        for source in self.sources.iter() {
            let heads = source.heads().await?;
            tenants.extend(heads.into_iter().map(|(tenant, _)| tenant));
        }
        let told = tell(&self.store, &self.trail, tenants, entry).await;
        told.map_err(|error| database_error(&error))
    }
}

/// The trail of this service, for a command that does something to an
/// installation that nobody serves. It has no keys: what it records is about
/// nobody.
pub struct Offline {
    store: Store,
    trail: Trail,
}

impl Offline {
    /// Opens the trail in `home`.
    ///
    /// # Errors
    /// When its database can't be used.
    pub async fn open(home: impl Into<Home>, clock: SharedClock) -> Result<Self, DbError> {
        let db = home.into().open(WRITER, MIGRATIONS).await?;
        let keyring = Keyring::new(Arc::new(NoKeys));
        Ok(Self {
            store: Store::new(db.clone()),
            trail: Trail::new(db, keyring, clock, WRITER),
        })
    }

    /// Records what the operator does to the installation. When this returns it
    /// is durable.
    ///
    /// # Errors
    /// When the database does not answer; then it may not be done.
    pub async fn tell_all(&self, entry: Entry) -> Result<(), DbError> {
        let heads = self.trail.heads().await;
        let heads = heads.map_err(|_| DbError::WorkerCrashed)?;
        let tenants = heads.into_iter().map(|(tenant, _)| tenant).collect();
        tell(&self.store, &self.trail, tenants, entry).await
    }

    /// Closes its database.
    pub async fn close(self) {
        self.store.db().close().await;
    }
}

/// In one transaction, in the trails of all that are known here and were not
/// ended: the end of a tenant is the last entry of its trail.
async fn tell(
    store: &Store,
    trail: &Trail,
    mut tenants: BTreeSet<TenantId>,
    entry: Entry,
) -> Result<(), DbError> {
    tenants.insert(TenantId::installation());
    tenants.extend(store.sealed_tenants().await?);
    let mut tx = store.db().begin(Across::Trail).await?;
    for tenant in tenants {
        if store.db().is_ended(&tenant).await? {
            continue;
        }
        let scope = auth::local_operator(&tenant);
        trail.append(&mut tx, &scope, entry.clone()).await?;
    }
    tx.commit().await
}

struct NoKeys;

#[async_trait]
impl TenantKeys for NoKeys {
    async fn derive(&self, _: &TenantId, _: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        Err(KeyError::Unavailable("there is no archive".to_owned()))
    }
}
