//! What the archive answers with.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::correction::Overlay;
use super::instance::{
    InstanceAttributes, Origin, PatientIdentity, SeriesAttributes, StudyAttributes,
};

/// What became of an instance. Every one of these is an acknowledgement: the
/// bytes, or bytes equal to them, are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    /// New.
    Stored,
    /// The same data-set bytes were there already; kept once.
    Duplicate,
    /// Same pixels and identifying attributes in another encoding; kept, the
    /// first is served.
    Variant,
    /// Another content under a known SOP Instance UID; both kept, the first is
    /// served until a person decides.
    Conflict,
}

/// The part that an instance plays under its SOP Instance UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Answers queries and retrievals.
    Served,
    /// Another encoding of the served one.
    Variant,
    /// Contradicts the served one; waits for a person.
    Conflict,
    /// A person decided for another one.
    Superseded,
    /// It would be served, but a rejection note refers to it.
    Rejected,
}

impl Standing {
    /// As the index and the blocks of packs write it.
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Served => 0,
            Self::Variant => 1,
            Self::Conflict => 2,
            Self::Superseded => 3,
            Self::Rejected => 4,
        }
    }

    pub(crate) fn of_code(code: i64) -> crate::Result<Self> {
        match code {
            0 => Ok(Self::Served),
            1 => Ok(Self::Variant),
            2 => Ok(Self::Conflict),
            3 => Ok(Self::Superseded),
            4 => Ok(Self::Rejected),
            _ => Err(crate::ArchiveError::Corrupt),
        }
    }
}

/// Outcome of [`crate::Archive::publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishOutcome {
    /// This call published the set.
    Published,
    /// An earlier call did; nothing of this one was kept.
    AlreadyPublished {
        /// SOP Instance UIDs of the first publication.
        instances: Vec<String>,
    },
}

/// Where the bytes of an instance are. Opaque: it may be kept for as long as a
/// request lasts, and is resolved again when the archive moved the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLocation {
    pub(crate) object: [u8; 16],
    pub(crate) offset: u64,
    pub(crate) segment: u32,
    pub(crate) length: u64,
    pub(crate) sop_instance: String,
    pub(crate) sha256: [u8; 32],
}

impl InstanceLocation {
    /// Length of the data set in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// A study with its counters.
#[derive(Debug, Clone)]
pub struct StudyRow {
    /// Study Instance UID.
    pub uid: String,
    /// Identity as first received, or as corrected.
    pub patient: PatientIdentity,
    /// Attributes as first received, or as corrected.
    pub attributes: StudyAttributes,
    /// Modalities in Study (0008,0061).
    pub modalities: Vec<String>,
    /// Number of Study Related Series (0020,1206).
    pub series: u64,
    /// Number of Study Related Instances (0020,1208).
    pub instances: u64,
    /// When its first instance was received.
    pub first_received: OffsetDateTime,
    /// When its latest instance was received.
    pub last_received: OffsetDateTime,
    /// Grows with every change: a validator for caches.
    pub revision: u64,
}

/// A series with its counters.
#[derive(Debug, Clone)]
pub struct SeriesRow {
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID.
    pub uid: String,
    /// Attributes as first received, or as corrected.
    pub attributes: SeriesAttributes,
    /// Number of Series Related Instances (0020,1209).
    pub instances: u64,
    /// When its first instance was received.
    pub first_received: OffsetDateTime,
    /// When its latest instance was received.
    pub last_received: OffsetDateTime,
    /// Grows with every change: a validator for caches.
    pub revision: u64,
}

/// An instance without its metadata.
#[derive(Debug, Clone)]
pub struct InstanceRow {
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID.
    pub series: String,
    /// SOP Class UID.
    pub sop_class: String,
    /// SOP Instance UID.
    pub sop_instance: String,
    /// Transfer syntax UID of the stored bytes.
    pub transfer_syntax: String,
    /// Attributes of the instance level.
    pub attributes: InstanceAttributes,
    /// Codes of what is odd about it.
    pub flags: Vec<String>,
    /// How it came in.
    pub origin: Origin,
    /// When it was received.
    pub received_at: OffsetDateTime,
    /// Its part under its UID.
    pub standing: Standing,
    /// SHA-256 of the data-set bytes.
    pub sha256: [u8; 32],
    /// Where its bytes are.
    pub location: InstanceLocation,
    /// What reads lay over its bytes; `None`: nothing.
    pub overlay: Option<Overlay>,
}

/// An instance with its metadata and pixel layout.
#[derive(Debug, Clone)]
pub struct InstanceMetadata {
    /// The row.
    pub row: InstanceRow,
    /// DICOM JSON as given to `store`.
    pub metadata: Bytes,
    /// Layout as given to `store`.
    pub layout: Bytes,
}

/// Contents that contradict the served instance of their UID.
#[derive(Debug, Clone)]
pub struct ConflictRow {
    /// Names this conflict in [`crate::Archive::decide_conflict`].
    pub id: i64,
    /// What is served now.
    pub served: InstanceRow,
    /// What contradicts it.
    pub contender: InstanceRow,
}

/// An instance with its pixel layout.
#[derive(Debug, Clone)]
pub struct InstanceLayout {
    /// The row.
    pub row: InstanceRow,
    /// Layout as given to `store`.
    pub layout: Bytes,
}

/// An instance with a range of its bytes.
#[derive(Debug)]
pub struct InstancePart {
    /// The instance.
    pub found: std::sync::Arc<InstanceLayout>,
    /// The range that was picked, and what reads it.
    pub part: Option<(std::ops::Range<u64>, crate::RangeReader)>,
}

/// A conflict that nobody compared yet: whoever can decode pixels says whether
/// it is only another encoding.
#[derive(Debug, Clone)]
pub struct Uncompared {
    /// Names this conflict in [`crate::Archive::end_comparison`].
    pub id: i64,
    /// What is served now.
    pub served: InstanceLayout,
    /// What contradicts it.
    pub contender: InstanceLayout,
}

/// What a person decided about a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The served one stays; the contender is kept, and no longer listed.
    KeepServed,
    /// The contender is served from now on; the other is kept.
    ServeContender,
}

impl Decision {
    /// As a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeepServed => "keep-served",
            Self::ServeContender => "serve-contender",
        }
    }
}

/// A window over a sorted answer.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// At most this many rows; capped at [`crate::limits::PAGE_ROWS`].
    pub limit: u32,
    /// Rows to leave out first.
    pub offset: u64,
}

impl Page {
    /// The first `limit` rows.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self { limit, offset: 0 }
    }
}

/// Where a page of the worklist ended. Prints as a string that can travel in a
/// URL and be parsed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorklistCursor {
    pub(crate) last_received: i64,
    pub(crate) id: i64,
}

impl std::fmt::Display for WorklistCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.last_received, self.id)
    }
}

impl std::str::FromStr for WorklistCursor {
    type Err = crate::ArchiveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || crate::ArchiveError::Invalid("this is not a worklist cursor");
        let (received, id) = text.split_once('.').ok_or_else(invalid)?;
        Ok(Self {
            last_received: received.parse().map_err(|_| invalid())?,
            id: id.parse().map_err(|_| invalid())?,
        })
    }
}

/// A page of the worklist, latest reception first.
#[derive(Debug, Clone)]
pub struct WorklistPage {
    /// The studies.
    pub studies: Vec<StudyRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<WorklistCursor>,
}
