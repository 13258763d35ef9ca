//! Export: what this service keeps of a tenant, when all of that is taken out.

use async_trait::async_trait;
use hilum_contracts::error::ServiceError;
use hilum_contracts::export::{ExportPage, Exports};
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::IntegrationService;

/// What was delivered stands beside the delivery.
const DELIVERED: &[(&str, &str)] = &[(
    "delivery_instances",
    "delivery IN (SELECT id FROM deliveries WHERE tenant = $1)",
)];

#[async_trait]
impl Exports for IntegrationService {
    async fn export(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
    ) -> Result<ExportPage, ServiceError> {
        let db = self.store.db();
        db.export("integration", scope.tenant(), DELIVERED, after)
            .await
            .map_err(|error| database_error(&error))
    }
}
