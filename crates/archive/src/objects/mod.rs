//! Where objects are: files of the archive's folder, or objects of a bucket
//! (S3). Knows names and bytes, not formats. Everything here may block.

mod blocks;
mod bucket;
mod copy;
mod files;
mod remote;
mod upload;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::archive::blocking;
use crate::descriptor::hex;
use crate::disk::{self, Disk, ObjectFile};
use crate::error::{ArchiveError, Result};
use crate::limits::Limits;

pub(crate) use bucket::Bucket;
pub use bucket::{BucketConfig, BucketKey};
pub(crate) use files::Files;
use remote::Remote;
use upload::Upload;

/// Names an object among its tenant's.
pub(crate) type ObjectName = [u8; 16];

/// Where the objects of an archive are.
#[derive(Debug, Clone, Default)]
pub enum ObjectsAt {
    /// In the archive's own folder.
    #[default]
    Folder,
    /// In a bucket. An instance is acknowledged once the bucket has it.
    Bucket(Box<BucketConfig>),
}

impl ObjectsAt {
    /// Asks whether objects can be reached there.
    ///
    /// # Errors
    /// [`ArchiveError::Bucket`] when the bucket does not answer or refuses,
    /// [`ArchiveError::Invalid`] when there is none, or it can't be asked as it is
    /// configured.
    pub async fn answers(&self) -> Result<()> {
        let Self::Bucket(config) = self else {
            return Ok(());
        };
        let config = config.clone();
        blocking(move || Bucket::open(&config, &Limits::default())?.lets_us_in()).await
    }
}

/// The objects of an archive.
pub(crate) enum Objects {
    Files(Files),
    Bucket(Arc<Bucket>),
}

/// What lies where objects lie.
pub(crate) struct Listed {
    /// For people: its path below the archive's folder, or its key.
    pub path: String,
    /// Its tenant and name, where they can be those of an object.
    pub object: Option<(String, ObjectName)>,
}

impl Objects {
    pub(crate) fn open(
        at: &ObjectsAt,
        dir: &Path,
        disk: Arc<dyn Disk>,
        limits: &Limits,
    ) -> Result<Self> {
        match at {
            ObjectsAt::Folder => Ok(Self::Files(Files::open(dir, disk)?)),
            ObjectsAt::Bucket(config) => Ok(Self::Bucket(Arc::new(Bucket::open(config, limits)?))),
        }
    }

    /// Those in a folder that nobody has open.
    pub(crate) fn in_folder(dir: &Path) -> Self {
        Self::Files(Files::at(dir, Arc::new(disk::LocalDisk)))
    }

    /// Makes room for a tenant's objects, durably, before there is one.
    pub(crate) fn prepare(&self, tenant: &str) -> Result<()> {
        match self {
            Self::Files(files) => files.prepare(tenant),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Begins an object.
    pub(crate) fn create(&self, tenant: &str, name: &ObjectName) -> Result<Writing> {
        match self {
            Self::Files(files) => Ok(Writing::File(files.create(tenant, name)?)),
            Self::Bucket(bucket) => Ok(Writing::Upload(Upload::new(bucket, tenant, name))),
        }
    }

    /// Returns once it is durable that objects of these names are there, or are
    /// not there any more.
    pub(crate) fn settle<'a>(
        &self,
        names: impl IntoIterator<Item = (&'a str, &'a ObjectName)>,
    ) -> Result<()> {
        match self {
            Self::Files(files) => files.settle(names),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Opens an object to be read; `Missing`: there is none.
    pub(crate) fn get(&self, tenant: &str, name: &ObjectName) -> Result<Object> {
        match self {
            Self::Files(files) => Ok(Object::File(files.get(tenant, name)?)),
            Self::Bucket(bucket) => Ok(Object::Remote(Remote::new(bucket, tenant, name))),
        }
    }

    /// Whether there is such an object.
    pub(crate) fn exists(&self, tenant: &str, name: &ObjectName) -> Result<bool> {
        match self {
            Self::Files(files) => Ok(files.path(tenant, name).exists()),
            Self::Bucket(bucket) => bucket.exists(tenant, name),
        }
    }

    /// Removes an object; one that is gone already is fine.
    pub(crate) fn remove(&self, tenant: &str, name: &ObjectName) -> Result<()> {
        match self {
            Self::Files(files) => files.remove(tenant, name),
            Self::Bucket(bucket) => bucket.remove(tenant, name),
        }
    }

    /// Removes whatever is left of a tenant's.
    pub(crate) fn remove_tenant(&self, tenant: &str) -> Result<()> {
        match self {
            Self::Files(files) => files.remove_tenant(tenant),
            Self::Bucket(bucket) => bucket.remove_tenant(tenant),
        }
    }

    /// Calls `each` with whatever is there, in any order.
    pub(crate) fn list(&self, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        match self {
            Self::Files(files) => files.list(each),
            Self::Bucket(bucket) => bucket.list(each),
        }
    }

    /// Whether this is a place for objects, before the first is put there.
    pub(crate) fn lets_us_in(&self) -> Result<()> {
        match self {
            Self::Files(_) => Ok(()),
            Self::Bucket(bucket) => bucket.lets_us_in(),
        }
    }

    /// Whether objects can be reached now.
    pub(crate) fn answers(&self) -> Result<()> {
        match self {
            Self::Files(_) => Ok(()),
            Self::Bucket(bucket) => bucket.answers(),
        }
    }

    /// How long a dead object stays for those who began to read it. A file that
    /// is open can be read when it is gone; an object of a bucket can't.
    pub(crate) fn lease(&self) -> Duration {
        match self {
            Self::Files(_) => Duration::ZERO,
            Self::Bucket(bucket) => bucket.lease,
        }
    }

    /// Whether objects of tenants that this index does not know are another's.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Bucket(bucket) => bucket.is_shared,
        }
    }

    /// Whether what nobody knows is looked for in each sweep. Who lists a bucket
    /// pays for it; `verify` does it there.
    pub(crate) fn is_listed_often(&self) -> bool {
        matches!(self, Self::Files(_))
    }
}

/// An object on its way in.
pub(crate) enum Writing {
    File(Box<dyn ObjectFile>),
    Upload(Upload),
}

impl Writing {
    /// Appends all of `parts`.
    pub(crate) fn append(&mut self, parts: &[&[u8]]) -> Result<()> {
        match self {
            Self::File(file) => Ok(file.append(parts)?),
            Self::Upload(upload) => upload.append(parts),
        }
    }

