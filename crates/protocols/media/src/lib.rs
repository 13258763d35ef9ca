//! DICOM File-sets (PS3.10 §8): the names of their files, and the DICOMDIR
//! that lists them (PS3.3 Annex F). Owns the form of directory records; never
//! reads or writes a file itself, and never sees a data set: its caller gives
//! DICOM JSON.

mod directory;
mod encode;
mod file_id;
mod kind;
mod record;

pub use directory::{Directory, DirectoryError, Entry, FILES_MAX};
pub use file_id::FileId;

/// Media Storage Directory Storage.
pub const MEDIA_STORAGE_DIRECTORY: &str = "1.2.840.10008.1.3.10";
