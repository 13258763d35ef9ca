//! Where a settled instance is, by its SOP Instance UID alone: 22 bytes an
//! instance, found with a few reads of 4 KiB. It owns `lookup_recent`,
//! `lookup_run` and the files below `lookup/`, all of which can be made anew
//! from the packs, and never reads a pack: an entry is a candidate, and who
//! asked compares the UID that the pack itself holds.
//!
//! A UID is hashed under a key of its tenant, so that neither rows nor files
//! tell whether the archive ever held a UID that somebody knows, not even after
//! an erasure whose entries wait for the next rewrite. Pages are authenticated
//! under another key, bound to file and position.
//!
//! An entry is added in its pack's transaction, as a row. When there are many,
//! they are written as a sorted *run*, synced, and registered in a short
//! transaction; then the rows go. The newest runs are merged along as long as
//! they are not much bigger than what is merged. Files that no row registers
//! are removed when the look-up is opened and before a merge, files of merged runs
//! right after it. A reader takes rows and runs from one snapshot of the index, so
//! it misses nothing whatever happens meanwhile.

mod merge;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::hmac;

use crate::db::{
    Connection, OptionalExtension, ToSql, Transaction, params, params_from_iter, places,
};
use crate::descriptor::hex;
use crate::disk::Disk;
use crate::error::{ArchiveError, Result};
use crate::keys::KeyStore;
use crate::limits::LOOKUP_RECENT;
use run::Run;

/// A keyed hash of a SOP Instance UID.
pub(crate) type Hash = [u8; 12];

/// One instance of a pack. Several may have one hash: a later pack of the same
/// series, or another UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub hash: Hash,
    /// Row of the pack, below 2^48 and never used twice.
    pub pack: u64,
    /// Place within the pack.
    pub ordinal: u32,
}

/// Ids of packs take six bytes in a run.
const PACKS: u64 = 1 << 48;

/// A tenant's keys and folder.
pub(crate) struct Owner {
    uids: hmac::Key,
    pages: hmac::Key,
    dir: PathBuf,
}

impl Owner {
    pub(crate) fn hash(&self, uid: &str) -> Hash {
        let mut hash = Hash::default();
        let tag = hmac::sign(&self.uids, uid.as_bytes());
        for (to, from) in hash.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        hash
    }
}

/// What a merge takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The rows, when there are many, and the runs whose turn it is.
    Due,
    /// All rows and runs: afterwards no entry of a gone pack is left anywhere.
    Everything,
}

/// Names a run, and its file.
pub(crate) type Name = [u8; 16];

pub(crate) struct Lookup {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    keys: Arc<KeyStore>,
    owners: Mutex<HashMap<i64, Arc<Owner>>>,
    runs: Mutex<HashMap<Name, Arc<Run>>>,
    /// Held by who writes, removes or copies files.
    files: Mutex<Retired>,
}

/// Runs whose files are gone, for readers of an older snapshot.
type Retired = Vec<(Instant, Name)>;

impl Lookup {
    /// The look-up of the archive in `dir`.
    pub(crate) fn new(dir: &Path, disk: Arc<dyn Disk>, keys: Arc<KeyStore>) -> Self {
        Self {
            root: dir.join("lookup"),
            disk,
            keys,
            owners: Mutex::default(),
            runs: Mutex::default(),
            files: Mutex::default(),
        }
    }

    /// Opens every run and removes files that are none. Returns the tenants
    /// with a run that is missing or torn: their look-ups fail until
    /// [`Lookup::rebuild`].
    pub(crate) fn load(&self, db: &Connection) -> Result<BTreeSet<i64>> {
        let _files = self.files();
        let mut damaged = BTreeSet::new();
        let mut query = db.prepare("SELECT DISTINCT tenant FROM lookup_run")?;
        let tenants = query
            .query_map([], |row| row.get(0))?
            .collect::<crate::db::Result<Vec<i64>>>()?;
        for tenant in tenants {
            let Some(owner) = self.owner(db, tenant)? else {
                continue;
            };
            for (name, entries) in registered(db, tenant)? {
                if let Err(error) = self.run(&owner, &name, entries) {
                    tracing::error!(%error, "a run of the look-up is damaged: it is made anew from the packs");
                    damaged.insert(tenant);
                }
            }
        }
        self.remove_unregistered(db)?;
        Ok(damaged)
    }

