//! The end of a tenant: first nothing is taken in for it any more, then its key
//! is destroyed, and only then go the rows, the look-up and the objects that
//! nobody can read any longer. Each step may be asked for again after a crash.

use std::sync::{Arc, PoisonError};

use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_platform::scope::TenantScope;

use crate::archive::{Archive, blocking};
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::index::ended::{self, Rows, TABLES};
use crate::index::objects;
use crate::lookup;
use crate::model::TenantHoldings;
use crate::steps;

impl Archive {
    /// Legal holds of a tenant that stand: each speaks against its end.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn standing_holds(&self, scope: &TenantScope) -> Result<u64> {
        self.ask(scope, 0, ended::standing_holds).await
    }

    /// Takes nothing in for a tenant any more, for good, and says what it holds.
    /// What is on its way is refused; what is there can still be read.
    ///
    /// # Errors
    /// When the index does not answer; ask again.
    pub async fn close_tenant(&self, scope: &TenantScope) -> Result<TenantHoldings> {
        let name = scope.tenant().clone();
        let entry = Entry::new(Act::EndTenant).with(Detail::Tenant, &name);
        // One whose key is gone was closed before.
        let told = match self.engine.tenant(scope).await {
            Ok(tenant) => Some(self.told(&tenant, scope, entry).await?),
            Err(ArchiveError::NotFound) => None,
            Err(error) => return Err(error),
        };
        let of = name.clone();
        let row = self
            .engine
            .writer
            .run(move |db, context| {
                let now = context.clock.now_millis();
                ended::close(db, of.as_str(), now, told.as_ref())
            })
            .await?;
        steps::at("end.closed");
        let engine = Arc::clone(&self.engine);
        blocking(move || {
            engine.forget_tenant(name.as_str());
            let holdings = engine.readers.read_here(|db| ended::holdings(db, row))?;
            let (keys, keys_sha256) = engine.keys.inventory(name.as_str())?;
            Ok(TenantHoldings {
                keys,
                keys_sha256,
                ..holdings
            })
        })
        .await
    }

    /// Destroys everything of a tenant that is [closed](Archive::close_tenant):
    /// its key first, then what the key would open. Its audit trail stays, and
    /// names nobody any more.
    ///
    /// # Errors
    /// When the disk or the index fails; ask again.
    pub async fn destroy_tenant(&self, scope: &TenantScope) -> Result<()> {
        let name = scope.tenant().as_str().to_owned();
        let (engine, of) = (Arc::clone(&self.engine), name.clone());
        let row = blocking(move || {
            let row = engine
                .readers
                .read_here(|db| objects::find_tenant(db, &of))?;
            let row = row.ok_or(ArchiveError::NotFound)?;
            // Not between the copies of index and keys that a backup makes.
            let _whole = engine
                .snapshot
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            engine.keys.destroy_tenant(&of, engine.clock.now_millis())?;
            engine.forget_tenant(&of);
            Ok(row)
        })
        .await?;
        let readers = &self.engine.readers;
        let runs = readers.read(move |db| lookup::names(db, row)).await?;
        for (table, rows) in TABLES {
            self.delete_rows_of(row, table, *rows).await?;
        }
        let of = name.clone();
        while self.forgets_some_subjects(of.clone()).await? > 0 {}
        self.engine
            .writer
            .run(move |db, _| ended::forget_events(db, &of))
            .await?;
        steps::at("end.rows");
        self.bury_objects_of(row).await?;
        let engine = Arc::clone(&self.engine);
        blocking(move || engine.packs.lookup.forget(row, &name, &runs)).await?;
        self.scrub().await?;
        steps::at("end.done");
        Ok(())
    }

    async fn delete_rows_of(&self, row: i64, table: &'static str, rows: Rows) -> Result<()> {
        let (readers, writer) = (&self.engine.readers, &self.engine.writer);
        match rows {
            Rows::Of(key) => loop {
                let gone = writer
                    .run(move |db, _| ended::delete_of(db, table, key, row))
                    .await?;
                if gone == 0 {
                    return Ok(());
                }
            },
            Rows::Among => {
                let mut after = 0;
                loop {
                    let found = readers
                        .read(move |db| ended::among(db, table, row, after))
                        .await?;
                    let Some(last) = found.last() else {
                        return Ok(());
                    };
                    after = *last;
                    writer
                        .run(move |db, _| ended::delete_rows(db, table, &found))
                        .await?;
                }
            }
        }
    }

    async fn forgets_some_subjects(&self, tenant: String) -> Result<usize> {
        let writer = &self.engine.writer;
        writer
            .run(move |db, _| ended::forget_subjects(db, &tenant))
            .await
    }

    async fn bury_objects_of(&self, row: i64) -> Result<()> {
        let mut after = 0;
        loop {
            let readers = &self.engine.readers;
            let found = readers
                .read(move |db| ended::among(db, "object", row, after))
                .await?;
            let Some(last) = found.last() else {
                return Ok(());
            };
            after = *last;
            self.engine
                .writer
                .run(move |db, context| ended::bury(db, &found, context.clock.now_millis()))
                .await?;
        }
    }
}

impl Engine {
    /// Forgets what is in memory of a tenant.
    pub(crate) fn forget_tenant(&self, name: &str) {
        self.evict(name);
        self.quotas.forget(name);
        self.stores.forget_tenant(name);
        self.hot.forget();
        self.packs.forget_all();
    }

    /// Removes the folders of tenants that were ended, at the end of a sweep that
    /// has removed what is dead: what else may lie there is theirs, and sealed
    /// with keys that nobody has. Blocks.
    pub(crate) fn remove_folders_of_ended(&self) -> Result<()> {
        for name in self.readers.read_here(ended::emptied)? {
            self.objects.remove_tenant(&name)?;
        }
        Ok(())
    }
}
