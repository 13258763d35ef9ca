//! Finds the files of a folder and everything below it, and what its DICOMDIRs
//! name that is not there. Follows no links: they may lead in circles.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dicomdir;

/// Files that the walk is ahead of the import.
const AHEAD: usize = 1_024;

/// Something found.
pub(super) enum Entry {
    File(PathBuf),
    Link,
    Failed { path: PathBuf, reason: String },
}

/// Walks on a thread of its own, so that reading folders waits for nothing.
pub(super) fn start(from: PathBuf) -> (mpsc::Receiver<Entry>, JoinHandle<()>) {
    let (found, receiver) = mpsc::channel(AHEAD);
    let walking = tokio::task::spawn_blocking(move || {
        let _stopped_early = walk(from, &found);
    });
    (receiver, walking)
}

/// `None`: nobody listens any more.
fn walk(from: PathBuf, found: &mpsc::Sender<Entry>) -> Option<()> {
    let mut folders = vec![from];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                failed(found, folder, &error)?;
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    failed(found, folder.clone(), &error)?;
                    continue;
                }
            };
            let path = entry.path();
            match entry.file_type() {
                Err(error) => failed(found, path, &error)?,
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => {
                    if dicomdir::is_one(&path) {
                        listed(&path, found)?;
                    }
                    found.blocking_send(Entry::File(path)).ok()?;
                }
                Ok(_) => found.blocking_send(Entry::Link).ok()?,
            }
        }
    }
    Some(())
}

/// What a DICOMDIR names must be there: a copy that lost files says so here.
fn listed(path: &Path, found: &mpsc::Sender<Entry>) -> Option<()> {
    match dicomdir::missing(path) {
        Ok(missing) => {
            for path in missing {
                let reason = "the DICOMDIR names this file, and it is not there".to_owned();
                found.blocking_send(Entry::Failed { path, reason }).ok()?;
            }
        }
        Err(reason) => {
            let path = path.to_owned();
            found.blocking_send(Entry::Failed { path, reason }).ok()?;
        }
    }
    Some(())
}

fn failed(found: &mpsc::Sender<Entry>, path: PathBuf, error: &std::io::Error) -> Option<()> {
    let reason = error.to_string();
    found.blocking_send(Entry::Failed { path, reason }).ok()
}
