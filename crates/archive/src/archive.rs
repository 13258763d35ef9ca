//! The archive's handle: what callers hold, and every operation they may ask
//! for. It only checks, scopes and hands on; the work is in the modules.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use hilum_contracts::Event;
use hilum_platform::clock::SharedClock;
use hilum_platform::events::{OutboxError, OutboxSource};
use hilum_platform::scope::TenantScope;
use rusqlite::Connection;
use tokio::sync::{Notify, RwLock, Semaphore};

use crate::disk::{Disk, LocalDisk};
use crate::error::{ArchiveError, Result};
use crate::index::schema::MIGRATIONS;
use crate::index::{Readers, conflict, objects, outbox, quarantine, query, sqlite};
use crate::intake::{Joined, quarantine_label};
use crate::keys::{KeyStore, MasterKey};
use crate::limits::{Limits, METADATA_AHEAD_ROWS, UIDS_PER_FILTER};
use crate::model::{
    BackupReport, Body, ConflictRow, Decision, InstanceFilter, InstanceLocation, InstanceMetadata,
    InstanceRow, MetadataScope, NewInstance, NewQuarantined, Page, Progress, PublishOutcome,
    QuarantineItem, QuarantineOutcome, ResultKey, SeriesFilter, SeriesRow, StorageReport,
    StoreOutcome, StudyFilter, StudyRow, SweepReport, VerifyReport, WorklistCursor, WorklistPage,
};
use crate::read::{self, RangeReader, Whereabouts};
use crate::tenant::Tenant;
use crate::writer::{Context, Writer};

/// How an archive is opened.
#[derive(Debug, Clone)]
pub struct ArchiveConfig {
    /// The data folder; made when it does not exist.
    pub dir: PathBuf,
    /// Where the master key comes from.
    pub master_key: MasterKey,
    /// Tells the time.
    pub clock: SharedClock,
    /// Bounds.
    pub limits: Limits,
}

/// An open archive. Cheap to clone; all clones are the same archive.
#[derive(Clone)]
pub struct Archive {
    engine: Arc<Engine>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("dir", &self.engine.dir)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Engine {
    pub dir: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub keys: KeyStore,
    pub readers: Readers,
    pub writer: Writer,
    pub clock: SharedClock,
    pub limits: Limits,
    /// Held for reading by who reads every object, for writing by the sweep.
    pub gate: Arc<RwLock<()>>,
    admission: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    tenants: Mutex<HashMap<String, Arc<Tenant>>>,
    bell: Arc<Notify>,
    _lock: File,
}

/// Unit of the in-flight bound: semaphores count in `u32`.
const PERMIT_BYTES: usize = 1_024;

impl Archive {
    /// Opens the archive in `config.dir`, making it when there is none.
    ///
    /// # Errors
    /// [`ArchiveError::InUse`] when another process has it open,
    /// [`ArchiveError::WrongKey`] when the master key is another one.
    pub async fn open(config: ArchiveConfig) -> Result<Self> {
        Self::open_on(config, Arc::new(LocalDisk)).await
    }

    /// Opens the archive with its object writes going through `disk`.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub async fn open_on(config: ArchiveConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        let engine = tokio::task::spawn_blocking(move || Engine::open(config, disk))
            .await
            .map_err(|_| ArchiveError::Closed)??;
        Ok(Self {
            engine: Arc::new(engine),
        })
    }

    /// Finishes what is in flight and closes the index. Later calls answer
    /// [`ArchiveError::Closed`].
    pub async fn close(&self) {
        let engine = Arc::clone(&self.engine);
        engine.admission.close();
        engine.streams.close();
        let closing = tokio::task::spawn_blocking(move || {
            engine.readers.close();
            engine.writer.close();
        });
        let _ = closing.await;
    }

