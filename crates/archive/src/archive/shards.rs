//! What an archive does for a tenant that moves to or from another shard.

use std::sync::Arc;

use hilum_contracts::ids::TenantId;
use hilum_platform::scope::TenantScope;

use crate::archive::{Archive, blocking};
use crate::error::Result;
use crate::index::objects;

impl Archive {
    /// Forgets what is in memory of a tenant that has left, or has come and may have been
    /// here before: only the tables know how it stands.
    pub fn forget_place(&self, tenant: &TenantId) {
        self.engine.forget_tenant(tenant.as_str());
        self.engine.keys.forget_cached(tenant.as_str());
    }

    /// Tells the trail what is counted and not told yet.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn tell_counted(&self) -> Result<()> {
        self.engine
            .writer
            .run_aside(|db, context| context.stores.tell(db, None, context.clock.now_millis()))
            .await
    }

    /// Makes the look-up of a tenant anew from its packs; nothing where it has none.
    ///
    /// # Errors
    /// When a pack can't be read, or its key does not open.
    pub async fn make_lookup(&self, scope: &TenantScope) -> Result<()> {
        let (engine, name) = (Arc::clone(&self.engine), scope.tenant().clone());
        blocking(move || {
            let row = engine
                .readers
                .read_here(|db| objects::find_tenant(db, name.as_str()))?;
            match row {
                Some(row) if engine.keys.has(name.as_str())? => engine.rebuild_lookup(row),
                _ => Ok(()),
            }
        })
        .await
    }
}
