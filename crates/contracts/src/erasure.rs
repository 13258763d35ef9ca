//! Erasure: what every service that keeps rows can be asked when a patient is
//! erased, and when a tenant is ended.

use async_trait::async_trait;

use serde::{Deserialize, Serialize};

use crate::audit::Subject;
use crate::error::ServiceError;
use crate::ids::TenantId;
use crate::scope::TenantScope;

/// Something that keeps rows of tenants, and forgets them.
#[async_trait]
pub trait Forgets: Send + Sync {
    /// Its name in the certificate.
    fn name(&self) -> &'static str;

    /// Makes the entries of its audit trail that are about these name nobody. What
    /// is left of them in free pages goes with the next [`Forgets::forget`].
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer; ask again.
    async fn forget_audited(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<(), ServiceError>;

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

/// A tenant that is being ended, or was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndedTenant {
    /// Its name, which nobody gets any more.
    pub name: TenantId,
    /// Since when nobody gets in.
    pub begun_at: i64,
    /// Who decided it, in the words of the audit trail.
    pub by: String,
    /// By which right.
    pub by_right: String,
    /// Legal holds that the operator went over.
    pub holds: u64,
    /// People who belonged to it.
    pub people: u64,
    /// Its API keys.
    pub api_keys: u64,
    /// Its devices.
    pub devices: u64,
    /// What it held beside, as JSON; none before that was counted.
    pub holdings: Option<String>,
    /// When everything of it was gone; none while it is not.
    pub ended_at: Option<i64>,
    /// What certifies that, as JSON.
    pub certificate: Option<String>,
}

/// Who knows which tenants there are, and ends them: lets nobody in any more,
/// and keeps what certifies the end.
#[async_trait]
pub trait EndsTenants: Send + Sync {
    /// Lets nobody into the scope's tenant any more, for good. `holds`: legal
    /// holds that whoever decides it goes over.
    ///
    /// # Errors
    /// `Forbidden` for whoever may not; `NotFound` when there is no such tenant.
    async fn begin_ending(&self, scope: &TenantScope, holds: u64) -> Result<(), ServiceError>;

    /// The same for a tenant that was ended after the backup was made which this
    /// installation was restored from; also when it was made after it.
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer.
    async fn begin_ending_again(&self, scope: &TenantScope) -> Result<(), ServiceError>;

    /// Every tenant that is being ended or was, the last one first.
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer.
    async fn ended_tenants(&self) -> Result<Vec<EndedTenant>, ServiceError>;

    /// Keeps what the tenant held, as JSON, before anything of it goes, unless
    /// that was kept before; what is known of the end then.
    ///
    /// # Errors
    /// `NotFound` when no end was begun.
    async fn keep_holdings(
        &self,
        scope: &TenantScope,
        holdings: &str,
    ) -> Result<EndedTenant, ServiceError>;

    /// Keeps what certifies that everything of the tenant is gone. Asked again, it
    /// does no harm.
    ///
    /// # Errors
    /// `Unavailable` when its database does not answer.
    async fn certify_ending(
        &self,
        scope: &TenantScope,
        certificate: &str,
        sha256: &str,
    ) -> Result<(), ServiceError>;
}
