//! Erasure: what was searched for in the trails is forgotten here too. Seals
//! hold hashes only, and stay when a tenant is ended.

use async_trait::async_trait;
use hilum_contracts::audit::Subject;
use hilum_contracts::erasure::Forgets;
use hilum_contracts::error::ServiceError;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::AuditService;

#[async_trait]
impl Forgets for AuditService {
    fn name(&self) -> &'static str {
        "audit"
    }

    async fn forget_audited(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<(), ServiceError> {
        let gone = self.trail.forget(scope, subjects).await;
        gone.map(drop).map_err(|error| database_error(&error))
    }

    async fn forget(
        &self,
        scope: &TenantScope,
        study_uids: &[String],
    ) -> Result<u64, ServiceError> {
        let subjects: Vec<Subject> = study_uids.iter().map(Subject::study).collect();
        let gone = self.trail.forget(scope, &subjects).await;
        let gone = gone.map_err(|error| database_error(&error))?;
        let rows = self.store.db().forget(scope.tenant(), study_uids, &[]);
        let rows = rows.await.map_err(|error| database_error(&error))?;
        Ok(gone + rows)
    }

    async fn forget_tenant(&self, scope: &TenantScope) -> Result<u64, ServiceError> {
        self.trail.end(scope.tenant());
        // Seals prove the trail, which stays.
        let db = self.store.db();
        db.end_tenant(scope.tenant(), &[])
            .await
            .map_err(|error| database_error(&error))
    }
}
