//! Makes an export whole: the DICOMDIR of every File-set, from the files as
//! they lie there, and the list of their digests.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use aws_lc_rs::digest;
use hilum_dataset::{FileSource, ScanError, ScanOptions, scan_file};
use hilum_media::{Directory, Entry};
use hilum_platform::durable::Draft;
use serde::Serialize;
use uuid::Uuid;

use crate::commands::hex;

use super::state::{Done, Failure, Place, State, Written};

/// Digests of all files, as `sha256sum --check` reads them.
pub(super) const DIGESTS: &str = "SHA256.TXT";
/// Failures that a report lists one by one; the count goes on.
const LISTED: usize = 10_000;

/// What an export consists of.
#[derive(Debug, Default, Serialize)]
pub(super) struct Contents {
    pub(super) file_sets: Vec<FileSet>,
    /// SHA-256 of `SHA256.TXT`.
    pub(super) sha256: String,
    /// At most 10,000.
    pub(super) failures: Vec<Failure>,
}

#[derive(Debug, Serialize)]
pub(super) struct FileSet {
    /// Its folder in the export; empty when it is the export's own.
    pub(super) folder: String,
    pub(super) files: u32,
    /// SHA-256 of its DICOMDIR.
    pub(super) sha256: String,
}

impl FileSet {
    fn directory(&self) -> String {
        format!("{}DICOMDIR", self.folder)
    }
}

/// `SHA256.TXT` while it is written, and its own digest.
struct Digests {
    out: BufWriter<Draft>,
    digest: digest::Context,
}

impl Digests {
    fn create(draft: &Path, path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            out: BufWriter::new(Draft::at(draft, path)?),
            digest: digest::Context::new(&digest::SHA256),
        })
    }

    fn add(&mut self, sha256: &str, path: &str) -> std::io::Result<()> {
        let line = format!("{sha256}  {path}\n");
        self.digest.update(line.as_bytes());
        self.out.write_all(line.as_bytes())
    }

    fn finish(self) -> std::io::Result<String> {
        let draft = self.out.into_inner().map_err(|error| error.into_error())?;
        draft.finish()?;
        Ok(hex(self.digest.finish().as_ref()))
    }
}

/// Writes DICOMDIRs and digests.
pub(super) fn complete(
    to: &Path,
    state: &State,
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<Contents> {
    let several = state.asked.several;
    let mut contents = Contents::default();
    let failed = || super::cannot_write(to);
    let draft = state.draft(DIGESTS);
    let mut digests = Digests::create(&draft, &to.join(DIGESTS)).with_context(failed)?;
    let mut directory = Directory::default();
    let mut at: Option<Place> = None;
    for done in state.done()? {
        match done? {
            Done::File(written) => {
                if let Some(before) = at.filter(|before| before.set != written.at.set) {
                    let listed = std::mem::take(&mut directory);
                    let set = seal(to, state, before, &listed)?;
                    digests
                        .add(&set.sha256, &set.directory())
                        .with_context(failed)?;
                    contents.file_sets.push(set);
                }
                at = Some(written.at);
                let path = written.path(several)?;
                digests.add(&written.sha256, &path).with_context(failed)?;
                let listed = list(&mut directory, to, &written, &path)?;
                if let Some(reason) = listed.err().filter(|_| contents.failures.len() < LISTED) {
                    contents.failures.push(Failure {
                        study_uid: String::new(),
                        series_uid: written.series_uid,
                        sop_instance_uid: written.uid,
                        reason: format!("{path} is in no DICOMDIR: {reason}"),
                    });
                }
                bar.inc(1);
            }
            Done::Failed(failure) if contents.failures.len() < LISTED => {
                contents.failures.push(failure);
            }
            _ => {}
        }
    }
    if let Some(at) = at {
        let set = seal(to, state, at, &directory)?;
        digests
            .add(&set.sha256, &set.directory())
            .with_context(failed)?;
        contents.file_sets.push(set);
    }
    contents.sha256 = digests.finish().with_context(failed)?;
    Ok(contents)
}

/// Lists one file; why not, when its data set can't be walked.
fn list(
    directory: &mut Directory,
    to: &Path,
    written: &Written,
    path: &str,
) -> anyhow::Result<Result<(), String>> {
    let changed = || format!("{path} is not as it was written: begin again in an empty folder");
    let file = File::open(to.join(path)).with_context(changed)?;
    let source = FileSource::new(file).with_context(changed)?;
    let (head, scan) = match scan_file(&source, &ScanOptions::default()) {
        Ok(scanned) => scanned,
        Err(ScanError::Refused(refusal)) => return Ok(Err(refusal.to_string())),
        Err(ScanError::Source(error)) => return Err(error).with_context(changed),
    };
    let metadata = serde_json::from_slice(&scan.json).with_context(changed)?;
    directory.add(&Entry {
        file: written.file()?,
        sop_class_uid: &head.media_storage_sop_class_uid,
        sop_instance_uid: &head.media_storage_sop_instance_uid,
        transfer_syntax_uid: &head.transfer_syntax_uid,
        metadata: &metadata,
    })?;
    Ok(Ok(()))
}

/// Writes the DICOMDIR of a File-set.
fn seal(to: &Path, state: &State, at: Place, directory: &Directory) -> anyhow::Result<FileSet> {
    let failed = || super::cannot_write(to);
    let folder = at.set(state.asked.several);
    let mut bytes = Vec::new();
    directory.write(
        &format!("2.25.{}", Uuid::new_v4().as_u128()),
        hilum_dimse::IMPLEMENTATION_CLASS_UID,
        &mut bytes,
    )?;
    let write = || {
        let place = to.join(&folder).join("DICOMDIR");
        let mut draft = Draft::at(&state.draft("DICOMDIR"), &place)?;
        draft.write_all(&bytes)?;
        draft.finish()
    };
    write().with_context(failed)?;
    Ok(FileSet {
        folder,
        files: directory.files(),
        sha256: hilum_archive::sha256_hex(&bytes),
    })
}
