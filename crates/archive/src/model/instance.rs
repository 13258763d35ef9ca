//! An instance on its way in: identity, indexable attributes and body.

use std::path::PathBuf;

use bytes::Bytes;
use hilum_contracts::ids::CorrelationId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::rejection::Rejection;

/// The data-set bytes of one instance, exactly as received.
#[derive(Debug, Clone)]
pub enum Body {
    /// Held in memory. Anything above [`crate::Limits::bundled_instance_bytes`]
    /// is written to an object of its own.
    Memory(Bytes),
    /// Held in a spool file that the caller owns and removes afterwards. Read
    /// in chunks, never whole, and always written to an object of its own.
    Spool {
        /// Where the bytes are; they start at offset 0.
        path: PathBuf,
        /// How many bytes to take, in bytes. A shorter file is an error.
        length: u64,
    },
}

impl Body {
    /// Length of the data set in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spool { length, .. } => *length,
        }
    }

    /// True when there is not a single byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A text attribute with the key it is matched by. The caller folds case and
/// accents, both here and in patterns, so that one rule serves both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folded {
    /// As received, in UTF-8.
    pub value: String,
    /// Folded for matching.
    pub key: String,
}

/// A person name (PS3.5 §6.2.1) with one matching key per component group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonName {
    /// As received, in UTF-8, groups separated by `=`.
    pub value: String,
    /// Folded alphabetic group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabetic: Option<String>,
    /// Folded ideographic group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ideographic: Option<String>,
    /// Folded phonetic group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phonetic: Option<String>,
}

/// The identity that an image carries, committed together with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PatientIdentity {
    /// Issuer of Patient ID, or the default issuer of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Patient ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Patient's Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<PersonName>,
    /// Patient's Birth Date, `YYYYMMDD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<String>,
    /// Patient's Sex, `M`, `F` or `O`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
}

/// Study attributes that can be asked for (PS3.18 table 10.6.1-3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudyAttributes {
    /// Study Date, `YYYYMMDD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Study Time, `HHMMSS[.FFFFFF]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Timezone Offset From UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Accession Number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accession: Option<String>,
    /// Study ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Study Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Folded>,
    /// Referring Physician's Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referring_physician: Option<PersonName>,
}

/// Series attributes that can be asked for (PS3.18 table 10.6.1-4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeriesAttributes {
    /// Modality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Series Number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Series Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Folded>,
    /// Body Part Examined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_part: Option<String>,
    /// Laterality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub laterality: Option<String>,
    /// Series Date, `YYYYMMDD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Series Time, `HHMMSS[.FFFFFF]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Protocol Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Manufacturer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// Station Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// Frame of Reference UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_of_reference: Option<String>,
    /// Performed Procedure Step Start Date, `YYYYMMDD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performed_step_date: Option<String>,
    /// Performed Procedure Step Start Time, `HHMMSS[.FFFFFF]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performed_step_time: Option<String>,
    /// Scheduled Procedure Step ID of the first Request Attributes Sequence item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_step_id: Option<String>,
    /// Requested Procedure ID of the first Request Attributes Sequence item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_procedure_id: Option<String>,
}

/// Instance attributes that can be asked for (PS3.18 table 10.6.1-5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceAttributes {
    /// Instance Number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// Columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<u32>,
    /// Bits Allocated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_allocated: Option<u32>,
    /// Number of Frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
}

/// How an instance came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Origin {
    /// C-STORE.
    Dimse {
        /// Calling AE title.
        calling_ae: String,
    },
    /// STOW-RS.
    Stow,
    /// Made by Hilum itself: never triggers work (design.md, "Readiness").
    Hilum,
    /// Read from a folder by `hilum import`.
    Import,
}

/// One instance to be stored. Nothing in it is parsed again: index, metadata
/// answers and pixel ranges all come from here.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// SOP Class UID.
    pub sop_class: String,
    /// SOP Instance UID.
    pub sop_instance: String,
    /// Series Instance UID.
    pub series: String,
    /// Study Instance UID.
    pub study: String,
    /// Transfer syntax UID that `body` is encoded in.
    pub transfer_syntax: String,
    /// The data set.
    pub body: Body,
    /// SHA-256 of the data set's bytes.
    pub sha256: [u8; 32],
    /// SHA-256 over decoded pixels and identifying attributes; equal digests
    /// under one SOP Instance UID make a variant. `None`: not comparable.
    pub comparison: Option<[u8; 32]>,
    /// DICOM JSON (PS3.18 annex F) without bulk data, UTF-8.
    pub metadata: Bytes,
    /// Opaque to the archive: where pixels and bulk data are in `body`.
    pub layout: Bytes,
    /// Identity of the patient.
    pub patient: PatientIdentity,
    /// Study level.
    pub study_attributes: StudyAttributes,
    /// Series level.
    pub series_attributes: SeriesAttributes,
    /// Instance level.
    pub instance_attributes: InstanceAttributes,
    /// Short codes of what is odd about the data set, none of it patient data.
    pub flags: Vec<String>,
    /// How it came in.
    pub origin: Origin,
    /// Follows the association or request that brought it.
    pub correlation: CorrelationId,
    /// When its last byte arrived.
    pub received_at: OffsetDateTime,
    /// What it rejects, when it is a rejection note.
    pub rejects: Option<Rejection>,
}

/// Names one result set for ever: the first publication under it wins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResultKey(pub String);
