//! The few writes that the archive does to a file system, behind a trait so
//! that tests can make exactly one of them fail. It knows no formats; reading
//! needs no seam and goes straight to `std::fs`.

mod direct;

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::Path;

/// A file being written, append only.
pub trait ObjectFile: Send {
    /// Appends all of `parts`; some of it may wait in memory for `sync`.
    ///
    /// # Errors
    /// As the system says; how much was written is unknown then.
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()>;

    /// Returns once data and length are durable. Never called again on a file
    /// where it failed once: the kernel may have dropped the dirty pages.
    ///
    /// # Errors
    /// As the system says.
    fn sync(&mut self) -> io::Result<()>;

    /// Gives the space of an abandoned file back; best effort.
    fn release(&mut self);
}

/// Where objects are written.
pub trait Disk: Send + Sync + 'static {
    /// Creates a file that must not exist.
    ///
    /// # Errors
    /// As the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn ObjectFile>>;

    /// The same for what is long and synced at once: where the system can, it
    /// is written past the page cache.
    ///
    /// # Errors
    /// As the system says.
    fn create_direct(&self, path: &Path) -> io::Result<Box<dyn ObjectFile>> {
        self.create(path)
    }

    /// Creates a folder and those above it; existing ones are fine.
    ///
    /// # Errors
    /// As the system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns once the entries of a folder are durable.
    ///
    /// # Errors
    /// As the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes a file; one that is gone already is fine.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

struct LocalFile(File);

/// `writev` takes at most 1,024 parts (`IOV_MAX`).
const PARTS_PER_WRITE: usize = 1_024;

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

impl ObjectFile for LocalFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for group in parts.chunks(PARTS_PER_WRITE) {
            let mut slices: Vec<IoSlice<'_>> =
                group.iter().map(|part| IoSlice::new(part)).collect();
            let mut rest = slices.as_mut_slice();
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match self.0.write_vectored(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => IoSlice::advance_slices(&mut rest, written),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn release(&mut self) {
        let _ = self.0.set_len(0);
    }
}

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn ObjectFile>> {
        Ok(Box::new(LocalFile(create_new(path)?)))
    }

    fn create_direct(&self, path: &Path) -> io::Result<Box<dyn ObjectFile>> {
        Ok(Box::new(direct::DirectFile::create(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Fills `into` with what is read once only, past the page cache where the
/// system can. The file's other readers must be aligned or come through here.
///
/// # Errors
/// As the system says; `UnexpectedEof` where the file is shorter.
pub(crate) fn read_once(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    direct::read_exact(file, into, at)
}
