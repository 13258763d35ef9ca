//! The DICOMDIR of a File-set (PS3.3 Annex F): collects what is listed and
//! writes it. Holds some hundred bytes a file in memory.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::encode::element;
use crate::file_id::FileId;
use crate::{MEDIA_STORAGE_DIRECTORY, kind, record};

/// Most files that one directory lists. Offsets have 32 bits, and readers hold
/// a directory in memory: a larger export is several File-sets.
pub const FILES_MAX: u32 = 100_000;

/// A file as the directory lists it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Where it is.
    pub file: FileId,
    /// Of its file meta information.
    pub sop_class_uid: &'a str,
    /// Of its file meta information.
    pub sop_instance_uid: &'a str,
    /// Of its file meta information.
    pub transfer_syntax_uid: &'a str,
    /// Its data set as DICOM JSON.
    pub metadata: &'a Map<String, Value>,
}

/// Why a directory can't be made.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// More than [`FILES_MAX`] files.
    #[error("a DICOMDIR lists at most {FILES_MAX} files")]
    Full,
    /// Its records are longer than 32-bit offsets can tell.
    #[error("the DICOMDIR would be longer than 4 GB")]
    TooLong,
    /// It can't be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The directory of one File-set.
#[derive(Debug, Default)]
pub struct Directory {
    /// Every record, in the order in which they came.
    records: Vec<Record>,
    patients: Vec<usize>,
    /// By identity: a patient, a study of any patient, a series of a study.
    known: HashMap<Known, usize>,
    files: u32,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Known {
    Patient(String, String),
    Study(String),
    Series(usize, String),
}

#[derive(Debug)]
struct Record {
    kind: &'static str,
    /// What follows Directory Record Type.
    keys: Vec<u8>,
    children: Vec<usize>,
}

impl Record {
    /// Item header; next record, in-use flag, lower level, type; keys.
    fn len(&self) -> usize {
        8 + 12 + 10 + 12 + 8 + self.kind.len() + self.kind.len() % 2 + self.keys.len()
    }
}

impl Directory {
    /// How many files it lists.
    #[must_use]
    pub fn files(&self) -> u32 {
        self.files
    }

    /// Lists a file under the patient, study and series that its own metadata
    /// name.
    ///
    /// # Errors
    /// [`DirectoryError::Full`].
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), DirectoryError> {
        if self.files >= FILES_MAX {
            return Err(DirectoryError::Full);
        }
        self.files += 1;
        let series = self.series(entry.metadata);
        let (kind, keys) = kind::of(entry.sop_class_uid);
        let mut all = Vec::new();
        element(&mut all, 0x0004_1500, "CS", entry.file.value().as_bytes());
        for (tag, uid) in [
            (0x0004_1510, entry.sop_class_uid),
            (0x0004_1511, entry.sop_instance_uid),
            (0x0004_1512, entry.transfer_syntax_uid),
        ] {
            element(&mut all, tag, "UI", uid.as_bytes());
        }
        let siblings = self.records.get(series).map_or(0, |one| one.children.len());
        all.extend(record::keys(keys, entry.metadata, ordinal(siblings)));
        self.append(Some(series), kind, all);
        Ok(())
    }

    fn series(&mut self, metadata: &Map<String, Value>) -> usize {
        let study = self.study(metadata);
        let key = Known::Series(study, text(metadata, "0020000E"));
        self.found_or(key, Some(study), ("SERIES", kind::SERIES), metadata)
    }

    fn study(&mut self, metadata: &Map<String, Value>) -> usize {
        let uid = text(metadata, "0020000D");
        // Images that disagree on whose study it is do not make it two.
        if let Some(found) = self.known.get(&Known::Study(uid.clone())) {
            return *found;
        }
        let (id, issuer) = (text(metadata, "00100020"), text(metadata, "00100021"));
        // Without an ID, nothing says that two studies are of one patient.
        let patient = match id.is_empty() {
            true => Known::Patient(uid.clone(), String::from("\\")),
            false => Known::Patient(id, issuer),
        };
        let patient = self.found_or(patient, None, ("PATIENT", kind::PATIENT), metadata);
        let key = Known::Study(uid);
        self.found_or(key, Some(patient), ("STUDY", kind::STUDY), metadata)
    }

