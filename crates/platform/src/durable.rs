//! Files that are replaced as a whole: whatever ends the process or the power,
//! whoever opens one afterwards finds what was there or what was to be there,
//! never half of it. Owns the order of the calls; never what a file says.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Replaces the file at `path`, or makes it. Durable when this returns. Blocks.
///
/// # Errors
/// Of the disk; the file at `path` may be the old or the new one then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::beside(path)?;
    draft.write_all(bytes)?;
    draft.finish()
}

/// Makes the names in a folder durable. Blocks.
///
/// # Errors
/// Of the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What is to become a file. Until then it lies under another name of the same
/// file system, where it stays when it is dropped; the next draft of that name
/// begins anew.
#[derive(Debug)]
#[must_use = "a draft is nothing until it is finished"]
pub struct Draft {
    file: File,
    draft: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// A draft at `PATH.new`.
    ///
    /// # Errors
    /// Of the disk.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let mut draft = OsString::from(path);
        draft.push(".new");
        Self::at(Path::new(&draft), path)
    }

    /// A draft at `draft` of the file at `path`.
    ///
    /// # Errors
    /// Of the disk.
    pub fn at(draft: &Path, path: &Path) -> io::Result<Self> {
        Self::open(draft, path, 0o666)
    }

    /// A draft of a file that nobody but the service's user may read.
    ///
    /// # Errors
    /// Of the disk.
    pub fn private(draft: &Path, path: &Path) -> io::Result<Self> {
        Self::open(draft, path, 0o600)
    }

    fn open(draft: &Path, path: &Path, mode: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(draft)?;
        Ok(Self {
            file,
            draft: draft.to_owned(),
            path: path.to_owned(),
        })
    }

    /// Makes the content durable, gives it its name, and makes that durable.
    /// Blocks.
    ///
    /// # Errors
    /// Of the disk; the file may be the old or the new one then.
    pub fn finish(self) -> io::Result<()> {
        self.sync()?.name()?.sync()
    }

    /// The first of the three parts of [`Draft::finish`]: the content is
    /// durable. Blocks.
    ///
    /// # Errors
    /// Of the disk; never try it again, the system may have dropped what it
    /// could not write.
    pub fn sync(self) -> io::Result<Synced> {
        self.file.sync_all()?;
        Ok(Synced {
            draft: self.draft,
            path: self.path,
        })
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A draft that is durable under its draft's name.
#[derive(Debug)]
#[must_use = "a draft is nothing until it is named"]
pub struct Synced {
    draft: PathBuf,
    path: PathBuf,
}

impl Synced {
    /// Gives it its name: who opens that from now on finds it. Blocks.
    ///
    /// # Errors
    /// Of the disk.
    pub fn name(self) -> io::Result<Named> {
        fs::rename(&self.draft, &self.path)?;
        Ok(Named { path: self.path })
    }
}

/// A file that has its name, which a power cut may still take back.
#[derive(Debug)]
#[must_use = "its name is not durable yet"]
pub struct Named {
    path: PathBuf,
}

impl Named {
    /// Makes the name durable. Blocks.
    ///
    /// # Errors
    /// Of the disk.
    pub fn sync(self) -> io::Result<()> {
        match self.path.parent() {
            // A name alone is one in the folder that the process works in.
            Some(folder) if folder.as_os_str().is_empty() => sync_folder(Path::new(".")),
            Some(folder) => sync_folder(folder),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_replaced_file_is_the_old_one_until_the_new_one_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept.json");
        replace(&path, b"old and longer").unwrap();
        let mut draft = Draft::beside(&path).unwrap();
        draft.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old and longer");
        let synced = draft.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old and longer");
        synced.name().unwrap().sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_that_was_left_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept.json");
        Draft::beside(&path).unwrap().write_all(b"half of").unwrap();
        assert!(!path.exists());
        replace(&path, b"all").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"all");
    }

    #[test]
    fn a_private_file_is_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let mut draft = Draft::private(&dir.path().join("key.new"), &path).unwrap();
        draft.write_all(b"secret").unwrap();
        draft.finish().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
