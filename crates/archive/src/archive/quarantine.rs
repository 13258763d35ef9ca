//! What was refused: kept, listed, read again, deleted.

use std::ops::Range;
use std::sync::Arc;

use hilum_contracts::audit::{Act, Detail, Entry, Outcome};
use hilum_platform::scope::TenantScope;

use crate::error::{ArchiveError, Result};
use crate::index::quarantine;
use crate::intake::quarantine_label;
use crate::model::{InstanceLocation, NewQuarantined, Page, QuarantineItem, QuarantineOutcome};
use crate::read::RangeReader;

use crate::archive::{Archive, blocking};

impl Archive {
    /// Keeps something that was refused, once per content. A tenant's
    /// quarantine is bounded; when it is full, what came first stays.
    ///
    /// # Errors
    /// As [`Archive::store`].
    pub async fn quarantine(
        &self,
        scope: &TenantScope,
        item: NewQuarantined,
    ) -> Result<QuarantineOutcome> {
        let tenant = self.engine.tenant(scope).await?;
        let (engine, scope) = (Arc::clone(&self.engine), scope.clone());
        let permit = Arc::clone(&engine.streams)
            .acquire_owned()
            .await
            .map_err(|_| ArchiveError::Closed)?;
        blocking(move || {
            let _permit = permit;
            let entry = Entry::new(Act::StoreRefused)
                .ended(Outcome::Refused)
                .with(Detail::Reason, &item.reason)
                .with(Detail::Bytes, item.body.len())
                .part_of(item.correlation);
            let told = engine.told(&tenant, &scope, entry)?;
            engine.quarantine_item(&tenant, &item, told)
        })
        .await
    }

    /// What is in quarantine, newest first.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn quarantined(
        &self,
        scope: &TenantScope,
        page: Page,
    ) -> Result<Vec<QuarantineItem>> {
        self.ask(scope, Vec::new(), move |db, tenant| {
            quarantine::list(db, tenant, page)
        })
        .await
    }

    /// One quarantined item.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn quarantined_item(
        &self,
        scope: &TenantScope,
        id: i64,
    ) -> Result<Option<QuarantineItem>> {
        self.ask(scope, None, move |db, tenant| {
            quarantine::get(db, tenant, id)
        })
        .await
    }

    /// Streams a range of a quarantined item, to look at or to send again.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`]; else as [`Archive::read_range`].
    pub async fn read_quarantined(
        &self,
        scope: &TenantScope,
        id: i64,
        range: Range<u64>,
    ) -> Result<RangeReader> {
        let item = self
            .quarantined_item(scope, id)
            .await?
            .ok_or(ArchiveError::NotFound)?;
        let location = InstanceLocation {
            object: item.object,
            offset: item.offset,
            segment: 0,
            length: item.length,
            sop_instance: String::new(),
            sha256: item.sha256,
        };
        self.open_range(scope, &location, range).await
    }

    /// Deletes a quarantined item and destroys its key.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is no such item.
    pub async fn delete_quarantined(&self, scope: &TenantScope, id: i64) -> Result<()> {
        let tenant = self.engine.tenant(scope).await?;
        let (engine, scope) = (Arc::clone(&self.engine), scope.clone());
        blocking(move || {
            let row = tenant.row;
            let item = engine
                .readers
                .read_here(|db| quarantine::get(db, row, id))?
                .ok_or(ArchiveError::NotFound)?;
            let label = quarantine_label(&item.sha256);
            let key = engine.keys.id_of(tenant.id.as_str(), &label)?;
            let entry = Entry::new(Act::DeleteQuarantined).with(Detail::Item, id);
            let told = engine.told(&tenant, &scope, entry)?;
            engine.writer.run_here(move |db, context| {
                quarantine::delete(db, row, id, key, &told, context.clock.now_millis())
            })?;
            // What a crash leaves of this the next opening does.
            engine.destroy_dead_keys()
        })
        .await
    }
}
