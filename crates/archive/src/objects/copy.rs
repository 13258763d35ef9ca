//! Copies of objects as they are, sealed: into a backup and back.

use super::{Object, ObjectName, Objects};
use crate::error::{ArchiveError, Result};

/// Bytes copied at a time.
const PIECE: u64 = 4 << 20;

impl Objects {
    /// Copies an object to where `to` has it; its length.
    pub(crate) fn copy(&self, to: &Self, tenant: &str, name: &ObjectName) -> Result<u64> {
        if let (Self::Files(from), Self::Files(to)) = (self, to) {
            return to.copy_of(&from.path(tenant, name), tenant, name);
        }
        let object = self.get(tenant, name)?;
        let length = object.length()?;
        // A bucket that outlived its archive has most of them.
        if let Self::Bucket(_) = to
            && to.length_of(tenant, name)? == Some(length)
        {
            return Ok(length);
        }
        if let Self::Files(to) = to {
            to.make_folder(tenant, name)?;
        }
        let mut writing = to.create(tenant, name)?;
        let copied = copy_bytes(&object, length, |piece| writing.append(&[piece]))
            .and_then(|()| writing.finish());
        copied.inspect_err(|_| writing.release())?;
        Ok(length)
    }

    fn length_of(&self, tenant: &str, name: &ObjectName) -> Result<Option<u64>> {
        match self.get(tenant, name)?.length() {
            Err(ArchiveError::Missing) => Ok(None),
            length => length.map(Some),
        }
    }

    /// Returns once everything that was copied is durable by its name.
    pub(crate) fn settle_all(&self) -> Result<()> {
        match self {
            Self::Files(files) => files.sync_all(),
            Self::Bucket(_) => Ok(()),
        }
    }
}

fn copy_bytes(
    object: &Object,
    length: u64,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = Vec::new();
    let mut at = 0;
    while at < length {
        let some = PIECE.min(length - at);
        buffer.resize(usize::try_from(some).map_err(|_| ArchiveError::Corrupt)?, 0);
        object.read_once(&mut buffer, at)?;
        take(&buffer)?;
        at += some;
    }
    Ok(())
}
