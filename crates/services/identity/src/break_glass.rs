//! Why emergency access was taken and what its review found. Both are people's
//! own words and may name a patient: they are kept sealed under the tenant's key,
//! and go when that patient is erased.

use async_trait::async_trait;
use hilum_contracts::audit::Subject;
use hilum_contracts::erasure::Forgets;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::{BreakGlassId, TenantId};
use hilum_platform::audit::is_named;
use hilum_platform::auth;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::IdentityService;
use crate::limits::PAGE_MAX;
use crate::store::break_glass::{self, Words};

/// What stands where words named somebody who was erased.
const ERASED: &str = "(erased with the patient whom it named)";

impl IdentityService {
    /// Seals words of an emergency access.
    pub(crate) async fn seal_words(
        &self,
        tenant: &TenantId,
        access: BreakGlassId,
        words: Words,
        text: &str,
    ) -> Result<Vec<u8>, ServiceError> {
        let what = format!("break-glass {} {access}", words.name());
        self.sealer.seal(tenant, &what, text.as_bytes()).await
    }

    /// Opens them; a sentence in their place when that can't be done.
    pub(crate) async fn open_words(
        &self,
        tenant: &TenantId,
        access: BreakGlassId,
        words: Words,
        sealed: &[u8],
    ) -> Result<String, ServiceError> {
        let what = format!("break-glass {} {access}", words.name());
        let opened = self.sealer.open(tenant, &what, sealed).await?;
        let text = opened.and_then(|text| String::from_utf8(text.to_vec()).ok());
        Ok(text.unwrap_or_else(|| "(can't be read: it was changed)".to_owned()))
    }

    /// Seals what was kept in clear by an earlier version, and leaves nothing of
    /// it in free pages.
    pub(crate) async fn seal_reasons(&self) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        let mut is_sealed = false;
        loop {
            let rows = self.store.unsealed_words(PAGE_MAX).await.map_err(failed)?;
            if rows.is_empty() {
                break;
            }
            for (tenant, access, words, text) in rows {
                let sealed = self.seal_words(&tenant, access, words, &text).await?;
                let scope = auth::service(&tenant, "identity");
                let mut tx = self.store.begin().await.map_err(failed)?;
                break_glass::set_words(&mut tx, &scope, access, words, &sealed)
                    .await
                    .map_err(failed)?;
                tx.commit().await.map_err(failed)?;
            }
            is_sealed = true;
        }
        if is_sealed {
            let scrubbed = self.store.db().scrub().await;
            scrubbed.map_err(failed)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Forgets for IdentityService {
    fn name(&self) -> &'static str {
        "identity"
    }

    async fn forget_audited(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<(), ServiceError> {
        let gone = self.trail.forget(scope, subjects).await;
        gone.map(drop).map_err(|error| database_error(&error))
    }

    /// Words that name one of these.
    async fn forget_named(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<u64, ServiceError> {
        let failed = |error| database_error(&error);
        let (mut after, mut gone) = (None, 0);
        loop {
            let rows = self.store.accesses(scope, after, PAGE_MAX).await;
            let rows = rows.map_err(failed)?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for row in rows {
                let (id, tenant) = (row.id, scope.tenant());
                for (words, sealed) in row.words() {
                    let text = self.open_words(tenant, id, words, &sealed).await?;
                    if !subjects.iter().any(|one| is_named(&text, one)) {
                        continue;
                    }
                    let sealed = self.seal_words(tenant, id, words, ERASED).await?;
                    let mut tx = self.store.begin().await.map_err(failed)?;
                    break_glass::set_words(&mut tx, scope, id, words, &sealed)
                        .await
                        .map_err(failed)?;
                    tx.commit().await.map_err(failed)?;
                    gone += 1;
                }
            }
        }
        Ok(gone)
    }

    /// It keeps no rows about studies; what was searched for in its lists, and
    /// what stood in words, goes from the free pages.
    async fn forget(
        &self,
        scope: &TenantScope,
        study_uids: &[String],
    ) -> Result<u64, ServiceError> {
        let rows = self.store.db();
        let rows = rows.forget(scope.tenant(), study_uids, &[]).await;
        rows.map_err(|error| database_error(&error))
    }

    /// What is left beside what went when its end was begun.
    async fn forget_tenant(&self, scope: &TenantScope) -> Result<u64, ServiceError> {
        self.trail.end(scope.tenant());
        let rows = self.store.db().end_tenant(scope.tenant(), &[]).await;
        rows.map_err(|error| database_error(&error))
    }
}
