//! Deletion, and what is remembered of it.

use std::sync::Arc;

use hilum_contracts::ids::TenantId;
use hilum_platform::scope::TenantScope;

use crate::archive::{Archive, blocking};
use crate::error::Result;
use crate::index::delete;
use crate::model::{Deleted, DeletionRow, NewDeletion, Resend};

impl Archive {
    /// Deletes a study, a series or an instance for good: it answers nothing
    /// from here on, its tombstone refuses resends, and with a whole study its
    /// key is destroyed.
    ///
    /// # Errors
    /// [`crate::ArchiveError::NotFound`], [`crate::ArchiveError::Held`] when a
    /// rule keeps it; nothing changed then.
    pub async fn delete(&self, scope: &TenantScope, deletion: NewDeletion) -> Result<Deleted> {
        let tenant = self.engine.tenant(scope).await?;
        let (engine, scope) = (Arc::clone(&self.engine), scope.clone());
        blocking(move || engine.delete(&tenant, &scope, deletion)).await
    }

    /// What was deleted, the newest first.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn deletions(&self, scope: &TenantScope, limit: u32) -> Result<Vec<DeletionRow>> {
        self.ask(scope, Vec::new(), move |db, tenant| {
            delete::list(db, tenant, limit)
        })
        .await
    }

    /// What happens to instances of `tenant` that come again after they were
    /// deleted; [`Resend::Refuse`] until told.
    pub fn set_resend(&self, tenant: &TenantId, resend: Resend) {
        self.engine.set_resend(tenant.as_str(), resend);
    }
}
