//! A tenant's place in the archive: its row, its folder and its reserved names.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hilum_contracts::ids::TenantId;
use hilum_platform::audit::Keys;

use crate::descriptor::hex;
use crate::disk::Disk;
use crate::error::Result;
use crate::index::objects::Name;
use crate::limits;

/// Folders per tenant, so that none grows to millions of entries.
const FAN_OUT: usize = 256;

pub(crate) struct Tenant {
    pub id: TenantId,
    pub row: i64,
    dir: PathBuf,
    names: Mutex<Vec<Name>>,
    audit: OnceLock<Arc<Keys>>,
}

impl Tenant {
    /// Makes the folders, durably, before any object is put there.
    pub(crate) fn prepare(disk: &dyn Disk, root: &Path, id: TenantId, row: i64) -> Result<Self> {
        let dir = tenant_dir(root, id.as_str());
        for fan in 0..FAN_OUT {
            disk.create_dir(&dir.join(format!("{fan:02x}")))?;
        }
        disk.sync_dir(&dir)?;
        disk.sync_dir(&root.join("objects"))?;
        disk.sync_dir(root)?;
        Ok(Self {
            id,
            row,
            dir,
            names: Mutex::default(),
            audit: OnceLock::new(),
        })
    }

    /// The folder of an object, and the object.
    pub(crate) fn path(&self, name: &[u8; 16]) -> (PathBuf, PathBuf) {
        let text = hex::encode(name);
        let folder = self.dir.join(text.get(..2).unwrap_or_default());
        let file = folder.join(text);
        (folder, file)
    }

    /// The keys of its trail, made by `make` when they are first asked for.
    pub(crate) fn audit_keys(&self, make: impl FnOnce() -> Result<Keys>) -> Result<Arc<Keys>> {
        if let Some(keys) = self.audit.get() {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(make()?);
        Ok(Arc::clone(self.audit.get_or_init(|| keys)))
    }

    pub(crate) fn take_name(&self) -> Option<Name> {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    pub(crate) fn add_names(&self, names: impl IntoIterator<Item = Name>) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(names);
    }

    /// How many names the next commit should reserve along with its own work.
    pub(crate) fn names_wanted(&self) -> Option<usize> {
        let left = self
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        (left < limits::NAMES_LOW).then_some(limits::NAMES_RESERVED)
    }
}

/// Where a tenant's objects are.
pub(crate) fn tenant_dir(root: &Path, tenant: &str) -> PathBuf {
    root.join("objects").join(tenant)
}

/// Where an object is, for those who only read.
pub(crate) fn object_path(root: &Path, tenant: &str, name: &[u8; 16]) -> PathBuf {
    let text = hex::encode(name);
    tenant_dir(root, tenant)
        .join(text.get(..2).unwrap_or_default())
        .join(text)
}
