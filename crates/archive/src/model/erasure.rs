//! The erasure of a patient.

use serde::Serialize;
use time::OffsetDateTime;

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
