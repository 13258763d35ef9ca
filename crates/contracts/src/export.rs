//! Export: what every service that keeps rows of a tenant is asked for when all
//! that the tenant owns is taken out. Images go another way, by DICOM files.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::ServiceError;
use crate::scope::TenantScope;

/// Some of what a service keeps of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPage {
    /// One JSON object each: `{"service", "table", "row"}`.
    pub lines: Vec<String>,
    /// Where the next page begins; none: that was all.
    pub next: Option<String>,
}

/// Something that keeps rows of tenants, and gives them out.
#[async_trait]
pub trait Exports: Send + Sync {
    /// Rows of the tenant, some at a time: all of them but secrets and work that
    /// is under way. Who may have them is the caller's business.
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer; `Invalid` when `after`
    /// is no place that it gave.
    async fn export(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
    ) -> Result<ExportPage, ServiceError>;
}
