//! Files to send: slices of the sample series under UIDs of their own, made by
//! overwriting UIDs of the same length, so that hundreds cost nothing.

use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use crate::tools::root;

/// Which slice is used where one is enough, from 1.
const SLICE: usize = 2;
/// Those whose UIDs are of one length; none has bytes behind its pixels.
const SLICES: usize = 8;
const STUDY: &[u8] = b"0.0.0.0.2.8811.20010413115754.12432";
const SERIES: &[u8] = b"0.0.0.0.3.8811.2.20010413115754.12432";
/// Tag, VR and length of Patient ID in the sample (PS3.5 §7.1.2).
const PATIENT: &[u8] = b"\x10\x00\x20\x00LO\x06\x00123565";
/// The same of Modality, with its value,
const MODALITY: &[u8] = b"\x08\x00\x60\x00CS\x02\x00MR";
/// and one that no model asks for.
const OTHER_MODALITY: &[u8] = b"\x08\x00\x60\x00CS\x02\x00OT";
/// Bytes of pixels of a slice, and in a check: the end of every data set sent.
pub const PIXELS: usize = 256 * 256 * 2;

/// One file, and what its sender will know about it.
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// SOP Instance UID.
    pub uid: String,
    /// SHA-256 of the last [`PIXELS`] bytes of the data set.
    pub tail: String,
}

/// A part-10 file in memory.
pub struct Image {
    /// SOP Instance UID.
    pub uid: String,
    /// The whole file.
    pub bytes: Vec<u8>,
}

/// What is odd about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// It is a slice.
    Nothing,
    /// Longer than what the server keeps in a bundle.
    Large,
    /// Of the patient that is called after its study; see [`Files::patient`].
    Patient,
    /// Of a modality that no model asks for.
    OtherModality,
}

/// Slices of the sample, read once.
pub struct Files(Vec<Slice>);

struct Slice {
    bytes: Vec<u8>,
    /// Its SOP Instance UID.
    instance: Vec<u8>,
}

impl Slice {
    fn read(number: usize) -> io::Result<Self> {
        let path = format!("samples/mr-brain/brain_{number:03}.dcm");
        let mut bytes = std::fs::read(root().join(path))?;
        let pixels = pixels(&bytes)?;
        bytes.truncate(pixels + PIXELS);
        let instance = format!("0.0.0.0.1.8811.2.{number}.20010413115754.12432").into_bytes();
        Ok(Self { bytes, instance })
    }
}

impl Files {
    /// All of one slice.
    ///
    /// # Errors
    /// When the sample can't be read.
    pub fn open() -> io::Result<Self> {
        Ok(Self(vec![Slice::read(SLICE)?]))
    }

    /// Of as many slices as a series has at most: instances that follow each
    /// other lie beside each other.
    ///
    /// # Errors
    /// When the sample can't be read.
    pub fn of_slices() -> io::Result<Self> {
        let slices = (SLICE..SLICE + SLICES).map(Slice::read);
        Ok(Self(slices.collect::<io::Result<_>>()?))
    }

    /// Study Instance UID of the `study`th study.
    #[must_use]
    pub fn study(study: u64) -> String {
        uid(STUDY.len(), study, 0)
    }

    /// Series Instance UID of its only series.
    #[must_use]
    pub fn series(study: u64) -> String {
        uid(SERIES.len(), study, 1)
    }

    /// Patient ID of a patient who has this study only.
    #[must_use]
    pub fn patient(study: u64) -> String {
        format!("CRASH-ERASED-{study:011}")
    }

    /// Instance `number` of a study.
    ///
    /// # Errors
    /// When the sample is not what it was.
    pub fn image(&self, study: u64, number: u64, odd: Odd) -> io::Result<Image> {
        let place = usize::try_from(number).unwrap_or_default() % self.0.len();
        let slice = &self.0[place];
        let mut bytes = slice.bytes.clone();
        let instance = uid(slice.instance.len(), study, number);
        replace(&mut bytes, &slice.instance, instance.as_bytes());
        replace(&mut bytes, STUDY, Self::study(study).as_bytes());
        replace(&mut bytes, SERIES, Self::series(study).as_bytes());
        match odd {
            Odd::Nothing => {}
            Odd::Large => enlarge(&mut bytes)?,
            Odd::Patient => rename(&mut bytes, &Self::patient(study))?,
            Odd::OtherModality => replace(&mut bytes, MODALITY, OTHER_MODALITY),
        }
        // No two have the same pixels.
        let stamp = (study << 20 | number).to_le_bytes();
        let end = bytes.len();
        bytes[end - stamp.len()..].copy_from_slice(&stamp);
        Ok(Image {
            uid: instance,
            bytes,
        })
    }

    /// Writes instance `number` of a study into `folder`.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, folder: &Path, study: u64, number: u64, odd: Odd) -> io::Result<File> {
        let Image { uid, bytes } = self.image(study, number, odd)?;
        let tail = sha256_hex(&bytes[bytes.len() - PIXELS..]);
        let path = folder.join(format!("{study}-{number}.dcm"));
        std::fs::write(&path, bytes)?;
        Ok(File { path, uid, tail })
    }
}

/// SHA-256, in hexadecimal digits.
fn sha256_hex(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
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