    /// What hashes a tenant's UIDs; `None` when the tenant has no data.
    pub(crate) fn owner(&self, db: &Connection, tenant: i64) -> Result<Option<Arc<Owner>>> {
        if let Some(owner) = lock(&self.owners).get(&tenant) {
            return Ok(Some(Arc::clone(owner)));
        }
        let name: Option<String> = db
            .prepare_cached("SELECT name FROM tenant WHERE id = ?1")?
            .query_row([tenant], |row| row.get(0))
            .optional()?;
        let Some(name) = name else { return Ok(None) };
        let key = |purpose| self.keys.derived(&name, purpose);
        let (Some(uids), Some(pages)) = (
            key("hilum instance lookup v1")?,
            key("hilum lookup pages v1")?,
        ) else {
            return Ok(None);
        };
        let owner = Arc::new(Owner {
            uids,
            pages,
            dir: self.root.join(name),
        });
        lock(&self.owners).insert(tenant, Arc::clone(&owner));
        Ok(Some(owner))
    }

    /// Adds the entries of a pack, in the transaction that makes it live.
    pub(crate) fn add(
        tx: &Transaction<'_>,
        tenant: i64,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<()> {
        let mut insert = tx.prepare_cached(
            "INSERT INTO lookup_recent (tenant, hash, pack, ordinal) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?;
        for entry in entries {
            if entry.pack >= PACKS {
                return Err(ArchiveError::Invalid("a pack's id has at most 48 bits"));
            }
            insert.execute(params![tenant, entry.hash, entry.pack, entry.ordinal])?;
        }
        Ok(())
    }

    /// Packs and ordinals where the instances of these UIDs may be. Ask on the
    /// snapshot that also answers for the packs and the instance rows, that is
    /// in one read transaction; skip packs that are not in it.
    pub(crate) fn find(
        &self,
        db: &Connection,
        tenant: i64,
        uids: &[&str],
    ) -> Result<Vec<(u64, u32)>> {
        let Some(owner) = self.owner(db, tenant)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for some in uids.chunks(db.together()) {
            let hashes: Vec<Hash> = some.iter().map(|uid| owner.hash(uid)).collect();
            let sql = format!(
                "SELECT NULL, pack, ordinal FROM lookup_recent
                 WHERE tenant = ?1 AND hash IN ({})
                 UNION ALL SELECT name, entries, 0 FROM lookup_run WHERE tenant = ?1",
                places(2, hashes.len())
            );
            let of: &dyn ToSql = &tenant;
            let asked = hashes.iter().map(|hash| hash as &dyn ToSql);
            let mut query = db.prepare_for(hashes.len(), &sql)?;
            let mut rows = query.query(params_from_iter(std::iter::once(of).chain(asked)))?;
            while let Some(row) = rows.next()? {
                match row.get::<Option<Name>>(0)? {
                    None => found.push((row.get(1)?, row.get(2)?)),
                    Some(name) => {
                        let run = self.run(&owner, &name, row.get(1)?)?;
                        for hash in &hashes {
                            run.find(hash, &mut found)?;
                        }
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The tenants with a run that does not read from end to end as written.
    pub(crate) fn verify(&self, db: &Connection) -> Result<BTreeSet<i64>> {
        let _files = self.files();
        let mut damaged = BTreeSet::new();
        let mut query = db.prepare("SELECT DISTINCT tenant FROM lookup_run")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let tenant = row.get(0)?;
            let Some(owner) = self.owner(db, tenant)? else {
                continue;
            };
            for (name, entries) in registered(db, tenant)? {
                if Self::whole(&owner, &name, entries).is_err() {
                    damaged.insert(tenant);
                }
            }
        }
        Ok(damaged)
    }

    /// Reads a run from end to end, its last page too, which one that is open
    /// already was opened by.
    fn whole(owner: &Owner, name: &Name, entries: u64) -> Result<()> {
        let run = Run::open(&path(owner, name), &owner.pages, *name)?;
        if run.entries() != entries {
            return Err(ArchiveError::Corrupt);
        }
        run.entries_of().try_for_each(|entry| entry.map(drop))
    }

    /// Files stay as they are while this is held: for a copy of an index and
    /// of the runs that it registers.
    pub(crate) fn pause(&self) -> impl Drop + '_ {
        self.files()
    }

    fn files(&self) -> MutexGuard<'_, Retired> {
        lock(&self.files)
    }

    /// A registered run, opened when it is not yet.
    fn run(&self, owner: &Owner, name: &Name, entries: u64) -> Result<Arc<Run>> {
        if let Some(run) = lock(&self.runs).get(name) {
            return Ok(Arc::clone(run));
        }
        let run = Run::open(&path(owner, name), &owner.pages, *name)?;
        if run.entries() != entries {
            return Err(ArchiveError::Corrupt);
        }
        let run = Arc::new(run);
        lock(&self.runs).insert(*name, Arc::clone(&run));
        Ok(run)
    }

    /// Removes the files of a tenant that was ended, whose runs these were.
    pub(crate) fn forget(&self, tenant: i64, name: &str, runs: &[Name]) -> Result<()> {
        let _files = self.files();
        lock(&self.owners).remove(&tenant);
        lock(&self.runs).retain(|run, _| !runs.contains(run));
        match std::fs::remove_dir_all(self.root.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(self.disk.sync_dir(&self.root)?),
        }
    }

    fn remove_unregistered(&self, db: &Connection) -> Result<()> {
        let mut known = db.prepare("SELECT 1 FROM lookup_run WHERE name = ?1")?;
        for folder in entries_of(&self.root)? {
            let mut removed = false;
            for file in entries_of(&folder)? {
                let name = file.file_name().and_then(|name| name.to_str());
                let registered = match name.and_then(hex::decode::<16>) {
                    Some(name) => known.exists([name])?,
                    None => false,
                };
                if !registered {
                    self.disk.remove(&file)?;
                    removed = true;
                }
            }
            if removed {
                self.disk.sync_dir(&folder)?;
            }
        }
        Ok(())
    }
}

/// Tenants with many more rows than packing leaves.
pub(crate) fn crowded(db: &Connection) -> Result<Vec<i64>> {
    let mut query =
        db.prepare("SELECT tenant FROM lookup_recent GROUP BY tenant HAVING count(*) >= ?1")?;
    let rows = query.query_map([2 * LOOKUP_RECENT], |row| row.get(0))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// The names of a tenant's runs.
pub(crate) fn names(db: &Connection, tenant: i64) -> Result<Vec<Name>> {
    let runs = registered(db, tenant)?.into_iter();
    Ok(runs.map(|(name, _)| name).collect())
}

/// The runs of a tenant in this snapshot, oldest first.
fn registered(db: &Connection, tenant: i64) -> Result<Vec<(Name, u64)>> {
    let mut query =
        db.prepare_cached("SELECT name, entries FROM lookup_run WHERE tenant = ?1 ORDER BY id")?;
    let rows = query.query_map([tenant], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

fn path(owner: &Owner, name: &Name) -> PathBuf {
    owner.dir.join(hex::encode(name))
}

fn entries_of(folder: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
        Ok(entries) => entries
            .map(|entry| Ok(entry.map(|entry| entry.path())?))
            .collect(),
    }
}

/// Copies the runs that `index` registers, between the folders of archives or
/// backups.
pub(crate) fn copy(index: &Connection, from: &Path, to: &Path) -> Result<()> {
    // An index from before there were any has no table of them.
    if !index.has_table("lookup_run")? {
        return Ok(());
    }
    let mut query = index.prepare(
        "SELECT tenant.name, lookup_run.name FROM lookup_run JOIN tenant ON tenant.id = tenant",
    )?;
    let mut rows = query.query([])?;
    let mut folders = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let (tenant, name): (String, Name) = (row.get(0)?, row.get(1)?);
        let below = Path::new("lookup").join(tenant);
        let folder = to.join(&below);
        std::fs::create_dir_all(&folder)?;
        let target = folder.join(hex::encode(&name));
        std::fs::copy(from.join(&below).join(hex::encode(&name)), &target)?;
        std::fs::File::open(&target)?.sync_all()?;
        folders.extend([folder, to.join("lookup"), to.to_owned()]);
    }
    for folder in folders {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
