//! Erasure: what this service keeps of studies goes when their patient does, and
//! all of a tenant when that is ended.

use async_trait::async_trait;
use hilum_contracts::audit::Subject;
use hilum_contracts::erasure::Forgets;
use hilum_contracts::error::ServiceError;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::PatientsService;
use crate::store::erasure::FORGET;

#[async_trait]
impl Forgets for PatientsService {
    fn name(&self) -> &'static str {
        "patients"
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
        self.store
            .db()
            .forget(scope.tenant(), study_uids, FORGET)
            .await
            .map_err(|error| database_error(&error))
    }

    async fn forget_tenant(&self, scope: &TenantScope) -> Result<u64, ServiceError> {
        self.trail.end(scope.tenant());
        let db = self.store.db();
        db.end_tenant(scope.tenant(), &[])
            .await
            .map_err(|error| database_error(&error))
    }
}