    fn found_or(
        &mut self,
        known: Known,
        parent: Option<usize>,
        (kind, keys): (&'static str, &[kind::Key]),
        metadata: &Map<String, Value>,
    ) -> usize {
        if let Some(found) = self.known.get(&known) {
            return *found;
        }
        let siblings = match parent {
            Some(parent) => self.records.get(parent).map_or(0, |one| one.children.len()),
            None => self.patients.len(),
        };
        let keys = record::keys(keys, metadata, ordinal(siblings));
        let at = self.append(parent, kind, keys);
        self.known.insert(known, at);
        at
    }

    fn append(&mut self, parent: Option<usize>, kind: &'static str, keys: Vec<u8>) -> usize {
        let at = self.records.len();
        self.records.push(Record {
            kind,
            keys,
            children: Vec::new(),
        });
        match parent.and_then(|parent| self.records.get_mut(parent)) {
            Some(parent) => parent.children.push(at),
            None => self.patients.push(at),
        }
        at
    }

    /// Writes the DICOMDIR. `uid` is its own SOP Instance UID, and
    /// `implementation` the Implementation Class UID of whoever writes it.
    ///
    /// # Errors
    /// [`DirectoryError::TooLong`], or of `out`.
    pub fn write(
        &self,
        uid: &str,
        implementation: &str,
        out: &mut impl Write,
    ) -> Result<(), DirectoryError> {
        let order = self.order();
        let meta = meta(uid, implementation);
        let mut head = Vec::new();
        element(&mut head, 0x0004_1130, "CS", b"HILUM");
        // Both offsets and the flag follow, and the header of the sequence.
        let start = meta.len() + head.len() + 12 + 12 + 10 + 12;
        let mut offsets = vec![0_u32; self.records.len()];
        let mut end = start;
        for at in &order {
            let (Some(offset), Some(record)) = (offsets.get_mut(*at), self.records.get(*at)) else {
                continue;
            };
            *offset = short(end)?;
            end += record.len();
        }
        let length = short(end - start)?;
        let first = self
            .patients
            .first()
            .map_or(Ok(0), |at| offset_of(&offsets, *at));
        let last = self
            .patients
            .last()
            .map_or(Ok(0), |at| offset_of(&offsets, *at));
        element(&mut head, 0x0004_1200, "UL", &first?.to_le_bytes());
        element(&mut head, 0x0004_1202, "UL", &last?.to_le_bytes());
        element(&mut head, 0x0004_1212, "US", &0_u16.to_le_bytes());
        head.extend_from_slice(b"\x04\x00\x20\x12SQ\0\0");
        head.extend_from_slice(&length.to_le_bytes());
        out.write_all(&meta)?;
        out.write_all(&head)?;
        let next = self.next();
        for at in &order {
            let Some(record) = self.records.get(*at) else {
                continue;
            };
            let next = next.get(*at).copied().flatten();
            let next = next.map_or(Ok(0), |at| offset_of(&offsets, at))?;
            let lower = record.children.first();
            let lower = lower.map_or(Ok(0), |at| offset_of(&offsets, *at))?;
            out.write_all(&[0xFE, 0xFF, 0x00, 0xE0])?;
            out.write_all(&short(record.len() - 8)?.to_le_bytes())?;
            let mut fixed = Vec::with_capacity(64);
            element(&mut fixed, 0x0004_1400, "UL", &next.to_le_bytes());
            element(&mut fixed, 0x0004_1410, "US", &u16::MAX.to_le_bytes());
            element(&mut fixed, 0x0004_1420, "UL", &lower.to_le_bytes());
            element(&mut fixed, 0x0004_1430, "CS", record.kind.as_bytes());
            out.write_all(&fixed)?;
            out.write_all(&record.keys)?;
        }
        Ok(())
    }

    /// Records as they are written: each before what is below it.
    fn order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.records.len());
        let mut open: Vec<usize> = self.patients.iter().rev().copied().collect();
        while let Some(at) = open.pop() {
            order.push(at);
            if let Some(record) = self.records.get(at) {
                open.extend(record.children.iter().rev());
            }
        }
        order
    }

    /// The next sibling of every record.
    fn next(&self) -> Vec<Option<usize>> {
        let mut next = vec![None; self.records.len()];
        let families = self.records.iter().map(|record| &record.children);
        for family in families.chain([&self.patients]) {
            for (one, other) in family.iter().zip(family.iter().skip(1)) {
                if let Some(of) = next.get_mut(*one) {
                    *of = Some(*other);
                }
            }
        }
        next
    }
}

