//! Reads DICOMDIR files (PS3.10 §8.6): which files a medium says it holds.

use std::path::{Path, PathBuf};

use dicom_object::{OpenFileOptions, Tag};

/// Media Storage Directory Storage.
pub(super) const MEDIA_STORAGE_DIRECTORY: &str = "1.2.840.10008.1.3.10";
/// Longest DICOMDIR that is read: it is held in memory, and a DVD's has some
/// megabytes.
const LENGTH_MAX: u64 = 256 << 20;

const DIRECTORY_RECORD_SEQUENCE: Tag = Tag(0x0004, 0x1220);
const REFERENCED_FILE_ID: Tag = Tag(0x0004, 0x1500);

/// Whether a file has the name of one; media made elsewhere write it in lower
/// case, or with a version.
pub(super) fn is_one(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.trim_end_matches(";1").eq_ignore_ascii_case("DICOMDIR"))
}

/// The files that it names and that are not there.
pub(super) fn missing(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |_| "this DICOMDIR can't be read".to_owned();
    let length = path.metadata().map_err(|error| error.to_string())?.len();
    if length > LENGTH_MAX {
        return Err("this DICOMDIR is too long to be read".to_owned());
    }
    let directory = OpenFileOptions::new().open_file(path).map_err(unreadable)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let records = directory
        .element(DIRECTORY_RECORD_SEQUENCE)
        .ok()
        .and_then(|sequence| sequence.items())
        .ok_or_else(|| "this DICOMDIR has no directory records".to_owned())?;
    let named = records.iter().filter_map(|record| {
        let components = record
            .element(REFERENCED_FILE_ID)
            .ok()?
            .to_multi_str()
            .ok()?;
        let components: Vec<String> = components
            .iter()
            .map(|component| component.trim().to_owned())
            .collect();
        // A name that leads out of the medium is no file of it.
        let plain = |one: &String| {
            !one.is_empty() && one != "." && one != ".." && !one.contains(['/', '\0'])
        };
        components.iter().all(plain).then_some(components)
    });
    Ok(named
        .filter(|components| !is_there(folder, components))
        .map(|components| folder.join(components.join("/")))
        .collect())
}

/// Whatever the case of its name, as media are copied (ISO 9660).
fn is_there(folder: &Path, components: &[String]) -> bool {
    let exact = folder.join(components.join("/"));
    if exact.is_file() {
        return true;
    }
    let mut at = folder.to_owned();
    for component in components {
        let Ok(entries) = std::fs::read_dir(&at) else {
            return false;
        };
        let same = entries.filter_map(Result::ok).find(|entry| {
            entry.file_name().to_str().is_some_and(|name| {
                name.trim_end_matches(";1")
                    .trim_end_matches('.')
                    .eq_ignore_ascii_case(component)
            })
        });
        match same {
            Some(entry) => at = entry.path(),
            None => return false,
        }
    }
    at.is_file()
}
