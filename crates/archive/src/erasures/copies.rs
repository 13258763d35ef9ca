//! The backups that were made of an archive: remembered in `backups.json`, so
//! that each is told of later erasures. Never touches what they hold.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hilum_platform::clock::from_millis;
use serde::{Deserialize, Serialize};

use super::ledger::{self, SINCE};
use crate::descriptor::hex;
use crate::error::{ArchiveError, Result};
use crate::keys::random;
use crate::limits;
use crate::model::{BackupCopy, BackupState, ErasureRecord};

/// In a data folder, and as it then was in each backup.
pub(crate) const KNOWN: &str = "backups.json";
/// In a backup: which one it is.
const MANIFEST: &str = "backup.json";

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copy {
    /// Random, in hexadecimal: another backup in the same folder is another one.
    id: String,
    /// When it was begun, in Unix milliseconds.
    pub at: i64,
    folder: PathBuf,
}

/// The backups that are known.
fn read(dir: &Path) -> Result<Vec<Copy>> {
    match fs::read(dir.join(KNOWN)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|_| ArchiveError::Invalid("backups.json is damaged: remove it")),
    }
}

fn write(path: &Path, known: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(known).map_err(|_| ArchiveError::Corrupt)?;
    ledger::replace(path, &text)
}

/// Remembers a backup that is begun, before anything is copied to it.
pub(crate) fn begin(dir: &Path, folder: &Path, at: i64) -> Result<()> {
    let copy = Copy {
        id: hex::encode(&random::<16>()?),
        at,
        folder: std::path::absolute(folder)?,
    };
    let mut known = read(dir)?;
    known.retain(|other| other.folder != copy.folder);
    let excess = known.len().saturating_sub(limits::BACKUPS_KNOWN - 1);
    known.drain(..excess);
    known.push(copy.clone());
    write(&dir.join(KNOWN), &known)?;
    write(&folder.join(MANIFEST), &copy)
}

/// When a backup was begun; `None` for one from before this was written down.
pub(crate) fn made_at(folder: &Path) -> Option<i64> {
    Some(manifest(folder)?.at)
}

fn manifest(folder: &Path) -> Option<Copy> {
    serde_json::from_slice(&fs::read(folder.join(MANIFEST)).ok()?).ok()
}

/// Tells every known backup of `records`, and what became of each. One whose
/// folder was removed is forgotten.
pub(crate) fn tell(dir: &Path, records: &[ErasureRecord]) -> Result<Vec<BackupCopy>> {
    let mut left = Vec::new();
    let mut told = Vec::new();
    let known = read(dir)?;
    let count = known.len();
    for copy in known {
        let state = match manifest(&copy.folder) {
            Some(there) if there.id == copy.id => {
                match ledger::write(&copy.folder.join(SINCE), records) {
                    Ok(()) => BackupState::Told,
                    Err(_) => BackupState::Unreachable,
                }
            }
            // Another one is there now.
            Some(_) => BackupState::Gone,
            None if is_gone(&copy.folder) => BackupState::Gone,
            None => BackupState::Unreachable,
        };
        told.push(BackupCopy {
            at: from_millis(copy.at),
            folder: copy.folder.clone(),
            state,
        });
        if state != BackupState::Gone {
            left.push(copy);
        }
    }
    if left.len() != count {
        write(&dir.join(KNOWN), &left)?;
    }
    Ok(told)
}

/// Whether the place that a folder was in is there and the folder is not. A
/// place with nothing in it may be a medium that is not mounted.
fn is_gone(folder: &Path) -> bool {
    let missing = matches!(folder.try_exists(), Ok(false));
    let siblings = folder.parent().and_then(|place| fs::read_dir(place).ok());
    missing && siblings.is_some_and(|mut entries| entries.next().is_some())
}
