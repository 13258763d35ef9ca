//! Holds an archive against what was promised: everything that was stored is
//! there and hashes, what was deleted is not, and objects, index and keys
//! agree, in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hilum_archive::{Archive, Page, StoreOutcome};
use hilum_testkit::PIXELS;

use crate::content::{hex, instance, noise, scope, sha256};
use crate::worker;

/// What users were told, as far as it binds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Promised {
    /// SOP Instance UID → SHA-256 of its data set, or `tail:` and that of its
    /// last bytes, the pixels.
    pub(crate) stored: BTreeMap<String, String>,
    held: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// SOP Instance UIDs of studies that were deleted.
    removed: BTreeSet<String>,
    /// Studies whose patients are being erased: asked for, not acknowledged.
    pub(crate) erasing: BTreeSet<u64>,
    /// What names patients that were erased: it stands in no file any more.
    erased: Vec<String>,
    /// Records of erasures that were handed out: the ledger has them.
    recorded: BTreeSet<String>,
    /// Since they were last taken: what was acknowledged of each.
    pub(crate) acknowledged: u64,
    pub(crate) deletions: u64,
    pub(crate) erasures: u64,
    /// What went wrong that must not, whatever fails.
    pub(crate) errors: Vec<String>,
    pub(crate) refused: u64,
    pub(crate) ended: bool,
}

impl Promised {
    /// How many instances must not be there.
    pub(crate) fn gone(&self) -> usize {
        self.removed.len()
    }

    /// Takes one line; what it does not know is nobody's promise.
    pub(crate) fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("STORED"), Some(uid), hash) => {
                let hash = hash.unwrap_or_default();
                self.stored.insert(uid.to_owned(), hash.to_owned());
                self.acknowledged += 1;
            }
            (Some("HELD"), Some(hash), _) => {
                self.held.insert(hash.to_owned());
            }
            (Some("DELETING"), Some(hash), _) => {
                self.held.remove(hash);
            }
            (Some("DELETED"), Some(hash), _) => {
                self.deleted.insert(hash.to_owned());
            }
            (Some("REMOVING"), Some(uid), _) => {
                self.stored.remove(uid);
            }
            (Some("REMOVED"), Some(uid), _) => {
                self.removed.insert(uid.to_owned());
                self.deletions += 1;
            }
            (Some("ERASING"), Some(study), _) => {
                self.erasing.extend(study.parse::<u64>());
            }
            (Some("ERASED"), Some(study), first) => {
                if let Ok(study) = study.parse::<u64>() {
                    self.erasing.remove(&study);
                }
                let names = first.into_iter().chain(words).map(str::to_owned);
                self.erased.extend(names);
                self.erasures += 1;
            }
            (Some("RECORDED"), Some(id), _) => {
                self.recorded.insert(id.to_owned());
            }
            (Some("REFUSED"), ..) => self.refused += 1,
            (Some("ERROR"), ..) => self.errors.push(line.to_owned()),
            (Some("END"), ..) => self.ended = true,
            _ => {}
        }
    }
}

/// Opens the archive in `dir` as the program does after a crash, and says what
/// is wrong with it, if anything.
pub(crate) async fn archive(dir: &Path, promised: &Promised) -> Result<(), String> {
    let archive = worker::open(dir)
        .await
        .map_err(|error| format!("the archive does not open: {error}"))?;
    let outcome = held(&archive, dir, promised).await;
    archive.close().await;
    outcome
}

async fn held(archive: &Archive, dir: &Path, promised: &Promised) -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error| format!("{what}: {error}")
    };
    let swept = archive.sweep().await.map_err(failed("the sweep"))?;
    if swept.unknown > 0 {
        return Err(format!("{} files that no row names", swept.unknown));
    }
    let report = archive.verify(None).await.map_err(failed("verify"))?;
    if let Some(fault) = report.faults.first() {
        return Err(format!(
            "verify finds {} faults: {fault:?}",
            report.fault_count
        ));
    }
    let files = files(&dir.join("objects")).map_err(failed_io)?;
    if files != report.objects {
        let live = report.objects;
        return Err(format!("{files} files and {live} live objects"));
    }
    for (uid, hash) in &promised.stored {
        instance_is(archive, uid, hash).await?;
    }
    for uid in &promised.removed {
        let row = archive.lookup(&scope(), uid).await;
        if row
            .map_err(|error| format!("looking up {uid}: {error}"))?
            .is_some()
        {
            return Err(format!("{uid} was deleted and is back"));
        }
    }
    quarantine(archive, promised).await?;
    ledger(dir, promised)?;
    // And it goes on.
    let number = u32::try_from(report.instances).unwrap_or(u32::MAX);
    let more = instance(999_999_999, 1, number, noise(number.into(), 5_000));
    match archive.store(&scope(), more).await {
        Ok(StoreOutcome::Stored | StoreOutcome::Duplicate) => Ok(()),
        other => Err(format!("it does not go on: {other:?}")),
    }
}

