//! The open archive behind its handles: what it owns, how it is opened, and
//! its tenants. What it does is in the modules that extend it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use hilum_contracts::audit::Entry;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{Keys, PURPOSE};
use hilum_platform::clock::SharedClock;
use hilum_platform::scope::TenantScope;
use tokio::sync::{Notify, RwLock, Semaphore};

use crate::db::{Lease, Places, Whose};
use crate::disk::Disk;
use crate::error::{ArchiveError, Result};
use crate::hot::{Changes, Hot};
use crate::index::audit::{self, By, Told};
use crate::index::route::Marks;
use crate::index::schema::{self, MIGRATIONS};
use crate::index::stores::Stores;
use crate::index::{Readers, objects as index};
use crate::keys::{self, KeyStore};
use crate::limits::Limits;
use crate::lookup::{self, Extent, Lookup};
use crate::model::Resend;
use crate::note;
use crate::objects::Objects;
use crate::pack::Packs;
use crate::quota::Quotas;
use crate::steps;
use crate::tenant::Tenant;
use crate::writer::{Context, Writer};

use crate::archive::{ArchiveConfig, blocking};

pub(crate) struct Engine {
    pub dir: PathBuf,
    pub objects: Arc<Objects>,
    pub keys: Arc<KeyStore>,
    pub packs: Arc<Packs>,
    pub hot: Hot,
    pub readers: Readers,
    pub writer: Writer,
    pub clock: SharedClock,
    pub limits: Limits,
    /// Held for reading by who reads every object, for writing by the sweep.
    pub gate: Arc<RwLock<()>>,
    /// A sweep was not waited for.
    pub sweep_due: AtomicBool,
    /// A sweep since this opening has found every row with its digest, or
    /// written it.
    pub digested: AtomicBool,
    pub marks: Arc<Marks>,
    /// Held by who moves instances between objects, and by who must not find
    /// one on the move.
    pub moving: tokio::sync::Mutex<()>,
    pub admission: Arc<Semaphore>,
    pub streams: Arc<Semaphore>,
    tenants: Mutex<HashMap<String, Arc<Tenant>>>,
    pub bell: Arc<Notify>,
    pub quotas: Quotas,
    /// Held by who writes the ledger of erasures or the list of backups.
    pub ledger: Mutex<()>,
    /// Held while index and keys are copied, and while keys are destroyed.
    pub snapshot: Mutex<()>,
    /// Tenants that take again what they deleted.
    resends: Mutex<HashSet<String>>,
    /// What associations and requests bring, for the trail.
    pub stores: Arc<Stores>,
    _lock: File,
    /// Given back behind the writer.
    pub lease: Option<Lease>,
}

/// Unit of the in-flight bound: semaphores count in `u32`.
pub(crate) const PERMIT_BYTES: usize = 1_024;

impl Engine {
    pub(crate) fn open(config: ArchiveConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        let ArchiveConfig {
            dir,
            master_key,
            clock,
            limits,
            objects,
            server,
        } = config;
        disk.create_dir(&dir)?;
        let objects = Arc::new(Objects::open(&objects, &dir, Arc::clone(&disk), &limits)?);
        let lock = lock(&dir)?;
        steps::at("open.locked");
        let tables = [&schema::TABLES, &keys::TABLES];
        let keeps_objects = matches!(*objects, Objects::Files(_));
        let places = Places::of(&dir, server.as_ref(), tables, keeps_objects)?;
        let keys = KeyStore::open_at(&places.keys, &dir, &master_key, limits.cached_keys)?;
        let keys = Arc::new(keys);
        let db = places.index.writer(MIGRATIONS)?;
        db.make_shrinkable()?;
        // An earlier run may have ended in doubt of its log (see `writer`).
        db.fold()?;
        let opening = index::begin_opening(&db, clock.now_millis())?;
        disk.sync_dir(&dir)?;
        sync_above(disk.as_ref(), &dir)?;
        steps::at("open.begun");
        objects.lets_us_in()?;
        note::remove_refused(&db, &objects, opening, clock.now_millis())?;
        let bell = Arc::new(Notify::new());
        let lookup = Lookup::new(&dir, Arc::clone(&disk), Arc::clone(&keys));
        let damaged = lookup.load(&db)?;
        let packs = Arc::new(Packs::new(
            Arc::clone(&objects),
            Arc::clone(&keys),
            lookup,
            limits.cached_block_bytes,
        ));
        let changes = Arc::new(Changes::default());
        let stores = Arc::<Stores>::default();
        let context = Context {
            objects: Arc::clone(&objects),
            clock: Arc::clone(&clock),
            bell: Arc::clone(&bell),
            packs: Arc::clone(&packs),
            opening,
            changes: Arc::clone(&changes),
            stores: Arc::clone(&stores),
            doubted: AtomicBool::new(false),
        };
        let engine = Self {
            readers: Readers::new(places.index, limits.readers.min(places.readers)),
            writer: Writer::start(db, context)?,
            keys,
            packs,
            hot: Hot::new(&limits, changes),
            objects,
            clock,
            gate: Arc::default(),
            sweep_due: AtomicBool::default(),
            digested: AtomicBool::default(),
            marks: Arc::default(),
            moving: tokio::sync::Mutex::default(),
            admission: Arc::new(Semaphore::new(
                (limits.in_flight_bytes / PERMIT_BYTES).max(1),
            )),
            streams: Arc::new(Semaphore::new(limits.streams.max(1))),
            tenants: Mutex::default(),
            bell,
            quotas: Quotas::default(),
            ledger: Mutex::default(),
            snapshot: Mutex::default(),
            resends: Mutex::default(),
            dir,
            limits,
            stores,
            _lock: lock,
            lease: places.lease,
        };
        engine.destroy_dead_keys()?;
        for tenant in damaged {
            engine.rebuild_lookup(tenant)?;
        }
        // An index that was made again has every entry as a row.
        for tenant in engine.readers.read_here(lookup::crowded)? {
            while engine.merge_lookup(tenant, Extent::Due)? {}
        }
        Ok(engine)
    }

