//! The keys: master → tenant → study, each wrapped by the one above, in
//! `keys.sqlite` or a schema of PostgreSQL. A study key is durable before anything is sealed with it.
//! Nothing here sees instances, and no key leaves in the clear.

mod ended;
mod master;
mod rotate;
mod whole;
mod wrap;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use hilum_platform::db::Migration;
use zeroize::Zeroizing;

use self::master::MasterFile;
pub(crate) use self::wrap::random;
use self::wrap::{study_context, tenant_context, unwrap, wrap, wrapping_key};
use crate::db::{Connection, OptionalExtension, Place, Tables, Whose, params};
use crate::error::{ArchiveError, Result};
use crate::steps;

/// Where the master key comes from.
#[derive(Clone)]
pub enum MasterKey {
    /// `DIR/keys/master.key`: 32 bytes, made with mode 0600 when the archive is
    /// first opened. Back it up apart from the data: without it, nothing opens.
    File,
    /// Given by the caller.
    Given(Zeroizing<[u8; 32]>),
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "MasterKey::File",
            Self::Given(_) => "MasterKey::Given(…)",
        })
    }
}

/// One study's key, unwrapped.
pub(crate) struct StudyKey {
    pub id: [u8; 16],
    pub secret: Zeroizing<[u8; 32]>,
}

pub(crate) struct KeyStore {
    db: Mutex<Connection>,
    /// Held for reading while a tenant key is wrapped or unwrapped, for writing
    /// by a rotation. Locked before `db`.
    master: RwLock<LessSafeKey>,
    file: MasterFile,
    cache: Mutex<Cache>,
    capacity: usize,
}

#[derive(Default)]
struct Cache {
    tenants: HashMap<String, Arc<TenantKey>>,
    by_id: HashMap<(String, [u8; 16]), Arc<StudyKey>>,
    by_label: HashMap<(String, [u8; 32]), Arc<StudyKey>>,
}

struct TenantKey {
    wrapping: LessSafeKey,
    root: hmac::Key,
    lookup: hmac::Key,
    tombstones: hmac::Key,
}

const MIGRATIONS: &[&str] = &[
    "CREATE TABLE master (id INTEGER PRIMARY KEY CHECK (id = 1), proof BLOB NOT NULL);
     CREATE TABLE tenant_key (
        tenant TEXT PRIMARY KEY, wrapped BLOB NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;
     CREATE TABLE study_key (
        tenant TEXT NOT NULL, id BLOB NOT NULL, label BLOB NOT NULL,
        wrapped BLOB NOT NULL, created_at INTEGER NOT NULL,
        PRIMARY KEY (tenant, id), UNIQUE (tenant, label)) WITHOUT ROWID;",
    "CREATE TABLE ended_tenant (
        name TEXT PRIMARY KEY, ended_at INTEGER NOT NULL) WITHOUT ROWID;",
];

/// The same on PostgreSQL.
pub(crate) const TABLES: Tables<'_> = Tables {
    service: "keys",
    owners: &[(
        "service",
        &[Migration {
            version: 1,
            sql: "",
            postgres: "
CREATE TABLE master (id BIGINT PRIMARY KEY CHECK (id = 1), proof BYTEA NOT NULL);
CREATE TABLE tenant_key (
    tenant TEXT COLLATE \"C\" PRIMARY KEY, wrapped BYTEA NOT NULL, created_at BIGINT NOT NULL);
CREATE TABLE study_key (
    tenant TEXT COLLATE \"C\" NOT NULL, id BYTEA NOT NULL, label BYTEA NOT NULL,
    wrapped BYTEA NOT NULL, created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id), UNIQUE (tenant, label));
CREATE TABLE ended_tenant (
    name TEXT COLLATE \"C\" PRIMARY KEY, ended_at BIGINT NOT NULL);",
        }],
    )],
    held: &[],
};

/// What the master key's proof is bound to.
const PROOF: &[u8] = b"hilum master proof";

impl KeyStore {
    /// The keys of the archive in `dir`, in a file there.
    pub(crate) fn open(dir: &Path, master: &MasterKey, capacity: usize) -> Result<Self> {
        Self::open_at(&Place::File(dir.join("keys.sqlite")), dir, master, capacity)
    }

