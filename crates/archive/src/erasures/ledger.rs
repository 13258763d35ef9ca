//! The ledger of erasures as a file: one record a line, replaced as a whole.
//! Owns how it is read and written; never what a record means.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use hilum_platform::durable::{Draft, sync_folder};
use serde_json::Value;

use crate::error::{ArchiveError, Result};
use crate::limits;
use crate::model::ErasureRecord;
use crate::steps;

/// In a data folder: every erasure that it knows. In a backup: those that were
/// carried out before it was made.
pub(crate) const LEDGER: &str = "erasures.jsonl";
/// In a backup: every erasure known since, told to it by the archive it is of.
pub(crate) const SINCE: &str = "erasures-since.jsonl";
/// In a data folder: what a restored backup does not know, to be carried out.
pub(crate) const DUE: &str = "erasures.due";

const DAMAGED: ArchiveError = ArchiveError::Invalid("a record of erasures is damaged");

/// The records of a file; none when it is not there.
pub(crate) fn read(path: &Path) -> Result<Vec<ErasureRecord>> {
    let Some(text) = text(path)? else {
        return Ok(Vec::new());
    };
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|_| DAMAGED))
        .collect()
}

/// The records that a person gives: of a ledger, a certificate, a list of
/// certificates, or a folder with such files.
pub(crate) fn given(path: &Path) -> Result<Vec<ErasureRecord>> {
    let mut found = Vec::new();
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            let named = path.extension().and_then(|end| end.to_str());
            if matches!(named, Some("json" | "jsonl")) {
                add(&mut found, of_file(&path)?);
            }
        }
    } else {
        found = of_file(path)?;
    }
    if found.is_empty() {
        return Err(ArchiveError::Invalid(
            "no record of an erasure is in what was given",
        ));
    }
    Ok(found)
}

fn of_file(path: &Path) -> Result<Vec<ErasureRecord>> {
    let text = text(path)?.ok_or(ArchiveError::Invalid("there is no such file with erasures"))?;
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        let value = value.map_err(|_| DAMAGED)?;
        let items = match value.get("items").and_then(Value::as_array) {
            Some(items) => items.clone(),
            None => vec![value],
        };
        for item in items {
            let record = match item.get("record") {
                Some(record) => record.clone(),
                None if item.get("mac").is_some() => item,
                // A certificate from before there were records, or another file.
                None => continue,
            };
            found.push(serde_json::from_value(record).map_err(|_| DAMAGED)?);
        }
    }
    Ok(found)
}

fn text(path: &Path) -> Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut text = String::new();
    file.take(limits::LEDGER_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidData => DAMAGED,
            _ => error.into(),
        })?;
    if text.len() as u64 > limits::LEDGER_BYTES {
        return Err(ArchiveError::Invalid("a file with erasures has no end"));
    }
    Ok(Some(text))
}

/// Replaces a file by these records, durably; old or new, never half.
pub(crate) fn write(path: &Path, records: &[ErasureRecord]) -> Result<()> {
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record).map_err(|_| DAMAGED)?);
        text.push('\n');
    }
    replace(path, text.as_bytes())
}

/// Replaces a file, durably.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut draft = Draft::beside(path)?;
    draft.write_all(bytes)?;
    steps::at("ledger.written");
    let synced = draft.sync()?;
    steps::at("ledger.synced");
    let named = synced.name()?;
    steps::at("ledger.named");
    named.sync()?;
    steps::at("ledger.folder-synced");
    Ok(())
}

/// Removes a file, durably; one that is not there is removed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(path.parent().map_or(Ok(()), sync_folder)?),
    }
}

/// Adds those that are not there yet.
pub(crate) fn add(to: &mut Vec<ErasureRecord>, more: Vec<ErasureRecord>) {
    for record in more {
        if to.iter().all(|known| known.id != record.id) {
            to.push(record);
        }
    }
}

/// Those of `all` that are not in `done`.
pub(crate) fn without(all: Vec<ErasureRecord>, done: &[ErasureRecord]) -> Vec<ErasureRecord> {
    all.into_iter()
        .filter(|record| done.iter().all(|known| known.id != record.id))
        .collect()
}
