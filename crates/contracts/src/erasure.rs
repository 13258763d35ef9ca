//! Erasure: what every service that keeps rows about studies can be asked when
//! a patient is erased.

use async_trait::async_trait;

use crate::error::ServiceError;
use crate::scope::TenantScope;

/// Something that keeps rows about studies, and forgets them.
#[async_trait]
pub trait Forgets: Send + Sync {
    /// Its name in the certificate.
    fn name(&self) -> &'static str;

    /// Destroys every row that is about one of these studies, with the events
    /// and jobs that name them, and leaves nothing of them in the file's free
    /// pages. Asked again, it does no harm. How many rows went.
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer; ask again.
    async fn forget(&self, scope: &TenantScope, study_uids: &[String])
    -> Result<u64, ServiceError>;
}
