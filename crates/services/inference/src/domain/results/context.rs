//! What is the same for all objects of one run: who made them, when, under which names, and what
//! a reader must be told. Owns no rule; everything here comes from the run row and the model's
//! manifest, which is why a repeated run writes the same bytes.

use time::OffsetDateTime;
use uuid::Uuid;

use super::uid::{self, Purpose};

/// Said at the head of each series description, so that it shows in every viewer's series list.
pub const NOT_FOR_CLINICAL_USE: &str = "Research use only, not for clinical use";

/// The run as its results show it.
#[derive(Debug, Clone)]
pub struct ResultContext {
    /// The run; names every UID of its results ([`uid::derive`]).
    pub run: Uuid,
    /// Date and time of the content, from the run row. Written in its own offset, or in the
    /// source's where that has a Timezone Offset From UTC (0008,0201).
    pub created: OffsetDateTime,
    /// The model that ran.
    pub model: ModelIdentity,
    /// The software that ran it.
    pub equipment: Equipment,
    /// Sentences that a reader of the result must see, e.g. "input outside the model's intended
    /// use: …". No patient data.
    pub warnings: Vec<String>,
    /// Report of the run that this one supersedes.
    pub predecessor: Option<InstanceReference>,
    /// Series Numbers of the results.
    pub series_numbers: SeriesNumbers,
}

impl ResultContext {
    /// UID of this run for a purpose.
    #[must_use]
    pub fn uid(&self, purpose: Purpose) -> String {
        uid::derive(self.run, purpose, 0)
    }

    /// Tracking UID of a segment, from 1: the same in Segmentation and report.
    #[must_use]
    pub fn tracking_uid(&self, segment: u16) -> String {
        uid::derive(self.run, Purpose::SegmentTracking, u32::from(segment))
    }

    /// Series description: the notice first, so that cutting to 64 characters never drops it.
    pub(super) fn series_description(&self, prefix: &str) -> String {
        format!("{NOT_FOR_CLINICAL_USE}: {prefix}{}", self.model.name)
    }

    /// The notice and all warnings, one paragraph each.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices = vec![format!("{NOT_FOR_CLINICAL_USE}.")];
        notices.extend(self.warnings.iter().take(super::limits::WARNINGS).cloned());
        notices
    }
}

/// A model's identity.
#[derive(Debug, Clone)]
pub struct ModelIdentity {
    /// Name, e.g. `Brain extraction`.
    pub name: String,
    /// Version.
    pub version: String,
    /// Who made it; written as the algorithm's source. May be empty.
    pub manufacturer: String,
}

/// The device that writes the objects, i.e. this software.
#[derive(Debug, Clone)]
pub struct Equipment {
    /// Manufacturer (0008,0070).
    pub manufacturer: String,
    /// Manufacturer's Model Name (0008,1090): the product.
    pub model_name: String,
    /// Device Serial Number (0018,1000): the installation.
    pub serial_number: String,
    /// Software Versions (0018,1020).
    pub software_version: String,
    /// Implementation Class UID (0002,0012) of the product.
    pub implementation_class_uid: String,
    /// Implementation Version Name (0002,0013), at most 16 characters.
    pub implementation_version_name: String,
}

/// Series Numbers (0020,0011) of a run's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesNumbers {
    /// Of the Segmentation.
    pub segmentation: u32,
    /// Of the report.
    pub report: u32,
    /// Of the rejection note.
    pub rejection: u32,
}

/// A composite instance and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReference {
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: String,
    /// Series Instance UID (0020,000E).
    pub series_instance_uid: String,
    /// SOP Class UID (0008,0016).
    pub sop_class_uid: String,
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: String,
}