    /// Sends on what waits, so that the end does not take long.
    pub(crate) fn flush(&mut self) -> Result<()> {
        match self {
            Self::File(file) => Ok(file.sync()?),
            Self::Upload(_) => Ok(()),
        }
    }

    /// Returns once the bytes are durable; their name is after
    /// [`Objects::settle`].
    pub(crate) fn finish(&mut self) -> Result<()> {
        match self {
            Self::File(file) => Ok(file.sync()?),
            Self::Upload(upload) => upload.finish(),
        }
    }

    /// Gives the space of an abandoned object back; best effort.
    pub(crate) fn release(&mut self) {
        match self {
            Self::File(file) => file.release(),
            Self::Upload(upload) => upload.release(),
        }
    }
}

/// An object that is read.
pub(crate) enum Object {
    /// Its bytes stay readable even when it is removed meanwhile: the open file
    /// is the lease.
    File(File),
    /// Its bytes stay readable for [`Objects::lease`].
    Remote(Remote),
}

impl Object {
    /// Its length in bytes.
    pub(crate) fn length(&self) -> Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Remote(remote) => remote.length(),
        }
    }

    /// Says that these bytes are about to be read, one after the other.
    pub(crate) fn expect(&mut self, at: u64, length: u64) {
        if let Self::Remote(remote) = self {
            remote.expect(at, length);
        }
    }

    /// Fills `into`. Fewer bytes than that are damage, not the end.
    pub(crate) fn read_exact(&self, into: &mut [u8], at: u64) -> Result<()> {
        match self {
            Self::File(file) => read_exact(file, into, at),
            Self::Remote(remote) => match remote.read(into, at)? == into.len() {
                true => Ok(()),
                false => Err(ArchiveError::Corrupt),
            },
        }
    }

    /// The same for what nobody is expected to ask for again.
    pub(crate) fn read_once(&self, into: &mut [u8], at: u64) -> Result<()> {
        match self {
            Self::File(file) => whole(disk::read_once(file, into, at)),
            Self::Remote(_) => self.read_exact(into, at),
        }
    }

    /// As much of the beginning as there is; how much.
    pub(crate) fn read_beginning(&self, into: &mut [u8]) -> Result<usize> {
        let file = match self {
            Self::File(file) => file,
            Self::Remote(remote) => return remote.read(into, 0),
        };
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }
}

/// Fills `into` from a file. Fewer bytes than that are damage, not the end.
pub(crate) fn read_exact(file: &File, into: &mut [u8], at: u64) -> Result<()> {
    whole(file.read_exact_at(into, at))
}

fn whole(read: io::Result<()>) -> Result<()> {
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::Corrupt,
        _ => error.into(),
    })
}

/// What stands for an object below `objects/TENANT/`, in folders so that none
/// grows to millions of entries.
fn below(name: &ObjectName) -> (String, String) {
    let text = hex::encode(name);
    (text.get(..2).unwrap_or_default().to_owned(), text)
}

/// The object that `objects/TENANT/FOLDER/NAME` stands for.
fn named(parts: &[&str]) -> Option<(String, ObjectName)> {
    let [tenant, folder, text] = parts else {
        return None;
    };
    let name = hex::decode::<16>(text)?;
    let in_place = below(&name) == ((*folder).to_owned(), (*text).to_owned());
    in_place.then(|| ((*tenant).to_owned(), name))
}