    /// Stores one instance. When this returns `Ok`, it is durable.
    ///
    /// # Errors
    /// [`ArchiveError::OutOfSpace`], [`ArchiveError::Invalid`], or a failure of
    /// the disk; nothing was acknowledged then.
    pub async fn store(&self, scope: &TenantScope, instance: NewInstance) -> Result<StoreOutcome> {
        let tenant = self.engine.tenant(scope).await?;
        let engine = Arc::clone(&self.engine);
        let streamed = matches!(instance.body, Body::Spool { .. })
            || instance.body.len() > engine.limits.bundled_instance_bytes;
        if streamed {
            let permit = Arc::clone(&engine.streams)
                .acquire_owned()
                .await
                .map_err(|_| ArchiveError::Closed)?;
            return blocking(move || {
                let _permit = permit;
                engine.store_streamed(&tenant, &instance)
            })
            .await;
        }
        let bytes = usize::try_from(instance.body.len())
            .unwrap_or(usize::MAX)
            .saturating_add(instance.metadata.len())
            .saturating_add(instance.layout.len());
        let all = engine.limits.in_flight_bytes / PERMIT_BYTES;
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES).clamp(1, all.max(1))).unwrap_or(1);
        let permit = Arc::clone(&engine.admission)
            .acquire_many_owned(permits)
            .await
            .map_err(|_| ArchiveError::Closed)?;
        match blocking(move || engine.join_bundle(&tenant, instance, permit)).await? {
            Joined::Known(outcome) => Ok(outcome),
            Joined::Waiting(answer) => answer.await.map_err(|_| ArchiveError::Closed)?,
        }
    }

    /// Publishes all of `instances` or none, once for ever under `key`: the
    /// first call wins. `events` are appended to the outbox in the same
    /// transaction, and only by the call that publishes.
    ///
    /// # Errors
    /// As [`Archive::store`].
    pub async fn publish(
        &self,
        scope: &TenantScope,
        key: ResultKey,
        instances: Vec<NewInstance>,
        events: Vec<Event>,
    ) -> Result<PublishOutcome> {
        let tenant = self.engine.tenant(scope).await?;
        let engine = Arc::clone(&self.engine);
        let permit = Arc::clone(&engine.streams)
            .acquire_owned()
            .await
            .map_err(|_| ArchiveError::Closed)?;
        blocking(move || {
            let _permit = permit;
            engine.publish_set(&tenant, &key, &instances, events)
        })
        .await
    }

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
        self.ask(scope, None, move |db, tenant| {
            query::served(db, tenant, &uid)
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
                .ask(scope, Vec::new(), move |db, tenant| {
                    uids.iter()
                        .filter_map(|uid| query::served(db, tenant, uid).transpose())
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
        self.ask(scope, Vec::new(), move |db, tenant| {
            query::studies(db, tenant, &filter, page)
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
        self.ask(scope, Vec::new(), move |db, tenant| {
            query::instances(db, tenant, &filter, page)
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

    /// Streams the metadata of everything served in a study or series, or of
    /// one instance, by series number, then instance number. What does not
    /// exist streams nothing. Holds no transaction while the reader is slow.
    pub fn instance_metadata(
        &self,
        scope: &TenantScope,
        of: MetadataScope,
    ) -> BoxStream<'static, Result<InstanceMetadata>> {
        let archive = self.clone();
        let scope = scope.clone();
        let only = match &of {
            MetadataScope::Instance { instance, .. } => Some(instance.clone()),
            MetadataScope::Study(_) | MetadataScope::Series { .. } => None,
        };
        let start = (
            None::<std::collections::VecDeque<i64>>,
            (i64::MIN, i64::MIN),
        );
        stream::try_unfold(start, move |(series, mut after)| {
            let (archive, scope, of, only) =
                (archive.clone(), scope.clone(), of.clone(), only.clone());
            async move {
                let mut series = match series {
                    Some(series) => series,
                    None => archive
                        .ask(&scope, Vec::new(), move |db, tenant| {
                            query::series_of(db, tenant, &of)
                        })
                        .await?
                        .into(),
                };
                while let Some(current) = series.front().copied() {
                    let only = only.clone();
                    let (rows, last) = archive
                        .ask(&scope, (Vec::new(), None), move |db, tenant| {
                            let only = only.as_deref();
                            query::metadata_after(
                                db,
                                tenant,
                                current,
                                only,
                                after,
                                METADATA_AHEAD_ROWS,
                            )
                        })
                        .await?;
                    if let Some(last) = last.filter(|_| rows.len() == METADATA_AHEAD_ROWS) {
                        after = last;
                    } else {
                        series.pop_front();
                        after = (i64::MIN, i64::MIN);
                    }
                    if !rows.is_empty() {
                        let rows = stream::iter(rows.into_iter().map(Ok));
                        return Ok::<_, ArchiveError>(Some((rows, (Some(series), after))));
                    }
                }
                Ok(None)
            }
        })
        .try_flatten()
        .boxed()
    }

    /// Streams a range of an instance's data set as received; `0..length()`
    /// for all of it.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] for a range outside the data set,
    /// [`ArchiveError::NotFound`] when it is not this tenant's or was erased,
    /// [`ArchiveError::Corrupt`] or [`ArchiveError::Missing`] when the disk
    /// does not hold what was written; also later, from the stream.
    pub async fn read_range(
        &self,
        scope: &TenantScope,
        location: &InstanceLocation,
        range: Range<u64>,
    ) -> Result<RangeReader> {
        match self.open_range(scope, location, range.clone()).await {
            Err(ArchiveError::Missing) => {}
            other => return other,
        }
        // The bytes may have been moved since the location was asked for.
        let (uid, sha256) = (location.sop_instance.clone(), location.sha256);
        let now = self
            .ask(scope, None, move |db, tenant| {
                query::exact(db, tenant, &uid, &sha256)
            })
            .await?
            .ok_or(ArchiveError::NotFound)?;
        if now.location == *location {
            return Err(ArchiveError::Missing);
        }
        self.open_range(scope, &now.location, range).await
    }

    async fn open_range(
        &self,
        scope: &TenantScope,
        location: &InstanceLocation,
        range: Range<u64>,
    ) -> Result<RangeReader> {
        if range.start > range.end || range.end > location.length {
            return Err(ArchiveError::Invalid("the range is outside the data set"));
        }
        let engine = Arc::clone(&self.engine);
        let tenant = scope.tenant().clone();
        let location = location.clone();
        let wanted = range.clone();
        let (segment, first) = blocking(move || {
            let at = Whereabouts {
                tenant: tenant.as_str(),
                object: &location.object,
                offset: location.offset,
                segment: location.segment,
                length: location.length,
            };
            read::start(&engine.dir, &engine.keys, at, &wanted)
        })
        .await?;
        Ok(read::finish(segment, range, first))
    }

    /// Conflicts that wait for a person, newest first.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn conflicts(&self, scope: &TenantScope, page: Page) -> Result<Vec<ConflictRow>> {
        self.ask(scope, Vec::new(), move |db, tenant| {
            conflict::list(db, tenant, page)
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
        self.engine
            .writer
            .run(move |db, _| conflict::decide(db, tenant.row, id, decision))
            .await
    }

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
        let engine = Arc::clone(&self.engine);
        let permit = Arc::clone(&engine.streams)
            .acquire_owned()
            .await
            .map_err(|_| ArchiveError::Closed)?;
        blocking(move || {
            let _permit = permit;
            engine.quarantine_item(&tenant, &item)
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
        let engine = Arc::clone(&self.engine);
        blocking(move || {
            let row = tenant.row;
            let sha256 = engine.writer.run_here(move |db, context| {
                quarantine::delete(db, row, id, context.clock.now_millis())
            })?;
            engine
                .keys
                .destroy(tenant.id.as_str(), &quarantine_label(&sha256))
        })
        .await
    }

    /// Buries names that can't be committed any more and removes dead objects.
    /// Run it after opening and then now and again.
    ///
    /// # Errors
    /// When the disk or the index fails; the next sweep goes on.
    pub async fn sweep(&self) -> Result<SweepReport> {
        self.engine.sweep().await
    }

    /// Reads, decrypts and hashes everything that was acknowledged.
    ///
    /// # Errors
    /// When the index does not answer; damage is in the report.
    pub async fn verify(&self, progress: Option<Progress>) -> Result<VerifyReport> {
        self.engine.verify(progress).await
    }

    /// Copies the archive into an empty folder while serving. The master key
    /// is not copied; the wrapped keys are in `keys/`, to be kept apart.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] when the folder is not empty; or of the disk.
    pub async fn backup(
        &self,
        destination: &Path,
        progress: Option<Progress>,
    ) -> Result<BackupReport> {
        self.engine.backup(destination, progress).await
    }

    /// Makes an archive in `dir` from a backup. It opens with the master key
    /// that the backup was made under.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] when `source` is no backup or `dir` holds an
    /// archive; or of the disk.
    pub async fn restore(
        source: &Path,
        dir: &Path,
        progress: Option<Progress>,
    ) -> Result<BackupReport> {
        let (source, dir) = (source.to_owned(), dir.to_owned());
        blocking(move || crate::backup::restore(&source, &dir, progress.as_ref())).await
    }

    /// What a tenant, or with `None` the whole archive, holds.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn storage(&self, scope: Option<&TenantScope>) -> Result<StorageReport> {
        match scope {
            None => {
                self.engine
                    .readers
                    .read(|db| query::storage(db, None))
                    .await
            }
            Some(scope) => {
                self.ask(scope, StorageReport::default(), |db, tenant| {
                    query::storage(db, Some(tenant))
                })
                .await
            }
        }
    }

    /// Asks the index in the scope's tenant; `unknown` when that has no data.
    async fn ask<T, F>(&self, scope: &TenantScope, unknown: T, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, i64) -> Result<T> + Send + 'static,
    {
        let name = scope.tenant().clone();
        let known = self
            .engine
            .known_tenant(name.as_str())
            .map(|tenant| tenant.row);
        self.engine
            .readers
            .read(move |db| {
                let row = match known {
                    Some(row) => Some(row),
                    None => objects::find_tenant(db, name.as_str())?,
                };
                row.map_or(Ok(unknown), |row| question(db, row))
            })
            .await
    }
}

impl Engine {
    fn open(config: ArchiveConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        let ArchiveConfig {
            dir,
            master_key,
            clock,
            limits,
        } = config;
        disk.create_dir(&dir.join("objects"))?;
        let lock = File::create(dir.join("archive.lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(ArchiveError::InUse),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let keys = KeyStore::open(&dir, &master_key, limits.cached_keys)?;
        let index = dir.join("archive.sqlite");
        let mut db = sqlite::open_writer(&index)?;
        sqlite::migrate(&mut db, MIGRATIONS)?;
        let opening = objects::begin_opening(&db, clock.now_millis())?;
        disk.sync_dir(&dir)?;
        let bell = Arc::new(Notify::new());
        let context = Context {
            disk: Arc::clone(&disk),
            clock: Arc::clone(&clock),
            bell: Arc::clone(&bell),
            opening,
        };
        Ok(Self {
            readers: Readers::new(index, limits.readers),
            writer: Writer::start(db, context)?,
            keys,
            disk,
            clock,
            gate: Arc::default(),
            admission: Arc::new(Semaphore::new(
                (limits.in_flight_bytes / PERMIT_BYTES).max(1),
            )),
            streams: Arc::new(Semaphore::new(limits.streams.max(1))),
            tenants: Mutex::default(),
            bell,
            dir,
            limits,
            _lock: lock,
        })
    }

    fn known_tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        self.tenants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// The tenant's row and folders, made when there are none.
    async fn tenant(self: &Arc<Self>, scope: &TenantScope) -> Result<Arc<Tenant>> {
        if let Some(tenant) = self.known_tenant(scope.tenant().as_str()) {
            return Ok(tenant);
        }
        let id = scope.tenant().clone();
        let engine = Arc::clone(self);
        blocking(move || {
            let name = id.as_str().to_owned();
            let of = name.clone();
            let row = engine.writer.run_here(move |db, _| {
                let tx = db.transaction()?;
                let row = objects::tenant_row(&tx, &of)?;
                tx.commit()?;
                Ok(row)
            })?;
            let tenant = Tenant::prepare(engine.disk.as_ref(), &engine.dir, id, row)?;
            let mut tenants = engine
                .tenants
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Ok(Arc::clone(
                tenants.entry(name).or_insert_with(|| Arc::new(tenant)),
            ))
        })
        .await
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.readers.close();
        self.writer.close();
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ArchiveError::Closed)?
}

#[async_trait::async_trait]
impl OutboxSource for Archive {
    async fn unsent(&self, limit: u32) -> std::result::Result<Vec<(i64, Event)>, OutboxError> {
        self.engine
            .readers
            .read(move |db| outbox::unsent(db, limit))
            .await
            .map_err(|error| OutboxError(error.to_string()))
    }

    async fn mark_sent(&self, positions: &[i64]) -> std::result::Result<(), OutboxError> {
        let positions = positions.to_vec();
        self.engine
            .writer
            .run(move |db, context| {
                // Losing a mark only repeats an event, which consumers
                // recognise: not worth a barrier in the way of intake.
                db.pragma_update(None, "synchronous", "NORMAL")?;
                let marked = outbox::mark_sent(db, &positions, context.clock.now_millis());
                db.pragma_update(None, "synchronous", "FULL")?;
                marked
            })
            .await
            .map_err(|error| OutboxError(error.to_string()))
    }

    fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.engine.bell)
    }
}
