//! api
#![allow(missing_docs, unused)]
use crate::*;
use bytes::Bytes;
use futures::stream::BoxStream;
use hilum_contracts::Event;
use hilum_platform::events::{OutboxError, OutboxSource};
use hilum_platform::{clock::SharedClock, scope::TenantScope};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Notify;
#[derive(Clone)]
pub struct Archive {}
/// Where the master key comes from.
pub enum MasterKey {
    /// `DIR/keys/master.key`, made with mode 0600 at first opening.
    File,
    /// Given by the caller, 32 bytes.
    Given([u8; 32]),
}
pub struct ArchiveConfig {
    pub dir: PathBuf,
    pub master_key: MasterKey,
    pub clock: SharedClock,
    pub limits: Limits,
}
/// A range of an instance as it streams: `Stream<Item = Result<Bytes>>`.
pub struct RangeReader {}
impl futures::Stream for RangeReader {
    type Item = Result<Bytes>;
    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(None)
    }
}
impl RangeReader {
    pub async fn collect(self) -> Result<Bytes> {
        Err(ArchiveError::Closed)
    }
}
impl Archive {
    pub async fn open(config: ArchiveConfig) -> Result<Self> {
        Err(ArchiveError::Closed)
    }
    pub async fn close(&self) {}
    pub async fn store(&self, scope: &TenantScope, instance: NewInstance) -> Result<StoreOutcome> {
        Err(ArchiveError::Closed)
    }
    /// All of `instances` or none, once for ever under `key`; `events` are appended to the outbox in the same transaction.
    pub async fn publish(
        &self,
        scope: &TenantScope,
        key: ResultKey,
        instances: Vec<NewInstance>,
        events: Vec<Event>,
    ) -> Result<PublishOutcome> {
        Err(ArchiveError::Closed)
    }
    pub async fn published(
        &self,
        scope: &TenantScope,
        key: &ResultKey,
    ) -> Result<Option<Vec<String>>> {
        Err(ArchiveError::Closed)
    }
    pub async fn lookup(
        &self,
        scope: &TenantScope,
        sop_instance: &str,
    ) -> Result<Option<InstanceRow>> {
        Err(ArchiveError::Closed)
    }
    pub async fn lookup_many(
        &self,
        scope: &TenantScope,
        sop_instances: &[String],
    ) -> Result<Vec<InstanceRow>> {
        Err(ArchiveError::Closed)
    }
    pub async fn studies(
        &self,
        scope: &TenantScope,
        filter: &StudyFilter,
        page: Page,
    ) -> Result<Vec<StudyRow>> {
        Err(ArchiveError::Closed)
    }
    /// Each series with its study.
    pub async fn series(
        &self,
        scope: &TenantScope,
        filter: &SeriesFilter,
        page: Page,
    ) -> Result<Vec<(SeriesRow, StudyRow)>> {
        Err(ArchiveError::Closed)
    }
    /// Sorted by study, series, instance number. Use `study`/`series` for their attributes.
    pub async fn instances(
        &self,
        scope: &TenantScope,
        filter: &InstanceFilter,
        page: Page,
    ) -> Result<Vec<InstanceRow>> {
        Err(ArchiveError::Closed)
    }
    pub async fn study(&self, scope: &TenantScope, uid: &str) -> Result<Option<StudyRow>> {
        Err(ArchiveError::Closed)
    }
    pub async fn worklist(
        &self,
        scope: &TenantScope,
        filter: &StudyFilter,
        after: Option<WorklistCursor>,
        limit: u32,
    ) -> Result<WorklistPage> {
        Err(ArchiveError::Closed)
    }
    /// In order of series, instance number.
    pub fn instance_metadata(
        &self,
        scope: &TenantScope,
        of: MetadataScope,
    ) -> BoxStream<'static, Result<InstanceMetadata>> {
        Box::pin(futures::stream::empty())
    }
    pub async fn read_range(
        &self,
        scope: &TenantScope,
        location: &InstanceLocation,
        range: Range<u64>,
    ) -> Result<RangeReader> {
        Err(ArchiveError::Closed)
    }
    pub async fn conflicts(&self, scope: &TenantScope, page: Page) -> Result<Vec<ConflictRow>> {
        Err(ArchiveError::Closed)
    }
    pub async fn decide_conflict(
        &self,
        scope: &TenantScope,
        id: i64,
        decision: Decision,
    ) -> Result<()> {
        Err(ArchiveError::Closed)
    }
    pub async fn quarantine(
        &self,
        scope: &TenantScope,
        item: NewQuarantined,
    ) -> Result<QuarantineOutcome> {
        Err(ArchiveError::Closed)
    }
    /// Newest first.
    pub async fn quarantined(
        &self,
        scope: &TenantScope,
        page: Page,
    ) -> Result<Vec<QuarantineItem>> {
        Err(ArchiveError::Closed)
    }
    pub async fn quarantined_item(
        &self,
        scope: &TenantScope,
        id: i64,
    ) -> Result<Option<QuarantineItem>> {
        Err(ArchiveError::Closed)
    }
    pub async fn read_quarantined(
        &self,
        scope: &TenantScope,
        id: i64,
        range: Range<u64>,
    ) -> Result<RangeReader> {
        Err(ArchiveError::Closed)
    }
    pub async fn delete_quarantined(&self, scope: &TenantScope, id: i64) -> Result<()> {
        Err(ArchiveError::Closed)
    }
    pub async fn sweep(&self) -> Result<SweepReport> {
        Err(ArchiveError::Closed)
    }
    pub async fn verify(&self, progress: Option<Progress>) -> Result<VerifyReport> {
        Err(ArchiveError::Closed)
    }
    pub async fn backup(
        &self,
        destination: &Path,
        progress: Option<Progress>,
    ) -> Result<BackupReport> {
        Err(ArchiveError::Closed)
    }
    pub async fn restore(
        source: &Path,
        dir: &Path,
        progress: Option<Progress>,
    ) -> Result<BackupReport> {
        Err(ArchiveError::Closed)
    }
    pub async fn storage(&self, scope: Option<&TenantScope>) -> Result<StorageReport> {
        Err(ArchiveError::Closed)
    }
}

#[async_trait::async_trait]
impl OutboxSource for Archive {
    async fn unsent(&self, limit: u32) -> std::result::Result<Vec<(i64, Event)>, OutboxError> {
        Err(OutboxError("closed".into()))
    }
    async fn mark_sent(&self, positions: &[i64]) -> std::result::Result<(), OutboxError> {
        Err(OutboxError("closed".into()))
    }
    fn bell(&self) -> Arc<Notify> {
        Arc::default()
    }
}
