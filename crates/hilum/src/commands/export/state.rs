//! What an unfinished export remembers in its own folder, so that the same
//! command goes on with it: `EXPORT.NEW/` with what was asked for, the plan,
//! and a line for every file that is durable. It goes when the export is done.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hilum_platform::durable;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Wanted;
use super::plan::Planned;

const FOLDER: &str = "EXPORT.NEW";
/// Written last: its presence says that an export was finished.
pub(in crate::commands) const REPORT: &str = "EXPORT.JSON";

/// What an export was asked for. The same words go on with it, others don't.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) version: u32,
    pub(super) export: Uuid,
    pub(super) tenant: String,
    pub(super) wanted: Wanted,
    pub(super) as_received: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) began: OffsetDateTime,
    /// It is too large for one File-set.
    pub(super) several: bool,
}

/// A line of what was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Done {
    /// A study of the plan begins here, or goes on in the next File-set.
    Study { index: usize, at: Place },
    /// A file is durable.
    File(Written),
    /// An instance can't be given.
    Failed(Failure),
    /// Everything of a study was looked at.
    Ended(usize),
}

/// Where a study's files go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Counts the File-sets, from 1.
    pub(super) set: u32,
    /// Counts the patients of the File-set, from 1.
    pub(super) patient: u32,
    /// Counts the studies of the patient there, from 1.
    pub(super) study: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) at: Place,
    pub(super) series: u32,
    pub(super) instance: u32,
    pub(super) series_uid: String,
    pub(super) uid: String,
    pub(super) bytes: u64,
    /// Of the file, in hexadecimal.
    pub(super) sha256: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) study_uid: String,
    pub(super) series_uid: String,
    pub(super) sop_instance_uid: String,
    pub(super) reason: String,
}

/// How far an export has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Studies of the plan that are done.
    pub(super) studies: usize,
    /// Where the latest study is, and which patient of the plan it is of.
    pub(super) at: Place,
    pub(super) patient: Option<u32>,
    /// Files in the current File-set.
    pub(super) in_set: u32,
    pub(super) files: u32,
    pub(super) bytes: u64,
    pub(super) failed: u32,
    /// The unfinished study, if any: its files by SOP Instance UID, and its
    /// series with the files in each.
    pub(super) open: Option<usize>,
    pub(super) known: HashMap<String, Written>,
    pub(super) series: HashMap<String, (u32, u32)>,
}

impl Progress {
    pub(super) fn take(&mut self, done: &Done, plan: &[Planned]) {
        match done {
            Done::Study { index, at } => {
                if at.set != self.at.set {
                    self.in_set = 0;
                }
                if self.open != Some(*index) {
                    self.known.clear();
                }
                self.series.clear();
                self.at = *at;
                self.patient = plan.get(*index).map(|study| study.patient);
                self.open = Some(*index);
            }
            Done::File(written) => {
                self.in_set += 1;
                self.files += 1;
                self.bytes += written.bytes;
                if written.at == self.at {
                    let entry = self.series.entry(written.series_uid.clone());
                    let (_, instances) = entry.or_insert((written.series, 0));
                    *instances = (*instances).max(written.instance);
                }
                self.known.insert(written.uid.clone(), written.clone());
            }
            Done::Failed(_) => self.failed += 1,
            Done::Ended(index) => {
                self.studies = index + 1;
                self.open = None;
                self.known.clear();
                self.series.clear();
            }
        }
    }
}

/// The state of an export in its folder; held by one process at a time.
pub(super) struct State {
    folder: PathBuf,
    pub(super) asked: Asked,
    pub(super) plan: Vec<Planned>,
    journal: File,
    _lock: File,
}

/// What is in the folder that an export goes to.
pub(super) enum Found {
    /// Nothing: an export may begin.
    Empty(File),
    /// An unfinished export.
    Unfinished(Box<State>, Progress),
}

