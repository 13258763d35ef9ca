//! The archive's handle: what callers hold, and every operation they may ask
//! for. It only checks, scopes and hands on; the work is in the engine.

mod answers;
mod correcting;
mod deleting;
mod exporting;
pub(crate) mod keeping;
mod metadata;
mod moving;
mod quarantine;
mod reading;
mod shards;
mod tables;
mod trail;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hilum_contracts::Event;
use hilum_platform::clock::SharedClock;
use hilum_platform::db::Server;
use hilum_platform::events::{OutboxError, OutboxSource};
use hilum_platform::scope::TenantScope;
use tokio::sync::Notify;

use crate::db::{Connection, Lease};
use crate::disk::{Disk, LocalDisk};
use crate::error::{ArchiveError, Result};
use crate::index::schema;
use crate::index::{instances, objects, outbox, query};
use crate::intake::Joined;
use crate::keys::MasterKey;
use crate::limits::Limits;
use crate::model::{
    BackupReport, Body, FilesReport, NewInstance, PackReport, Progress, PublishOutcome,
    RebuildReport, RestoreReport, ResultKey, StorageReport, StoreOutcome, SweepReport,
    VerifyReport,
};
use crate::objects::ObjectsAt;
use crate::pack::Packs;

use crate::engine::{Engine, PERMIT_BYTES};
use crate::tenant::Tenant;

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
    /// Where objects are.
    pub objects: ObjectsAt,
    /// Where index and keys are, when they are not files in `dir`.
    pub server: Option<Server>,
}

/// What processes on other data folders do with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nothing: it is free.
    Nobody,
    /// One has it.
    Had,
    /// One has it, and is about to end.
    Leaving,
}

/// An open archive. Cheap to clone; all clones are the same archive.
#[derive(Clone)]
pub struct Archive {
    pub(crate) engine: Arc<Engine>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("dir", &self.engine.dir)
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// Opens the archive in `config.dir`, making it when there is none.
    ///
    /// # Errors
    /// [`ArchiveError::InUse`] when another process has it open,
    /// [`ArchiveError::WrongKey`] when the master key is another one,
    /// [`ArchiveError::Bucket`] when its bucket does not answer.
    pub async fn open(config: ArchiveConfig) -> Result<Self> {
        Self::open_on(config, Arc::new(LocalDisk)).await
    }

