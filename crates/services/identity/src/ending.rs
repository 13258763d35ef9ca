//! The end of a tenant: from one transaction on nobody of it gets in, its name
//! is taken for ever, and the end is begun; from another one on it is certified.
//! What goes in between is the business of those who keep it.

use async_trait::async_trait;
use hilum_contracts::access::Action;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::erasure::{EndedTenant, EndsTenants};
use hilum_contracts::error::ServiceError;
use hilum_contracts::scope::Right;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::IdentityService;
use crate::store::ended::{self, Begun};
use crate::store::tenants;

/// Who ends a tenant that somebody ended before, when a backup brought it back.
const LEDGER: &str = "the ledger of erasures";

#[async_trait]
impl EndsTenants for IdentityService {
    async fn begin_ending(&self, scope: &TenantScope, holds: u64) -> Result<(), ServiceError> {
        scope.require(Action::EndTenant)?;
        let by_right = match scope.right() {
            Right::Role(role) | Right::BreakGlass { role, .. } => role.name().to_owned(),
            Right::Continuation => String::new(),
        };
        let by = scope.principal().to_string();
        self.begin_end(scope, (by, by_right), holds, true).await
    }

    async fn begin_ending_again(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        let by = (LEDGER.to_owned(), String::new());
        self.begin_end(scope, by, 0, false).await
    }

    async fn ended_tenants(&self) -> Result<Vec<EndedTenant>, ServiceError> {
        let found = self.store.ended().await;
        found.map_err(|error| database_error(&error))
    }

    async fn keep_holdings(
        &self,
        scope: &TenantScope,
        holdings: &str,
    ) -> Result<EndedTenant, ServiceError> {
        let failed = |error| database_error(&error);
        let mut tx = self.store.begin().await.map_err(failed)?;
        ended::set_holdings(&mut tx, scope, holdings)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        let found = self.store.ended_of(scope).await.map_err(failed)?;
        found.ok_or_else(|| ServiceError::not_found("This organisation is not being ended."))
    }

    async fn certify_ending(
        &self,
        scope: &TenantScope,
        certificate: &str,
        sha256: &str,
    ) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        let entry = Entry::new(Act::EndTenant)
            .with(Detail::Tenant, scope.tenant())
            .with(Detail::Change, "certified")
            .with(Detail::Certificate, sha256);
        let now = self.clock.now_millis();
        let mut tx = self.store.begin().await.map_err(failed)?;
        self.trail
            .append(&mut tx, scope, entry)
            .await
            .map_err(failed)?;
        ended::certify(&mut tx, scope, certificate, now)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}

impl IdentityService {
    async fn begin_end(
        &self,
        scope: &TenantScope,
        (by, by_right): (String, String),
        holds: u64,
        must_be: bool,
    ) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        let mut tx = self.store.begin().await.map_err(failed)?;
        if ended::is(&mut tx, scope).await.map_err(failed)? && !must_be {
            return Ok(());
        }
        let is = tenants::get(&mut tx, scope).await.map_err(failed)?;
        if must_be && is.is_none() {
            return Err(ServiceError::not_found("There is no such organisation."));
        }
        if is.is_some() {
            let change = match holds {
                0 => "begun",
                _ => "begun-over-holds",
            };
            let entry = Entry::new(Act::EndTenant)
                .with(Detail::Tenant, scope.tenant())
                .with(Detail::Change, change);
            self.tell(&mut tx, scope, entry).await?;
        }
        let begun = Begun {
            at: self.clock.now_millis(),
            by,
            by_right,
            holds,
        };
        ended::begin(&mut tx, scope, &begun).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.publish().await?;
        self.changed(scope).await;
        Ok(())
    }
}
