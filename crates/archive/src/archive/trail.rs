//! The archive's own audit trail, and what every other trail needs of the
//! archive: keys of the tenants.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::CorrelationId;
use hilum_contracts::audit::{Entry, Subject};
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{
    AuditSource, Filter, Find, Found, Head, KeyError, Keys, PURPOSE, Raw, TenantKeys,
};
use hilum_platform::scope::TenantScope;
use zeroize::Zeroizing;

use super::{Archive, blocking};
use crate::error::{ArchiveError, Result};
use crate::index::audit::{self, Told};
use crate::tenant::Tenant;

impl Archive {
    /// An association or request is over: what it brought is counted in the
    /// trail.
    ///
    /// # Errors
    /// When the index does not answer; the instances are durable nevertheless.
    pub async fn end_store(&self, scope: &TenantScope, id: CorrelationId) -> Result<()> {
        let tenant = scope.tenant().clone();
        if !self.engine.stores.ended(&tenant, id) {
            return Ok(());
        }
        self.engine
            .writer
            .run_aside(move |db, context| {
                let now = context.clock.now_millis();
                context.stores.tell(db, Some((&tenant, id)), now)
            })
            .await
    }

    /// Makes entries of the archive's trail about these subjects name nobody;
    /// how many went. What is left in free pages goes when an erasure is certified.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn forget_audited(&self, scope: &TenantScope, subjects: &[Subject]) -> Result<u64> {
        let keys = match self.audit_keys(scope).await {
            // Nobody can open anything.
            Err(ArchiveError::NotFound) => return Ok(0),
            keys => keys?,
        };
        let (tenant, subjects) = (scope.tenant().clone(), subjects.to_vec());
        self.engine
            .writer
            .run_aside(move |db, context| {
                let studies: Vec<String> = subjects
                    .iter()
                    .filter_map(|subject| match subject {
                        Subject::Study(uid) => Some(uid.clone()),
                        _ => None,
                    })
                    .collect();
                context.stores.forget(&tenant, &studies);
                audit::forget(db, &keys, tenant.as_str(), &subjects)
            })
            .await
    }

    /// An entry that is to stand in the transaction of what it tells of.
    pub(crate) async fn told(
        &self,
        tenant: &Arc<Tenant>,
        scope: &TenantScope,
        entry: Entry,
    ) -> Result<Told> {
        let (engine, tenant, scope) = (Arc::clone(&self.engine), Arc::clone(tenant), scope.clone());
        blocking(move || engine.told(&tenant, &scope, entry)).await
    }

    async fn audit_keys(&self, scope: &TenantScope) -> Result<Keys> {
        let secret = self.derive(scope.tenant(), PURPOSE).await;
        let keys = secret.and_then(|secret| Keys::new(scope.tenant(), &secret));
        keys.map_err(audit::no_key)
    }
}

#[async_trait]
impl TenantKeys for Archive {
    async fn derive(
        &self,
        tenant: &TenantId,
        purpose: &str,
    ) -> std::result::Result<Zeroizing<[u8; 32]>, KeyError> {
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

#[async_trait]
impl AuditSource for Archive {
    fn writer(&self) -> &str {
        audit::WRITER
    }

    async fn heads(&self) -> std::result::Result<Vec<(TenantId, Head)>, ServiceError> {
        Ok(self.engine.readers.read(audit::heads).await?)
    }

    async fn head(&self, scope: &TenantScope) -> std::result::Result<Head, ServiceError> {
        let tenant = scope.tenant().clone();
        let readers = &self.engine.readers;
        Ok(readers
            .read(move |db| audit::head(db, tenant.as_str()))
            .await?)
    }

    async fn entries(
        &self,
        scope: &TenantScope,
        after: u64,
        limit: u32,
    ) -> std::result::Result<Vec<Raw>, ServiceError> {
        let tenant = scope.tenant().clone();
        let readers = &self.engine.readers;
        Ok(readers
            .read(move |db| audit::entries(db, tenant.as_str(), after, limit))
            .await?)
    }

    async fn search(
        &self,
        scope: &TenantScope,
        filter: &Filter,
        before: Option<(i64, u64)>,
        limit: u32,
    ) -> std::result::Result<Vec<Found>, ServiceError> {
        let keys = self.audit_keys(scope).await?;
        let (tenant, filter) = (scope.tenant().clone(), filter.clone());
        let readers = &self.engine.readers;
        Ok(readers
            .read(move |db| audit::search(db, &keys, tenant.as_str(), &filter, before, limit))
            .await?)
    }

    async fn beside(
        &self,
        scope: &TenantScope,
        find: &Find,
        limit: u32,
    ) -> std::result::Result<Vec<Subject>, ServiceError> {
        let keys = self.audit_keys(scope).await?;
        let (tenant, find) = (scope.tenant().clone(), find.clone());
        let readers = &self.engine.readers;
        Ok(readers
            .read(move |db| audit::beside(db, &keys, tenant.as_str(), &find, limit))
            .await?)
    }

    async fn remove(
        &self,
        scope: &TenantScope,
        position: u64,
    ) -> std::result::Result<u64, ServiceError> {
        let tenant = scope.tenant().clone();
        let writer = &self.engine.writer;
        Ok(writer
            .run_aside(move |db, _| audit::remove(db, tenant.as_str(), position))
            .await?)
    }
}
