//! What the index answers: look-ups, QIDO queries, the worklist, conflicts.

use crate::archive::blocking;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_platform::scope::TenantScope;
use std::sync::Arc;

use crate::error::Result;
use crate::index::{conflict, instances, query};
use crate::limits::UIDS_PER_FILTER;
use crate::model::{
    ConflictRow, Decision, InstanceFilter, InstanceRow, Page, ResultKey, SeriesFilter, SeriesRow,
    StudyFilter, StudyRow, Uncompared, WorklistCursor, WorklistPage,
};

use crate::archive::Archive;

impl Archive {
    /// SOP Instance UIDs of what was published under `key`.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn published(
        &self,
        scope: &TenantScope,
        key: &ResultKey,
    ) -> Result<Option<Vec<String>>> {
        let key = key.0.clone();
        self.ask(scope, None, move |db, tenant| {
            query::published(db, tenant, &key)
        })
        .await
    }

    /// The served instance of a SOP Instance UID.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn lookup(
        &self,
        scope: &TenantScope,
        sop_instance: &str,
    ) -> Result<Option<InstanceRow>> {
        let uid = sop_instance.to_owned();
        self.ask_packs(scope, move |db, packs, tenant| {
            instances::served(db, packs, tenant, &uid)
        })
        .await
    }

    /// The served instances of many UIDs, in the order asked; unknown ones are
    /// left out.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] for too many; or when the index does not answer.
    pub async fn lookup_many(
        &self,
        scope: &TenantScope,
        sop_instances: &[String],
    ) -> Result<Vec<InstanceRow>> {
        let mut found = Vec::with_capacity(sop_instances.len());
        for some in sop_instances.chunks(UIDS_PER_FILTER) {
            let uids = some.to_vec();
            let rows = self
                .ask_packs(scope, move |db, packs, tenant| {
                    uids.iter()
                        .filter_map(|uid| instances::served(db, packs, tenant, uid).transpose())
                        .collect::<Result<Vec<_>>>()
                })
                .await?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// Studies that match, sorted as the filter says.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] for a pattern or list that is too long.
    pub async fn studies(
        &self,
        scope: &TenantScope,
        filter: &StudyFilter,
        page: Page,
    ) -> Result<Vec<StudyRow>> {
        let filter = filter.clone();
        let marks = std::sync::Arc::clone(&self.engine.marks);
        self.ask(scope, Vec::new(), move |db, tenant| {
            query::studies(db, &marks, tenant, &filter, page)
        })
        .await
    }

    /// One study.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn study(&self, scope: &TenantScope, uid: &str) -> Result<Option<StudyRow>> {
        let filter = StudyFilter {
            uids: vec![uid.to_owned()],
            ..StudyFilter::default()
        };
        Ok(self
            .studies(scope, &filter, Page::first(1))
            .await?
            .into_iter()
            .next())
    }

    /// Series that match, each with its study; newest study first, then by
    /// series number.
    ///
    /// # Errors
    /// As [`Archive::studies`].
    pub async fn series(
        &self,
        scope: &TenantScope,
        filter: &SeriesFilter,
        page: Page,
    ) -> Result<Vec<(SeriesRow, StudyRow)>> {
        let filter = filter.clone();
        self.ask(scope, Vec::new(), move |db, tenant| {
            query::series(db, tenant, &filter, page)
        })
        .await
    }

    /// Served instances that match, by series and instance number.
    ///
    /// # Errors
    /// As [`Archive::studies`].
    pub async fn instances(
        &self,
        scope: &TenantScope,
        filter: &InstanceFilter,
        page: Page,
    ) -> Result<Vec<InstanceRow>> {
        let filter = filter.clone();
        self.ask_packs(scope, move |db, packs, tenant| {
            instances::list(db, packs, tenant, &filter, page)
        })
        .await
    }

    /// Studies that match, latest reception first, from a cursor on: the cost
    /// of a page does not grow with its number.
    ///
    /// # Errors
    /// As [`Archive::studies`].
    pub async fn worklist(
        &self,
        scope: &TenantScope,
        filter: &StudyFilter,
        after: Option<WorklistCursor>,
        limit: u32,
    ) -> Result<WorklistPage> {
        let filter = filter.clone();
        let empty = WorklistPage {
            studies: Vec::new(),
            next: None,
        };
        self.ask(scope, empty, move |db, tenant| {
            query::worklist(db, tenant, &filter, after, limit)
        })
        .await
    }

    /// Conflicts that wait for a person, newest first.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn conflicts(&self, scope: &TenantScope, page: Page) -> Result<Vec<ConflictRow>> {
        self.ask_packs(scope, move |db, packs, tenant| {
            conflict::list(db, packs, tenant, page)
        })
        .await
    }

    /// The next conflict whose pixels nobody has compared; `None` when there is
    /// none. One that never ends (it may end the process that decodes it) is
    /// handed out [`crate::limits::COMPARISON_ATTEMPTS`] times.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn begin_comparison(&self, scope: &TenantScope) -> Result<Option<Uncompared>> {
        let tenant = self.engine.tenant(scope).await?;
        self.engine
            .writer
            .run(move |db, context| conflict::begin_comparison(db, &context.packs, tenant.row))
            .await
    }

    /// Ends a comparison: the same pixels and identity make a variant of the
    /// conflict, anything else leaves it to a person. Nothing changes when one
    /// of the two changed its standing meanwhile.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn end_comparison(
        &self,
        scope: &TenantScope,
        compared: &Uncompared,
        same: bool,
    ) -> Result<()> {
        let tenant = self.engine.tenant(scope).await?;
        let (id, served) = (compared.id, compared.served.row.sha256);
        self.engine
            .writer
            .run(move |db, context| {
                conflict::end_comparison(db, &context.packs, tenant.row, id, &served, same)
            })
            .await
    }

    /// Carries out a person's decision about a conflict.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is no such conflict any more.
    pub async fn decide_conflict(
        &self,
        scope: &TenantScope,
        id: i64,
        decision: Decision,
    ) -> Result<()> {
        let tenant = self.engine.tenant(scope).await?;
        let (engine, scope) = (Arc::clone(&self.engine), scope.clone());
        blocking(move || {
            let entry = Entry::new(Act::DecideConflict)
                .with(Detail::Conflict, id)
                .with(Detail::Change, decision.as_str());
            let told = engine.told(&tenant, &scope, entry)?;
            engine.writer.run_here(move |db, context| {
                let now = context.clock.now_millis();
                conflict::decide(db, &context.packs, tenant.row, id, decision, told, now)
            })
        })
        .await
    }
}