/// Looks at the folder that an export goes to, and takes it.
pub(super) fn look(to: &Path) -> anyhow::Result<Found> {
    std::fs::create_dir_all(to).with_context(|| format!("can't make {}", to.display()))?;
    anyhow::ensure!(
        !to.join(REPORT).exists(),
        "{} holds a finished export: name an empty folder",
        to.display()
    );
    let folder = to.join(FOLDER);
    let mut others = std::fs::read_dir(to)
        .with_context(|| format!("can't read {}", to.display()))?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name() != FOLDER);
    anyhow::ensure!(
        folder.is_dir() || others.next().is_none(),
        "{} is not empty: name an empty folder, so that nothing in it is written over",
        to.display()
    );
    std::fs::create_dir_all(&folder).with_context(|| format!("can't write to {}", to.display()))?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join("lock"))?;
    lock.try_lock()
        .context("another export to this folder is going on: wait for it")?;
    let Ok(asked) = std::fs::read(folder.join("asked")) else {
        anyhow::ensure!(
            !to.join("DICOM").exists(),
            "{} holds what is left of a broken export: empty it",
            to.display()
        );
        return Ok(Found::Empty(lock));
    };
    let broken = || {
        format!(
            "the unfinished export in {} can't be read: empty it",
            to.display()
        )
    };
    let asked: Asked = serde_json::from_slice(&asked).with_context(broken)?;
    let mut plan: Vec<Planned> = Vec::new();
    each_line(&folder.join("plan"), |study| plan.push(study)).with_context(broken)?;
    let path = folder.join("done");
    let mut progress = Progress::default();
    let whole = each_line(&path, |done| progress.take(&done, &plan)).with_context(broken)?;
    let journal = OpenOptions::new().append(true).open(&path)?;
    // A line that was torn is written again.
    journal.set_len(whole)?;
    let state = State {
        folder,
        asked,
        plan,
        journal,
        _lock: lock,
    };
    Ok(Found::Unfinished(Box::new(state), progress))
}

impl State {
    /// Begins an export. Nothing of it is written before this is durable.
    pub(super) fn begin(
        to: &Path,
        lock: File,
        asked: Asked,
        plan: Vec<Planned>,
    ) -> anyhow::Result<Self> {
        let folder = to.join(FOLDER);
        let mut out = BufWriter::new(File::create(folder.join("plan"))?);
        for study in &plan {
            serde_json::to_writer(&mut out, study)?;
            out.write_all(b"\n")?;
        }
        out.into_inner()
            .map_err(|error| error.into_error())?
            .sync_all()?;
        let journal = File::create(folder.join("done"))?;
        journal.sync_all()?;
        durable::replace(&folder.join("asked"), &serde_json::to_vec_pretty(&asked)?)?;
        durable::sync_folder(to)?;
        Ok(Self {
            folder,
            asked,
            plan,
            journal,
            _lock: lock,
        })
    }

    /// Remembers what was done, durably.
    pub(super) fn note(&mut self, done: &[Done]) -> std::io::Result<()> {
        let mut text = Vec::new();
        for line in done {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        self.journal.write_all(&text)?;
        self.journal.sync_data()
    }

    /// Everything that was done, line by line.
    pub(super) fn done(&self) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Done>>> {
        let file = BufReader::new(File::open(self.folder.join("done"))?);
        Ok(file.lines().map(|line| Ok(serde_json::from_str(&line?)?)))
    }

    /// A file beside the state, to be moved to its place when it is whole.
    pub(super) fn draft(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The export is done: forgets how it was made.
    pub(super) fn finish(self) -> std::io::Result<()> {
        std::fs::remove_dir_all(&self.folder)
    }
}

/// Hands on every line of a file; the length of those that are whole.
fn each_line<T: serde::de::DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(T),
) -> anyhow::Result<u64> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut whole, mut line) = (0, Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        take(serde_json::from_slice(&line)?);
        whole += u64::try_from(line.len())?;
        line.clear();
    }
    Ok(whole)
}

/// Leaves a folder in which nothing was begun as it was found.
pub(super) fn leave(to: &Path) {
    let _still_there = std::fs::remove_dir_all(to.join(FOLDER));
}
