//! The erasure of a patient.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::descriptor::Digest;

/// Whom to erase: everything under this Patient ID.
#[derive(Clone, PartialEq, Eq)]
pub struct ErasedPatient {
    /// Patient ID.
    pub id: String,
    /// Issuer of Patient ID; `None`: studies that name none.
    pub issuer: Option<String>,
}

impl std::fmt::Debug for ErasedPatient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErasedPatient")
    }
}

/// What an erasure destroyed in the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Study Instance UIDs: for those who keep rows about them; not kept.
    #[serde(skip)]
    pub studies: Vec<String>,
    /// How many instances.
    pub instances: u64,
    /// Objects of which nothing is left.
    pub objects: u64,
    /// Ids of the study keys that were destroyed, in hexadecimal.
    pub keys: Vec<String>,
    /// Quarantined items in which the Patient ID stood.
    pub quarantined: u64,
    /// Lifted legal holds that named the patient or one of the studies.
    pub holds: u64,
    /// Under which hashes what went is remembered.
    #[serde(skip)]
    pub marks: ErasedMarks,
}

/// A certificate as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureRow {
    /// Names it.
    pub id: i64,
    /// When.
    pub at: OffsetDateTime,
    /// The certificate: JSON.
    pub certificate: String,
}

/// Keyed hashes of what went with a patient beside the patient's own studies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedMarks {
    /// Studies, also those that were merged into one of them.
    pub(crate) studies: Vec<Digest>,
    /// Series that were moved to the patient, where they had come from.
    pub(crate) series: Vec<Digest>,
    /// Instances that were.
    pub(crate) instances: Vec<Digest>,
    /// Quarantined items.
    pub(crate) quarantined: Vec<Digest>,
}

impl ErasedMarks {
    pub(crate) fn add(&mut self, more: Self) {
        self.studies.extend(more.studies);
        self.series.extend(more.series);
        self.instances.extend(more.instances);
        self.quarantined.extend(more.quarantined);
    }
}

/// What is remembered of an erasure, so that a backup made before does not
/// bring the patient back. Names nobody: its hashes are made with a key of the
/// tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// Names it.
    pub id: String,
    /// Whose patient it was.
    pub tenant: String,
    /// When, in Unix milliseconds.
    pub at: i64,
    pub(crate) patient: Digest,
    pub(crate) marks: ErasedMarks,
    /// Ids of the destroyed keys, in hexadecimal.
    pub(crate) keys: Vec<String>,
    /// Not a patient went but the whole tenant; nothing else is said then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) whole_tenant: bool,
    /// HMAC of the record with this field zero: nobody without the tenant's key
    /// has a patient erased by it.
    pub(crate) mac: Digest,
}

impl ErasureRecord {
    /// Whether the whole tenant was ended.
    #[must_use]
    pub fn ends_tenant(&self) -> bool {
        self.whole_tenant
    }
}

/// What a tenant held when it was ended. Names nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantHoldings {
    /// Studies with instances.
    pub studies: u64,
    /// Series in them.
    pub series: u64,
    /// Instances served.
    pub instances: u64,
    /// Objects with all of that.
    pub objects: u64,
    /// Bytes of them.
    pub object_bytes: u64,
    /// Items in quarantine.
    pub quarantined: u64,
    /// Legal holds that stood.
    pub holds: u64,
    /// Study keys.
    pub keys: u64,
    /// SHA-256 in hexadecimal of their ids, 16 bytes each, in ascending order.
    pub keys_sha256: String,
}

/// What became of a backup that was made before an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupState {
    /// It holds the patient and was told: restored, it erases the patient.
    Told,
    /// It may hold the patient and could not be told.
    Unreachable,
    /// Its folder was removed.
    Gone,
}

/// A backup that the archive knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupCopy {
    /// When it was begun.
    pub at: OffsetDateTime,
    /// Where it was made.
    pub folder: PathBuf,
    /// What became of it.
    pub state: BackupState,
}
