//! Export: what this service keeps of a tenant, when all of that is taken out.

use async_trait::async_trait;
use hilum_contracts::error::ServiceError;
use hilum_contracts::export::{ExportPage, Exports};
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::AuditService;

#[async_trait]
impl Exports for AuditService {
    async fn export(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
    ) -> Result<ExportPage, ServiceError> {
        let db = self.store.db();
        db.export("audit", scope.tenant(), &[], after)
            .await
            .map_err(|error| database_error(&error))
    }
}