    /// The keys of the archive in `dir`, where the file of a master key is.
    pub(crate) fn open_at(
        place: &Place,
        dir: &Path,
        master: &MasterKey,
        capacity: usize,
    ) -> Result<Self> {
        let db = place.writer(MIGRATIONS)?;
        let file = MasterFile::of(dir);
        let opens =
            |secret: &Zeroizing<[u8; 32]>| Ok(prove(&db, &wrapping_key(secret)?)? == Some(true));
        let is_new = proof(&db)?.is_none();
        let secret = match master {
            MasterKey::Given(secret) => secret.clone(),
            MasterKey::File if is_new => file.first()?,
            MasterKey::File => file.find(opens)?,
        };
        let master = wrapping_key(&secret)?;
        match prove(&db, &master)? {
            Some(true) => {}
            Some(false) => return Err(ArchiveError::WrongKey),
            None => {
                let proof = wrap(&master, &[0; 32], PROOF)?;
                db.execute("INSERT INTO master (id, proof) VALUES (1, ?1)", [proof])?;
                steps::at("keys.proven");
            }
        }
        Ok(Self {
            db: Mutex::new(db),
            master: RwLock::new(master),
            file,
            cache: Mutex::default(),
            capacity,
        })
    }

    /// The key of a study (or another unit of erasure named by `label`), made
    /// and committed when there is none. Blocks.
    pub(crate) fn for_label(&self, tenant: &str, label: &str, now: i64) -> Result<Arc<StudyKey>> {
        let owner = self.tenant_key(tenant, now)?;
        let mut hashed = [0; 32];
        hashed.copy_from_slice(hmac::sign(&owner.lookup, label.as_bytes()).as_ref());
        let cached = (tenant.to_owned(), hashed);
        if let Some(key) = self.cache().by_label.get(&cached) {
            return Ok(Arc::clone(key));
        }
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Option<([u8; 16], Vec<u8>)> = db
            .prepare_cached("SELECT id, wrapped FROM study_key WHERE tenant = ?1 AND label = ?2")?
            .query_row(params![tenant, hashed], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let key = match found {
            Some((id, wrapped)) => StudyKey {
                id,
                secret: unwrap(&owner.wrapping, &wrapped, &study_context(tenant, &id))?,
            },
            None => {
                let key = StudyKey {
                    id: random()?,
                    secret: Zeroizing::new(random()?),
                };
                let wrapped = wrap(
                    &owner.wrapping,
                    &key.secret,
                    &study_context(tenant, &key.id),
                )?;
                let made = db
                    .prepare_cached(
                        "INSERT INTO study_key (tenant, id, label, wrapped, created_at)
                         SELECT ?1, ?2, ?3, ?4, ?5
                         WHERE NOT EXISTS (SELECT 1 FROM ended_tenant WHERE name = ?1)",
                    )?
                    .execute(params![tenant, key.id, hashed, wrapped, now])?;
                if made == 0 {
                    return Err(ArchiveError::NotFound);
                }
                steps::at("keys.study-kept");
                key
            }
        };
        drop(db);
        let key = Arc::new(key);
        let mut cache = self.cache();
        if cache.by_label.len() >= self.capacity {
            cache.by_label.clear();
        }
        cache.by_label.insert(cached, Arc::clone(&key));
        Ok(key)
    }

    /// The key that a segment names. Blocks.
    pub(crate) fn by_id(&self, tenant: &str, id: &[u8; 16]) -> Result<Arc<StudyKey>> {
        let cached = (tenant.to_owned(), *id);
        if let Some(key) = self.cache().by_id.get(&cached) {
            return Ok(Arc::clone(key));
        }
        let owner = self
            .existing_tenant_key(tenant)?
            .ok_or(ArchiveError::NotFound)?;
        let wrapped: Option<Vec<u8>> = {
            let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
            db.prepare_cached("SELECT wrapped FROM study_key WHERE tenant = ?1 AND id = ?2")?
                .query_row(params![tenant, id], |row| row.get(0))
                .optional()?
        };
        // A key that was destroyed is an erasure: there is nothing to find.
        let wrapped = wrapped.ok_or(ArchiveError::NotFound)?;
        let key = Arc::new(StudyKey {
            id: *id,
            secret: unwrap(&owner.wrapping, &wrapped, &study_context(tenant, id))?,
        });
        let mut cache = self.cache();
        if cache.by_id.len() >= self.capacity {
            cache.by_id.clear();
        }
        cache.by_id.insert(cached, Arc::clone(&key));
        Ok(key)
    }

    /// The id of the key of `label`, if there is one. Blocks.
    pub(crate) fn id_of(&self, tenant: &str, label: &str) -> Result<Option<[u8; 16]>> {
        let Some(owner) = self.existing_tenant_key(tenant)? else {
            return Ok(None);
        };
        let hashed = hmac::sign(&owner.lookup, label.as_bytes());
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(db
            .prepare_cached("SELECT id FROM study_key WHERE tenant = ?1 AND label = ?2")?
            .query_row(params![tenant, hashed.as_ref()], |row| row.get(0))
            .optional()?)
    }

    /// A hash of `text` that only this tenant's key makes. Blocks.
    pub(crate) fn keyed_hash(&self, tenant: &str, text: &str, now: i64) -> Result<[u8; 32]> {
        let owner = self.tenant_key(tenant, now)?;
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&owner.tombstones, text.as_bytes()).as_ref());
        Ok(hash)
    }

    /// Destroys a key: what it sealed can never be read again.
    pub(crate) fn destroy_id(&self, tenant: &str, id: &[u8; 16]) -> Result<()> {
        let destroyed = self
            .db
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .execute(
                "DELETE FROM study_key WHERE tenant = ?1 AND id = ?2",
                params![tenant, id],
            );
        steps::at("erase.key-destroyed");
        // Also when nobody knows whether it is gone.
        let mut cache = self.cache();
        cache.by_id.clear();
        cache.by_label.clear();
        destroyed?;
        Ok(())
    }

    /// The tenant's key for one purpose; `None` when the tenant has no keys.
    pub(crate) fn derived(&self, tenant: &str, purpose: &str) -> Result<Option<hmac::Key>> {
        let owner = self.existing_tenant_key(tenant)?;
        Ok(owner.map(|owner| {
            let secret = hmac::sign(&owner.root, purpose.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref())
        }))
    }

    /// A secret of the tenant for one purpose, for what stands beside the
    /// archive. Blocks.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when the tenant was ended.
    pub(crate) fn derived_secret(
        &self,
        tenant: &str,
        purpose: &str,
        now: i64,
    ) -> Result<Zeroizing<[u8; 32]>> {
        let owner = self.tenant_key(tenant, now)?;
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(hmac::sign(&owner.root, purpose.as_bytes()).as_ref());
        Ok(secret)
    }

    /// Leaves nothing of destroyed keys in free pages or the write-ahead log.
    pub(crate) fn scrub(&self) -> Result<()> {
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        db.rewrite()?;
        if db.empty_log()? {
            return Ok(());
        }
        Err(ArchiveError::Index(
            "a reader keeps the keys' write-ahead log".to_owned(),
        ))
    }

    /// An online copy of the wrapped keys.
    pub(crate) fn backup(&self, to: &Path) -> Result<()> {
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        db.copy_to(to)
    }

    /// Forgets what is in memory of a tenant's keys.
    pub(crate) fn forget_cached(&self, tenant: &str) {
        let mut cache = self.cache();
        cache.tenants.remove(tenant);
        cache.by_id.clear();
        cache.by_label.clear();
    }

    /// Whether a tenant has a key, which opens.
    pub(crate) fn has(&self, tenant: &str) -> Result<bool> {
        Ok(self.existing_tenant_key(tenant)?.is_some())
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn existing_tenant_key(&self, tenant: &str) -> Result<Option<Arc<TenantKey>>> {
        if let Some(key) = self.cache().tenants.get(tenant) {
            return Ok(Some(Arc::clone(key)));
        }
        let master = self.master.read().unwrap_or_else(PoisonError::into_inner);
        // Held until the key is kept: one that is destroyed meanwhile is not.
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let wrapped: Option<Vec<u8>> = db
            .query_row(
                "SELECT wrapped FROM tenant_key WHERE tenant = ?1",
                [tenant],
                |row| row.get(0),
            )
            .optional()?;
        let Some(wrapped) = wrapped else {
            return Ok(None);
        };
        let secret = unwrap(&master, &wrapped, &tenant_context(tenant))?;
        let key = Arc::new(TenantKey::new(&secret)?);
        self.cache()
            .tenants
            .insert(tenant.to_owned(), Arc::clone(&key));
        Ok(Some(key))
    }

    fn tenant_key(&self, tenant: &str, now: i64) -> Result<Arc<TenantKey>> {
        if let Some(key) = self.existing_tenant_key(tenant)? {
            return Ok(key);
        }
        let master = self.master.read().unwrap_or_else(PoisonError::into_inner);
        let wrapped = wrap(&master, &random()?, &tenant_context(tenant))?;
        {
            let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = db.begin(Whose::Every)?;
            // A rotation whose end nobody heard of may have made another one the master.
            if prove(&tx, &master)? != Some(true) {
                return Err(ArchiveError::WrongKey);
            }
            tx.execute(
                "INSERT INTO tenant_key (tenant, wrapped, created_at) SELECT ?1, ?2, ?3
                 WHERE NOT EXISTS (SELECT 1 FROM ended_tenant WHERE name = ?1)
                 ON CONFLICT DO NOTHING",
                params![tenant, wrapped, now],
            )?;
            tx.commit()?;
        }
        drop(master);
        steps::at("keys.tenant-kept");
        self.existing_tenant_key(tenant)?
            .ok_or(ArchiveError::NotFound)
    }
}

