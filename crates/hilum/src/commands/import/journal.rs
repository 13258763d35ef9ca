//! Remembers which files of a folder are stored, so that an import that goes on
//! reads none of them again: `DATA/imports/NAME`, a header and 16 bytes a file.
//! Paths can name patients, so only salted digests of them are written. Losing
//! the journal costs time and nothing else.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use hilum_contracts::ids::TenantId;

use crate::commands::hex;

const MAGIC: &[u8; 8] = b"HILUMIM1";
const HEADER: usize = 8 + 16;
const ENTRY: usize = 16;

/// A file as it is now: another size or time of change is another file.
pub(super) struct Mark {
    path: Vec<u8>,
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Mark {
    pub(super) fn of(from: &Path, path: &Path) -> std::io::Result<Self> {
        let metadata = path.metadata()?;
        let path = path.strip_prefix(from).unwrap_or(path);
        Ok(Self {
            path: path.as_os_str().as_bytes().to_vec(),
            bytes: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

pub(super) struct Journal {
    salt: [u8; 16],
    known: HashSet<[u8; ENTRY]>,
    file: File,
}

impl Journal {
    /// The journal of this folder and tenant; `again` begins a new one.
    pub(super) fn open(
        data: &Path,
        from: &Path,
        tenant: &TenantId,
        again: bool,
    ) -> anyhow::Result<Self> {
        let folder = data.join("imports");
        std::fs::create_dir_all(&folder)?;
        let mut name = from.as_os_str().as_bytes().to_vec();
        name.push(0);
        name.extend_from_slice(tenant.as_str().as_bytes());
        let path = folder.join(hex(&digest(&[&name])));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(again)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("can't write {}", path.display()))?;
        let busy = "another import of this folder is going on: wait for it";
        file.try_lock().context(busy)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let head = bytes
            .split_at_checked(HEADER)
            .filter(|(head, _)| head.starts_with(MAGIC));
        let Some((head, entries)) = head else {
            return Self::begin(file);
        };
        let mut salt = [0; 16];
        salt.copy_from_slice(head.get(8..).unwrap_or_default());
        // A torn last entry is cut off, so that what follows is in step.
        let (entries, torn) = entries.as_chunks::<ENTRY>();
        if !torn.is_empty() {
            let whole = HEADER + size_of_val(entries);
            file.set_len(u64::try_from(whole)?)?;
            std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
        }
        Ok(Self {
            salt,
            known: entries.iter().copied().collect(),
            file,
        })
    }

    fn begin(mut file: File) -> anyhow::Result<Self> {
        let salt = uuid::Uuid::new_v4().into_bytes();
        file.set_len(0)?;
        std::io::Seek::rewind(&mut file)?;
        file.write_all(MAGIC)?;
        file.write_all(&salt)?;
        Ok(Self {
            salt,
            known: HashSet::new(),
            file,
        })
    }

    pub(super) fn knows(&self, mark: &Mark) -> bool {
        self.known.contains(&self.entry(mark))
    }

    /// Remembers a file whose instance is durable.
    pub(super) fn note(&mut self, mark: &Mark) -> std::io::Result<()> {
        let entry = self.entry(mark);
        if self.known.insert(entry) {
            self.file.write_all(&entry)?;
        }
        Ok(())
    }

    fn entry(&self, mark: &Mark) -> [u8; ENTRY] {
        digest(&[
            &self.salt,
            &mark.bytes.to_le_bytes(),
            &mark.seconds.to_le_bytes(),
            &mark.nanoseconds.to_le_bytes(),
            &mark.path,
        ])
    }
}

/// The first half of SHA-256.
fn digest(parts: &[&[u8]]) -> [u8; ENTRY] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let whole = context.finish();
    let mut half = [0; ENTRY];
    half.copy_from_slice(whole.as_ref().get(..ENTRY).unwrap_or(&[0; ENTRY]));
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_entry_is_cut_off_and_the_rest_is_known() {
        let (data, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tenant = TenantId::new("a").unwrap();
        let open = |again| Journal::open(data.path(), from.path(), &tenant, again);
        let mark = |name: &str| {
            let path = from.path().join(name);
            std::fs::write(&path, name).unwrap();
            Mark::of(from.path(), &path).unwrap()
        };
        let (one, two) = (mark("one"), mark("two"));
        let mut journal = open(false).unwrap();
        journal.note(&one).unwrap();
        journal.file.write_all(&[1, 2, 3]).unwrap();
        drop(journal);

        let mut journal = open(false).unwrap();
        assert!(journal.knows(&one) && !journal.knows(&two));
        journal.note(&two).unwrap();
        assert!(open(false).is_err(), "one import of a folder at a time");
        drop(journal);
        let journal = open(false).unwrap();
        assert!(journal.knows(&one) && journal.knows(&two));
        drop(journal);
        assert!(!open(true).unwrap().knows(&one));
    }
}