    /// What a process on another data folder does with it, which this one may follow when
    /// that ends: index and keys are on PostgreSQL, and objects in a bucket.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn elsewhere(config: &ArchiveConfig) -> Result<Elsewhere> {
        let (Some(server), ObjectsAt::Bucket(_)) = (&config.server, &config.objects) else {
            return Ok(Elsewhere::Nobody);
        };
        let (server, dir) = (server.clone(), config.dir.clone());
        blocking(move || crate::db::elsewhere(&server, &schema::TABLES, &dir)).await
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
        let charge = match self.engine.charge(&tenant, instance.body.len()).await {
            // What is there already takes no room.
            Err(ArchiveError::OverQuota) if self.is_known(&tenant, &instance).await? => None,
            charge => charge?,
        };
        let outcome = self.admit(scope, tenant, instance).await?;
        if let Some(charge) = charge.filter(|_| outcome != StoreOutcome::Duplicate) {
            charge.keep();
        }
        Ok(outcome)
    }

    /// Whether these very bytes are durable already.
    async fn is_known(&self, tenant: &Arc<Tenant>, instance: &NewInstance) -> Result<bool> {
        let (row, uid, sha256) = (tenant.row, instance.sop_instance.clone(), instance.sha256);
        let packs = Arc::clone(&self.engine.packs);
        self.engine
            .readers
            .read_packs(move |db| Ok(instances::exact(db, &packs, row, &uid, &sha256)?.is_some()))
            .await
    }

    /// Waits until there is room in flight, and stores.
    async fn admit(
        &self,
        scope: &TenantScope,
        tenant: Arc<Tenant>,
        instance: NewInstance,
    ) -> Result<StoreOutcome> {
        let engine = Arc::clone(&self.engine);
        let scope = scope.clone();
        let streamed = matches!(instance.body, Body::Spool { .. })
            || instance.body.len() > engine.limits.bundled_instance_bytes;
        if streamed {
            let permit = Arc::clone(&engine.streams)
                .acquire_owned()
                .await
                .map_err(|_| ArchiveError::Closed)?;
            return blocking(move || {
                let _permit = permit;
                let by = engine.by(&tenant, &scope)?;
                engine.store_streamed(&tenant, &instance, &by)
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
        let joined = blocking(move || {
            let by = engine.by(&tenant, &scope)?;
            engine.join_bundle(&tenant, instance, by, permit)
        });
        match joined.await? {
            Joined::Known(outcome) => Ok(outcome),
            Joined::Waiting(answer) => answer.await.map_err(|_| ArchiveError::Closed)?,
        }
    }

    /// Bytes between arrival and acknowledgement now: never more than
    /// [`Limits::in_flight_bytes`] and one instance.
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        let all = (self.engine.limits.in_flight_bytes / PERMIT_BYTES).max(1);
        all.saturating_sub(self.engine.admission.available_permits())
            .saturating_mul(PERMIT_BYTES)
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
        let scope = scope.clone();
        blocking(move || {
            let _permit = permit;
            let by = engine.by(&tenant, &scope)?;
            engine.publish_set(&tenant, &key, &instances, &by, events)
        })
        .await
    }

    /// Buries names that can't be committed any more and removes dead objects;
    /// counts in the trail what came in and nobody ended. Run it after opening
    /// and then now and again.
    ///
    /// # Errors
    /// When the disk or the index fails; the next sweep goes on.
    pub async fn sweep(&self) -> Result<SweepReport> {
        let report = self.engine.sweep().await?;
        self.engine
            .writer
            .run_aside(|db, context| {
                let now = context.clock.now_millis();
                context.stores.tell(db, None, now)
            })
            .await?;
        Ok(report)
    }

    /// Rewrites every series that has been settled for `settled_for` as a pack:
    /// its instance rows go, what is answered stays the same. Run it now and
    /// again; it yields to intake.
    ///
    /// # Errors
    /// [`ArchiveError::OutOfSpace`], or when the index does not answer; the next
    /// round goes on. A series that can't be packed is counted and stays as it
    /// is.
    pub async fn pack(&self, settled_for: Duration) -> Result<PackReport> {
        self.engine.pack_settled(settled_for).await
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

    /// Makes the index of an archive that nobody has open again, from its
    /// objects and keys alone. An index that is there is kept beside it.
    ///
    /// # Errors
    /// [`ArchiveError::InUse`], [`ArchiveError::WrongKey`], or of the disk; the
    /// old index, if any, is in its place then.
    pub async fn rebuild_index(
        config: ArchiveConfig,
        progress: Option<Progress>,
    ) -> Result<RebuildReport> {
        crate::rebuild::rebuild(config, progress).await
    }

    /// Makes an archive in `dir` from a backup, with its objects in `objects`. It opens with the master key
    /// that the backup was made under. What the backup was told of erasures, and
    /// what the files `erasures` (ledgers, certificates) tell, is
    /// [due](Archive::due_erasures) in it.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] when `source` is no backup or `dir` holds an
    /// archive; or of the disk.
    pub async fn restore(
        source: &Path,
        dir: &Path,
        erasures: &[PathBuf],
        objects: ObjectsAt,
        progress: Option<Progress>,
    ) -> Result<RestoreReport> {
        let (source, dir, erasures) = (source.to_owned(), dir.to_owned(), erasures.to_owned());
        blocking(move || {
            let progress = progress.as_ref();
            crate::backup::restore(&source, &dir, &erasures, &objects, progress)
        })
        .await
    }

    /// Makes `to` the master key, while serving; [`MasterKey::File`] makes a new
    /// file. Objects are not touched. How many tenant keys were wrapped anew.
    ///
    /// # Errors
    /// Of the disk or the key database; whichever key opened it before or the
    /// new one opens the archive then.
    pub async fn rotate_master_key(&self, to: MasterKey) -> Result<u64> {
        let engine = Arc::clone(&self.engine);
        blocking(move || engine.keys.rotate(&to)).await
    }

    /// Tells processes that wait for the archive that this one will soon have closed it:
    /// they take requests from now on, and answer them then.
    pub fn leaves(&self) {
        if let Some(lease) = &self.engine.lease {
            lease.leaves();
        }
    }

    /// Returns when another process has taken the archive from this one, which was
    /// away for too long: what is in memory here may be out of date, and this process
    /// should end.
    pub async fn is_taken_away(&self) {
        let lease = self.engine.lease.as_ref();
        let Some(mut taken_away) = lease.map(Lease::taken_away) else {
            return std::future::pending().await;
        };
        if taken_away.wait_for(|taken| *taken).await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether the index can be read and takes commits now, and objects can be
    /// reached; costs next to nothing.
    ///
    /// # Errors
    /// When one of them does not answer, or takes nothing after a failure of the
    /// disk.
    pub async fn answers(&self) -> Result<()> {
        if let Some(lease) = &self.engine.lease
            && *lease.taken_away().borrow()
        {
            return Err(ArchiveError::InUse);
        }
        let objects = Arc::clone(&self.engine.objects);
        blocking(move || objects.answers()).await?;
        self.engine
            .readers
            .read(|db| Ok(db.query_row("SELECT count(*) FROM tenant", [], |_| Ok(()))?))
            .await?;
        self.engine
            .writer
            .run_aside(|_, context| {
                if context.doubted.load(Ordering::SeqCst) {
                    return Err(ArchiveError::Index(
                        "its log waits to be folded back".to_owned(),
                    ));
                }
                Ok(())
            })
            .await
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

    /// Asks what rows and packs answer together, on one snapshot.
    pub(crate) async fn ask_packs<T, F>(&self, scope: &TenantScope, question: F) -> Result<T>
    where
        T: Default + Send + 'static,
        F: Fn(&Connection, &Packs, i64) -> Result<T> + Send + 'static,
    {
        let name = scope.tenant().clone();
        let packs = Arc::clone(&self.engine.packs);
        self.engine
            .readers
            .read_packs(move |db| {
                let Some(row) = objects::find_tenant(db, name.as_str())? else {
                    return Ok(T::default());
                };
                db.narrow(row)?;
                question(db, &packs, row)
            })
            .await
    }

    /// Bytes of what is beside the objects.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub async fn files(&self, scope: &TenantScope) -> Result<FilesReport> {
        let dir = self.engine.dir.clone();
        let tenant = scope.tenant().clone();
        blocking(move || {
            let database = |name: &str| {
                ["", "-wal"]
                    .iter()
                    .map(|end| length(&dir.join(format!("{name}{end}"))))
                    .sum()
            };
            let mut lookup = 0;
            if let Ok(runs) = std::fs::read_dir(dir.join("lookup").join(tenant.as_str())) {
                for run in runs {
                    lookup += length(&run?.path());
                }
            }
            Ok(FilesReport {
                lookup,
                index: database("archive.sqlite"),
                keys: database("keys.sqlite"),
            })
        })
        .await
    }

    /// Asks the index in the scope's tenant; `unknown` when that has no data.
    pub(crate) async fn ask<T, F>(&self, scope: &TenantScope, unknown: T, question: F) -> Result<T>
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
                let Some(row) = row else { return Ok(unknown) };
                db.narrow(row)?;
                question(db, row)
            })
            .await
    }
}

/// A file that is not there takes no room.
fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

pub(crate) async fn blocking<T: Send + 'static>(
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
            .run_aside(move |db, _| {
                // Losing this only repeats an event, which consumers
                // recognise: not worth a barrier in the way of intake.
                db.without_barrier(|db| outbox::delete_sent(db, &positions))
            })
            .await
            .map_err(|error| OutboxError(error.to_string()))
    }

    fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.engine.bell)
    }
}