impl TenantKey {
    fn new(secret: &[u8; 32]) -> Result<Self> {
        // Study UIDs are looked up by a keyed hash: the table names no study.
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let lookup = hmac::sign(&root, b"hilum study lookup v1");
        Ok(Self {
            wrapping: wrapping_key(secret)?,
            tombstones: {
                let key = hmac::sign(&root, b"hilum tombstones v1");
                hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
            },
            root,
            lookup: hmac::Key::new(hmac::HMAC_SHA256, lookup.as_ref()),
        })
    }
}

fn proof(db: &Connection) -> Result<Option<Vec<u8>>> {
    Ok(db
        .query_row("SELECT proof FROM master WHERE id = 1", [], |row| {
            row.get(0)
        })
        .optional()?)
}

/// Whether the keys are wrapped by this one; `None`: by none yet.
fn prove(db: &Connection, master: &LessSafeKey) -> Result<Option<bool>> {
    let proof = proof(db)?;
    Ok(proof.map(|proof| unwrap(master, &proof, PROOF).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, master: [u8; 32]) -> Result<KeyStore> {
        KeyStore::open(dir, &MasterKey::Given(Zeroizing::new(master)), 2)
    }

    #[test]
    fn a_study_keeps_its_key_and_another_tenant_gets_another() {
        let dir = tempfile::tempdir().unwrap();
        let first = {
            let keys = open(dir.path(), [1; 32]).unwrap();
            let a = keys.for_label("a", "1.2", 0).unwrap();
            let b = keys.for_label("b", "1.2", 0).unwrap();
            assert_ne!(a.secret, b.secret);
            (a.id, a.secret.clone())
        };
        let keys = open(dir.path(), [1; 32]).unwrap();
        let again = keys.for_label("a", "1.2", 0).unwrap();
        assert_eq!((again.id, again.secret.clone()), first);
        assert_eq!(keys.by_id("a", &first.0).unwrap().secret, first.1);
        assert!(matches!(
            keys.by_id("b", &first.0),
            Err(ArchiveError::NotFound)
        ));
        keys.destroy_id("a", &first.0).unwrap();
        assert!(matches!(
            keys.by_id("a", &first.0),
            Err(ArchiveError::NotFound)
        ));
    }

    #[test]
    fn a_wrong_master_key_is_said_at_once() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), [1; 32]).unwrap());
        assert!(matches!(
            open(dir.path(), [2; 32]),
            Err(ArchiveError::WrongKey)
        ));
    }
}
