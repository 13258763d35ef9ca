//! A data set while it arrives: in memory as long as it is small and memory is
//! left, in a file afterwards. Never the whole of a large one in memory. Spool
//! files are removed when dropped, and what a crash left is removed at start.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hilum_archive::Body;
use uuid::Uuid;

use crate::digest::Sha256;
use crate::limits::{DATA_SET_MAX, SPOOL_MEMORY, SPOOL_MEMORY_TOTAL};

/// Why a data set could not be kept while it arrived.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error("the data set is longer than this server takes")]
    TooLong,
    #[error("the spool can't be written: {0}")]
    Io(#[from] std::io::Error),
}

/// Where data sets are spooled.
#[derive(Clone, Debug)]
pub(crate) struct Spools {
    dir: Arc<PathBuf>,
    in_memory: Arc<AtomicUsize>,
}

/// One data set while it arrives.
#[derive(Debug)]
pub(crate) struct Spool {
    spools: Spools,
    memory: Vec<u8>,
    file: Option<(std::fs::File, PathBuf)>,
    length: u64,
    digest: Sha256,
}

/// A data set that has arrived. Its file, if any, goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Spooled {
    body: Body,
    /// Bytes counted against the memory limit until this is dropped.
    counted: usize,
    spools: Spools,
    sha256: [u8; 32],
}

impl Spools {
    /// The spool folder; whatever an earlier process left in it is removed.
    pub(crate) fn open(dir: PathBuf) -> std::io::Result<Self> {
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::create_dir_all(&dir)?;
        // Arriving data sets are in clear here: for this user only.
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(Self {
            dir: Arc::new(dir),
            in_memory: Arc::default(),
        })
    }

    pub(crate) fn begin(&self) -> Spool {
        Spool {
            spools: self.clone(),
            memory: Vec::new(),
            file: None,
            length: 0,
            digest: Sha256::default(),
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let before = self.in_memory.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= SPOOL_MEMORY_TOTAL;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        self.in_memory.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Spool {
    /// The next piece. Writing to a spool file blocks for as long as the page
    /// cache takes it, which is what holds back a sender on a slow disk.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        let length = self
            .length
            .saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if length > DATA_SET_MAX {
            return Err(SpoolError::TooLong);
        }
        self.digest.update(piece);
        self.length = length;
        if let Some((file, _)) = &mut self.file {
            file.write_all(piece)?;
            return Ok(());
        }
        let fits = self.memory.len().saturating_add(piece.len()) <= SPOOL_MEMORY;
        if fits && self.spools.take(piece.len()) {
            self.memory.extend_from_slice(piece);
            return Ok(());
        }
        let path = self.spools.dir.join(Uuid::new_v4().to_string());
        let mut file = std::fs::File::create_new(&path)?;
        // From here on `Drop` removes the file.
        let written = file
            .write_all(&self.memory)
            .and_then(|()| file.write_all(piece));
        self.file = Some((file, path));
        self.release_memory();
        Ok(written?)
    }

    fn release_memory(&mut self) {
        self.spools.give_back(self.memory.len());
        self.memory = Vec::new();
    }

    /// The data set has arrived.
    pub(crate) fn finish(mut self) -> Spooled {
        let counted = self.memory.len();
        let body = match self.file.take() {
            Some((_, path)) => Body::Spool {
                path,
                length: self.length,
            },
            None => Body::Memory(Bytes::from(std::mem::take(&mut self.memory))),
        };
        Spooled {
            body,
            counted,
            spools: self.spools.clone(),
            sha256: std::mem::take(&mut self.digest).finish(),
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.release_memory();
        if let Some((_, path)) = self.file.take() {
            remove(&path);
        }
    }
}

impl Spooled {
    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.spools.give_back(self.counted);
        if let Body::Spool { path, .. } = &self.body {
            remove(path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, "a spool file was not removed; it goes at the next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_data_set_stays_in_memory_and_a_large_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let spools = Spools::open(dir.path().join("spool")).unwrap();
        let mut small = spools.begin();
        small.write(&[1; 1000]).unwrap();
        let small = small.finish();
        assert!(matches!(small.body(), Body::Memory(bytes) if bytes.len() == 1000));

        let mut large = spools.begin();
        for _ in 0..9 {
            large.write(&vec![2; 1 << 20]).unwrap();
        }
        assert_eq!(spools.in_memory.load(Ordering::Relaxed), 1000);
        let large = large.finish();
        let Body::Spool { path, length } = large.body().clone() else {
            panic!("a spool file was expected");
        };
        assert_eq!(length, 9 << 20);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
        drop((small, large));
        assert!(!path.exists());
        assert_eq!(spools.in_memory.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_abandoned_data_set_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let spools = Spools::open(dir.path().join("spool")).unwrap();
        let mut spool = spools.begin();
        spool.write(&vec![0; SPOOL_MEMORY + 1]).unwrap();
        drop(spool);
        assert_eq!(
            std::fs::read_dir(dir.path().join("spool")).unwrap().count(),
            0
        );
    }
}