fn offset_of(offsets: &[u32], at: usize) -> Result<u32, DirectoryError> {
    offsets.get(at).copied().ok_or(DirectoryError::TooLong)
}

fn short(length: usize) -> Result<u32, DirectoryError> {
    // All ones says that a length is unknown.
    u32::try_from(length)
        .ok()
        .filter(|length| *length < u32::MAX)
        .ok_or(DirectoryError::TooLong)
}

fn ordinal(siblings: usize) -> u32 {
    u32::try_from(siblings)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

fn text(metadata: &Map<String, Value>, tag: &str) -> String {
    let bytes = crate::encode::value(metadata.get(tag), "LO", 0).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Preamble and file meta information (PS3.10 §7.1).
fn meta(uid: &str, implementation: &str) -> Vec<u8> {
    let mut elements = Vec::new();
    element(&mut elements, 0x0002_0001, "OB", &[0, 1]);
    for (tag, value) in [
        (0x0002_0002, MEDIA_STORAGE_DIRECTORY),
        (0x0002_0003, uid),
        (0x0002_0010, "1.2.840.10008.1.2.1"),
        (0x0002_0012, implementation),
    ] {
        element(&mut elements, tag, "UI", value.as_bytes());
    }
    element(&mut elements, 0x0002_0013, "SH", b"HILUM");
    let mut out = vec![0; 128];
    out.extend_from_slice(b"DICM");
    let length = u32::try_from(elements.len()).unwrap_or(0);
    element(&mut out, 0x0002_0000, "UL", &length.to_le_bytes());
    out.extend_from_slice(&elements);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(images: &[(&str, &str, &str, &str)]) -> Directory {
        let mut directory = Directory::default();
        for (number, (patient, study, series, instance)) in images.iter().enumerate() {
            let metadata = json!({
                "00100020": { "vr": "LO", "Value": [patient] },
                "0020000D": { "vr": "UI", "Value": [study] },
                "0020000E": { "vr": "UI", "Value": [series] },
            });
            let entry = Entry {
                file: FileId::new(1, 1, 1, ordinal(number)).unwrap(),
                sop_class_uid: "1.2.840.10008.5.1.4.1.1.2",
                sop_instance_uid: instance,
                transfer_syntax_uid: "1.2.840.10008.1.2.1",
                metadata: metadata.as_object().unwrap(),
            };
            directory.add(&entry).unwrap();
        }
        directory
    }

    #[test]
    fn a_study_whose_images_disagree_on_the_patient_is_listed_once() {
        let directory = listed(&[("A", "1", "1.1", "1.1.1"), ("B", "1", "1.1", "1.1.2")]);
        assert_eq!(directory.patients.len(), 1);
        assert_eq!(directory.files(), 2);
    }

    #[test]
    fn studies_without_a_patient_id_are_of_patients_of_their_own() {
        let directory = listed(&[("", "1", "1.1", "1.1.1"), ("", "2", "2.1", "2.1.1")]);
        assert_eq!(directory.patients.len(), 2);
    }

    #[test]
    fn offsets_lead_to_items() {
        let directory = listed(&[
            ("A", "1", "1.1", "1.1.1"),
            ("B", "2", "2.1", "2.1.1"),
            ("A", "1", "1.2", "1.2.1"),
            ("A", "1", "1.1", "1.1.2"),
        ]);
        let mut bytes = Vec::new();
        directory.write("2.25.1", "2.25.2", &mut bytes).unwrap();
        let tag = |element: &[u8]| {
            let at = bytes.windows(8).position(|part| part == element).unwrap() + 8;
            u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
        };
        let first = tag(b"\x04\x00\x00\x12UL\x04\x00");
        let last = tag(b"\x04\x00\x02\x12UL\x04\x00");
        let mut at = first;
        let mut patients = 0;
        while at != 0 {
            assert_eq!(&bytes[at..at + 4], b"\xFE\xFF\x00\xE0");
            patients += 1;
            let next = u32::from_le_bytes(bytes[at + 16..at + 20].try_into().unwrap()) as usize;
            assert!(next != 0 || at == last);
            at = next;
        }
        assert_eq!(patients, 2);
    }
}
