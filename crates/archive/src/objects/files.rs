//! Objects as files: `objects/TENANT/XX/NAME` of the archive's folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Listed, ObjectName, below, named};
use crate::disk::{Disk, ObjectFile};
use crate::error::{ArchiveError, Result};

/// Folders per tenant.
const FAN_OUT: usize = 256;

pub(crate) struct Files {
    /// The archive's folder.
    root: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Files {
    /// Those of an archive that is being opened.
    pub(super) fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Self> {
        let files = Self::at(root, disk);
        files.disk.create_dir(&files.top())?;
        Ok(files)
    }

    pub(super) fn at(root: &Path, disk: Arc<dyn Disk>) -> Self {
        Self {
            root: root.to_owned(),
            disk,
        }
    }

    fn top(&self) -> PathBuf {
        self.root.join("objects")
    }

    pub(super) fn path(&self, tenant: &str, name: &ObjectName) -> PathBuf {
        let (folder, text) = below(name);
        self.top().join(tenant).join(folder).join(text)
    }

    fn folder(&self, tenant: &str, name: &ObjectName) -> PathBuf {
        self.top().join(tenant).join(below(name).0)
    }

    pub(super) fn prepare(&self, tenant: &str) -> Result<()> {
        let dir = self.top().join(tenant);
        for fan in 0..FAN_OUT {
            self.disk.create_dir(&dir.join(format!("{fan:02x}")))?;
        }
        self.disk.sync_dir(&dir)?;
        self.disk.sync_dir(&self.top())?;
        Ok(self.disk.sync_dir(&self.root)?)
    }

    pub(super) fn create(&self, tenant: &str, name: &ObjectName) -> Result<Box<dyn ObjectFile>> {
        Ok(self.disk.create_direct(&self.path(tenant, name))?)
    }

    pub(super) fn settle<'a>(
        &self,
        names: impl IntoIterator<Item = (&'a str, &'a ObjectName)>,
    ) -> Result<()> {
        let folders: BTreeSet<_> = names
            .into_iter()
            .map(|(tenant, name)| self.folder(tenant, name))
            .collect();
        // Those of a tenant that was ended may be gone.
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            self.disk.sync_dir(folder)?;
        }
        Ok(())
    }

    pub(super) fn get(&self, tenant: &str, name: &ObjectName) -> Result<File> {
        match File::open(self.path(tenant, name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(ArchiveError::Missing),
            other => Ok(other?),
        }
    }

    pub(super) fn remove(&self, tenant: &str, name: &ObjectName) -> Result<()> {
        Ok(self.disk.remove(&self.path(tenant, name))?)
    }

    pub(super) fn remove_tenant(&self, tenant: &str) -> Result<()> {
        match fs::remove_dir_all(self.top().join(tenant)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(self.disk.sync_dir(&self.top())?),
        }
    }

    /// Makes the folder of one object.
    pub(super) fn make_folder(&self, tenant: &str, name: &ObjectName) -> Result<()> {
        Ok(self.disk.create_dir(&self.folder(tenant, name))?)
    }

    /// Copies a file to where an object is; its length.
    pub(super) fn copy_of(&self, from: &Path, tenant: &str, name: &ObjectName) -> Result<u64> {
        self.make_folder(tenant, name)?;
        let to = self.path(tenant, name);
        let copied = fs::copy(from, &to).map_err(|error| match error.kind() {
            ErrorKind::NotFound => ArchiveError::Missing,
            _ => error.into(),
        })?;
        File::open(&to)?.sync_all()?;
        Ok(copied)
    }

    /// Makes every name below the folder durable.
    pub(super) fn sync_all(&self) -> Result<()> {
        self.disk.create_dir(&self.top())?;
        let mut folders = vec![self.root.clone(), self.top()];
        for tenant in fs::read_dir(self.top())? {
            let tenant = tenant?.path();
            for folder in fs::read_dir(&tenant)? {
                folders.push(folder?.path());
            }
            folders.push(tenant);
        }
        for folder in folders {
            self.disk.sync_dir(&folder)?;
        }
        Ok(())
    }

    pub(super) fn list(&self, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        let top = self.top();
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                    continue;
                }
                let parts: Option<Vec<_>> = path
                    .strip_prefix(&top)
                    .ok()
                    .and_then(|path| path.iter().map(|part| part.to_str()).collect());
                let short = path.strip_prefix(&self.root).unwrap_or(&path);
                each(Listed {
                    object: parts.and_then(|parts| named(&parts)),
                    path: short.display().to_string(),
                })?;
            }
        }
        Ok(())
    }
}