    pub(crate) fn set_resend(&self, tenant: &str, resend: Resend) {
        let mut resends = self.resends.lock().unwrap_or_else(PoisonError::into_inner);
        match resend {
            Resend::Accept => resends.insert(tenant.to_owned()),
            Resend::Refuse => resends.remove(tenant),
        };
    }

    pub(crate) fn takes_resends(&self, tenant: &str) -> bool {
        self.resends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(tenant)
    }

    /// Who acts on `tenant`, for the trail. May block.
    pub(crate) fn by(&self, tenant: &Tenant, scope: &TenantScope) -> Result<By> {
        let keys = tenant.audit_keys(|| {
            let now = self.clock.now_millis();
            let secret = self.keys.derived_secret(tenant.id.as_str(), PURPOSE, now)?;
            Keys::new(&tenant.id, &secret).map_err(audit::no_key)
        })?;
        Ok(By {
            scope: scope.clone(),
            keys,
        })
    }

    /// An entry that is to stand in the transaction of what it tells of.
    pub(crate) fn told(&self, tenant: &Tenant, scope: &TenantScope, entry: Entry) -> Result<Told> {
        Ok(Told {
            by: self.by(tenant, scope)?,
            entry,
        })
    }

    pub(crate) fn known_tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        self.tenants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Forgets that a tenant's row and folders are there.
    pub(crate) fn evict(&self, name: &str) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.remove(name);
        drop(tenants);
        self.set_resend(name, Resend::Refuse);
    }

    /// The tenant's row and folders, made when there are none; `NotFound` for
    /// one that was ended.
    pub(crate) async fn tenant(self: &Arc<Self>, scope: &TenantScope) -> Result<Arc<Tenant>> {
        if let Some(tenant) = self.known_tenant(scope.tenant().as_str()) {
            return Ok(tenant);
        }
        let id = scope.tenant().clone();
        let engine = Arc::clone(self);
        blocking(move || engine.prepare_tenant(id)).await
    }

    /// The same by name, from a thread that may block.
    pub(crate) fn tenant_here(&self, name: &str) -> Result<Arc<Tenant>> {
        if let Some(tenant) = self.known_tenant(name) {
            return Ok(tenant);
        }
        let id = TenantId::new(name).map_err(|_| ArchiveError::Corrupt)?;
        self.prepare_tenant(id)
    }

    fn prepare_tenant(&self, id: TenantId) -> Result<Arc<Tenant>> {
        let name = id.as_str().to_owned();
        // An index that was made again does not know who was ended.
        if self.keys.is_ended(&name)? {
            return Err(ArchiveError::NotFound);
        }
        let of = name.clone();
        let row = self.writer.run_here(move |db, _| {
            let tx = db.begin(Whose::Every)?;
            let row = index::tenant_row(&tx, &of)?;
            tx.commit()?;
            Ok(row)
        })?;
        steps::at("tenant.rowed");
        self.objects.prepare(id.as_str())?;
        let tenant = Tenant::new(id, row);
        steps::at("tenant.foldered");
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(
            tenants.entry(name).or_insert_with(|| Arc::new(tenant)),
        ))
    }
}

/// Makes the folder's own name durable, and the names of those above it: who
/// made them last, and whether that was synced, nobody knows any more.
fn sync_above(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let dir = std::path::absolute(dir)?;
    for (distance, folder) in dir.ancestors().skip(1).enumerate() {
        match disk.sync_dir(folder) {
            Ok(()) => {}
            // What this user may not read it has not made.
            Err(error) if distance > 0 || error.kind() == ErrorKind::PermissionDenied => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Takes the archive of `dir` for this process, until the file is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let lock = File::create(dir.join("archive.lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(ArchiveError::InUse),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.readers.close();
        self.writer.close();
    }
}
