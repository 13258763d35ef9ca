//! Images to send: the sample series, and copies of it that are changed by
//! dcmtk's `dcmodify`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::tools::{root, run};

/// Files that are sent together.
pub struct Series {
    files: Vec<PathBuf>,
    study_uid: String,
    _folder: Option<TempDir>,
}

/// Study Instance UID of the sample series.
const SAMPLE_STUDY: &str = "0.0.0.0.2.8811.20010413115754.12432";

impl Series {
    /// The 20 slices of `samples/mr-brain`. The first one without the zeros
    /// behind its pixels: dcmtk reads them as elements of group 0000, which no
    /// data set may hold (PS3.5 §7.1), and sends those.
    #[must_use]
    pub fn sample() -> Self {
        let mut series = Self::sample_as_it_is();
        let folder = tempfile::tempdir().unwrap();
        let (first, copy) = (series.slice(0), folder.path().join("brain_001.dcm"));
        let mut bytes = std::fs::read(first).unwrap();
        let pixels = bytes
            .windows(8)
            .rposition(|tag| tag == b"\xe0\x7f\x10\x00OW\0\0")
            .expect("pixel data in explicit VR little endian");
        bytes.truncate(pixels + 12 + 256 * 256 * 2);
        std::fs::write(&copy, bytes).unwrap();
        series.files[0] = copy;
        series._folder = Some(folder);
        series
    }

    /// The files of `samples/mr-brain`, trailing bytes included.
    #[must_use]
    pub fn sample_as_it_is() -> Self {
        let folder = root().join("samples/mr-brain");
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .expect("samples/mr-brain is part of the project")
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "dcm"))
            .collect();
        files.sort();
        assert_eq!(files.len(), 20, "samples/mr-brain holds 20 slices");
        Self {
            files,
            study_uid: SAMPLE_STUDY.to_owned(),
            _folder: None,
        }
    }

    /// A copy of the sample series as a study of its own, with `changes` such
    /// as `PatientID=77`.
    #[must_use]
    pub fn another_study(study_uid: &str, changes: &[&str]) -> Self {
        let identity = [
            format!("StudyInstanceUID={study_uid}"),
            format!("SeriesInstanceUID={study_uid}.1"),
        ];
        let mut all: Vec<&str> = identity.iter().map(String::as_str).collect();
        all.extend(changes);
        let mut copy = Self::sample().changed_by(&["-gin"], &all);
        study_uid.clone_into(&mut copy.study_uid);
        copy
    }

    /// A copy whose UIDs stay and whose content is `changes`.
    #[must_use]
    pub fn changed(&self, changes: &[&str]) -> Self {
        self.changed_by(&[], changes)
    }

    /// A copy whose UIDs stay and whose last pixels differ.
    #[must_use]
    pub fn with_other_pixels(&self) -> Self {
        let copy = self.changed_by(&[], &["StudyDescription=ANOTHER CONTENT"]);
        for file in &copy.files {
            let mut bytes = std::fs::read(file).unwrap();
            for byte in bytes.iter_mut().rev().take(64) {
                *byte ^= 1;
            }
            std::fs::write(file, bytes).unwrap();
        }
        copy
    }

    fn changed_by(&self, options: &[&str], changes: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = self
            .files
            .iter()
            .map(|file| {
                let copy = folder.path().join(file.file_name().unwrap());
                std::fs::copy(file, &copy).unwrap();
                copy
            })
            .collect();
        let mut command = Command::new("dcmodify");
        command.arg("-nb").args(options);
        for change in changes {
            command.args(["-i", change]);
        }
        let output = run(command.args(&files));
        assert!(
            output.status.success(),
            "dcmodify: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self {
            files,
            study_uid: self.study_uid.clone(),
            _folder: Some(folder),
        }
    }

    /// Study Instance UID.
    #[must_use]
    pub fn study_uid(&self) -> &str {
        &self.study_uid
    }

    /// All files.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The slice of this number, from 0.
    #[must_use]
    pub fn slice(&self, index: usize) -> &Path {
        &self.files[index]
    }
}
