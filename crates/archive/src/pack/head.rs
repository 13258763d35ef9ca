//! What a block keeps beside its instances, so that an index can be made again
//! from packs and keys alone: what the rows above them answered with, and the
//! result sets that they were published in.

use serde::{Deserialize, Serialize};

use crate::model::{PatientIdentity, SeriesAttributes, StudyAttributes};

/// The rows above a series' instances as they were when it was packed. Fields
/// are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub study: StudyHead,
    pub series: SeriesHead,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StudyHead {
    pub uid: String,
    #[serde(flatten)]
    pub row: RowHead,
    /// Merged from what came; `None` where a correction says what is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<(PatientIdentity, StudyAttributes)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeriesHead {
    pub uid: String,
    #[serde(flatten)]
    pub row: RowHead,
    /// As of the first that came; `None` where a correction says what is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<SeriesAttributes>,
}

/// What both rows have. Times in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowHead {
    /// Its number in the index: what breaks ties in the order of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    pub revision: u64,
    pub first_received: i64,
    pub last_received: i64,
}

/// A result set, as its row tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Publication {
    pub key: String,
    /// SOP Instance UIDs, also of other series.
    pub instances: Vec<String>,
    /// Unix milliseconds.
    pub published_at: i64,
}