/// Says which file below `dir` still names a patient who was erased.
pub(crate) fn nothing_readable(dir: &Path, promised: &Promised) -> Result<(), String> {
    if promised.erased.is_empty() {
        return Ok(());
    }
    let finders: Vec<_> = promised
        .erased
        .iter()
        .map(memchr::memmem::Finder::new)
        .collect();
    let mut found = Ok(());
    walk(dir, &mut |path| {
        let bytes = std::fs::read(path)?;
        for finder in &finders {
            let end = finder.needle().len();
            // A longer number names another one.
            let named = finder
                .find_iter(&bytes)
                .any(|at| !bytes.get(at + end).is_some_and(u8::is_ascii_digit));
            if named {
                let path = path.strip_prefix(dir).unwrap_or(path).display();
                let name = String::from_utf8_lossy(finder.needle()).into_owned();
                found = Err(format!("{name} was erased and stands in {path}"));
            }
        }
        Ok(())
    })
    .map_err(failed_io)?;
    found
}

fn failed_io(error: std::io::Error) -> String {
    format!("reading the files: {error}")
}

async fn instance_is(archive: &Archive, uid: &str, hash: &str) -> Result<(), String> {
    let row = archive
        .lookup(&scope(), uid)
        .await
        .map_err(|error| format!("looking up {uid}: {error}"))?
        .ok_or_else(|| format!("{uid} was acknowledged and is lost"))?;
    let length = row.location.length();
    let bytes = match archive.read_range(&scope(), &row.location, 0..length).await {
        Ok(reader) => reader.collect().await,
        Err(error) => Err(error),
    }
    .map_err(|error| format!("{uid} was acknowledged and can't be read: {error}"))?;
    let found = sha256(&bytes);
    let as_sent = match hash.strip_prefix("tail:") {
        // A sender may encode the data set anew, but not its pixels.
        Some(tail) => {
            let from = bytes.len().saturating_sub(PIXELS);
            hex(&sha256(bytes.get(from..).unwrap_or_default())) == tail
        }
        None => hex(&found) == hash,
    };
    if found != row.sha256 || !as_sent {
        return Err(format!("{uid} was acknowledged and is not what was sent"));
    }
    Ok(())
}

async fn quarantine(archive: &Archive, promised: &Promised) -> Result<(), String> {
    let items = archive
        .quarantined(&scope(), Page::first(5_000))
        .await
        .map_err(|error| format!("listing the quarantine: {error}"))?;
    for item in &items {
        let hash = hex(&item.sha256);
        if promised.deleted.contains(&hash) {
            return Err("a deleted item is back".to_owned());
        }
        let bytes = match archive
            .read_quarantined(&scope(), item.id, 0..item.length)
            .await
        {
            Ok(reader) => reader.collect().await,
            Err(error) => Err(error),
        }
        .map_err(|error| format!("a quarantined item can't be read: {error}"))?;
        if sha256(&bytes) != item.sha256 {
            return Err("a quarantined item is not what was sent".to_owned());
        }
    }
    let listed: BTreeSet<String> = items.iter().map(|item| hex(&item.sha256)).collect();
    match promised.held.difference(&listed).count() {
        0 => Ok(()),
        lost => Err(format!("{lost} quarantined items are lost")),
    }
}

/// What a restored backup is told by: whole, and with every erasure that was
/// certified.
fn ledger(dir: &Path, promised: &Promised) -> Result<(), String> {
    let text = match std::fs::read_to_string(dir.join("erasures.jsonl")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(|error| format!("reading the ledger of erasures: {error}"))?,
    };
    let mut there = BTreeSet::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line)
            .map_err(|_| "a line of the ledger of erasures is damaged".to_owned())?;
        there.extend(record["id"].as_str().map(str::to_owned));
    }
    match promised.recorded.difference(&there).count() {
        0 => Ok(()),
        lost => Err(format!("{lost} certified erasures are not in the ledger")),
    }
}

fn files(dir: &Path) -> std::io::Result<u64> {
    let mut count = 0;
    walk(dir, &mut |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

fn walk(dir: &Path, found: &mut dyn FnMut(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found(&entry.path())?;
            }
        }
    }
    Ok(())
}
