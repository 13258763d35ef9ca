//! Erasure: what every service that keeps rows can be asked when a patient is
//! erased, and when a tenant is ended.

use async_trait::async_trait;

use crate::audit::Subject;
use crate::error::ServiceError;
use crate::scope::TenantScope;

/// Something that keeps rows of tenants, and forgets them.
#[async_trait]
pub trait Forgets: Send + Sync {
    /// Its name in the certificate.
    fn name(&self) -> &'static str;

    /// Destroys people's own words that name one of these: patients by their id,
    /// studies. What is left of them in free pages goes with the next
    /// [`Forgets::forget`]. How many went.
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer; ask again.
    async fn forget_named(&self, _: &TenantScope, _: &[Subject]) -> Result<u64, ServiceError> {
        Ok(0)
    }

    /// Destroys every row that is about one of these studies, with the events
    /// and jobs that name them, and leaves nothing of them in the file's free
    /// pages. Asked again, it does no harm. How many rows went.
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer; ask again.
    async fn forget(&self, scope: &TenantScope, study_uids: &[String])
    -> Result<u64, ServiceError>;

    /// Destroys every row of the tenant, and takes none of it any more. Its
    /// audit trail stays, and names nobody. Nothing that went is left in the
    /// file's free pages. Asked again, it does no harm. How many rows went.
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer; ask again.
    async fn forget_tenant(&self, scope: &TenantScope) -> Result<u64, ServiceError>;
}
