//! Files to send: a slice of the sample series under UIDs of their own, made
//! by overwriting UIDs of the same length, so that hundreds cost nothing.

use std::io;
use std::path::{Path, PathBuf};

use crate::content::{hex, sha256};

const SAMPLE: &str = "samples/mr-brain/brain_002.dcm";
const INSTANCE: &[u8] = b"0.0.0.0.1.8811.2.2.20010413115754.12432";
const STUDY: &[u8] = b"0.0.0.0.2.8811.20010413115754.12432";
const SERIES: &[u8] = b"0.0.0.0.3.8811.2.20010413115754.12432";
/// Tag, VR and length of Patient ID in the sample (PS3.5 §7.1.2).
const PATIENT: &[u8] = b"\x10\x00\x20\x00LO\x06\x00123565";
/// Bytes of pixels of a slice, and in a check: the end of every data set sent.
pub(crate) const PIXELS: usize = 256 * 256 * 2;

/// One file, and what its sender will know about it.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) uid: String,
    /// SHA-256 of the last [`PIXELS`] bytes of the data set.
    pub(crate) tail: String,
}

/// What is odd about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    Nothing,
    /// Longer than what the server keeps in a bundle.
    Large,
    /// Of the patient that is called after its study; see [`Files::patient`].
    Patient,
}

/// The sample, read once.
pub(crate) struct Files {
    sample: Vec<u8>,
}

impl Files {
    /// Finds the sample below the repository's root.
    pub(crate) fn open() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut sample = std::fs::read(root.join(SAMPLE))?;
        let pixels = pixels(&sample)?;
        sample.truncate(pixels + PIXELS);
        Ok(Self { sample })
    }

    /// Study Instance UID of the `study`th study.
    pub(crate) fn study(study: u64) -> String {
        uid(STUDY.len(), study, 0)
    }

    /// Patient ID of a patient who has this study only.
    pub(crate) fn patient(study: u64) -> String {
        format!("CRASH-ERASED-{study:011}")
    }

    /// Writes instance `number` of a study into `folder`.
    pub(crate) fn write(
        &self,
        folder: &Path,
        study: u64,
        number: u64,
        odd: Odd,
    ) -> io::Result<File> {
        let mut bytes = self.sample.clone();
        let instance = uid(INSTANCE.len(), study, number);
        replace(&mut bytes, INSTANCE, instance.as_bytes());
        replace(&mut bytes, STUDY, Self::study(study).as_bytes());
        replace(&mut bytes, SERIES, uid(SERIES.len(), study, 1).as_bytes());
        match odd {
            Odd::Nothing => {}
            Odd::Large => enlarge(&mut bytes)?,
            Odd::Patient => rename(&mut bytes, &Self::patient(study))?,
        }
        // No two have the same pixels.
        let stamp = (study << 20 | number).to_le_bytes();
        let end = bytes.len();
        bytes[end - stamp.len()..].copy_from_slice(&stamp);
        let tail = hex(&sha256(&bytes[end - PIXELS..]));
        let path = folder.join(format!("{study}-{number}.dcm"));
        std::fs::write(&path, bytes)?;
        Ok(File {
            path,
            uid: instance,
            tail,
        })
    }
}

/// Where the pixels begin: behind tag, VR OW, and length (PS3.5 §7.1.2).
fn pixels(bytes: &[u8]) -> io::Result<usize> {
    bytes
        .windows(8)
        .rposition(|tag| tag == b"\xe0\x7f\x10\x00OW\0\0")
        .map(|at| at + 12)
        .ok_or_else(|| io::Error::other("the sample has no pixel data in explicit VR"))
}

/// 2,112 rows and columns instead of 256: 8.9 MB.
fn enlarge(bytes: &mut Vec<u8>) -> io::Result<()> {
    const SIDE: u16 = 2_112;
    for tag in [b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x11\x00US\x02\x00"] {
        let at = bytes
            .windows(8)
            .position(|found| found == tag)
            .ok_or_else(|| io::Error::other("the sample has no rows or columns"))?;
        bytes[at + 8..at + 10].copy_from_slice(&SIDE.to_le_bytes());
    }
    let at = pixels(bytes)?;
    let length = u32::from(SIDE) * u32::from(SIDE) * 2;
    bytes[at - 4..at].copy_from_slice(&length.to_le_bytes());
    bytes.resize(at + length as usize, 7);
    Ok(())
}

/// Another Patient ID, of even length.
fn rename(bytes: &mut Vec<u8>, id: &str) -> io::Result<()> {
    let at = bytes
        .windows(PATIENT.len())
        .position(|found| found == PATIENT)
        .ok_or_else(|| io::Error::other("the sample has another Patient ID"))?;
    let length = u8::try_from(id.len()).unwrap_or(0);
    let new = [&PATIENT[..6], &[length, 0], id.as_bytes()].concat();
    bytes.splice(at..at + PATIENT.len(), new);
    Ok(())
}

/// A UID below 2.25 (PS3.5 §B.2) of this length.
fn uid(length: usize, study: u64, number: u64) -> String {
    let digits = length - "2.25.1".len() - 6;
    format!("2.25.1{study:0digits$}{number:06}")
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| rest.windows(old.len()).position(|part| part == old))
    {
        at += found;
        bytes[at..at + old.len()].copy_from_slice(new);
        at += old.len();
    }
}
