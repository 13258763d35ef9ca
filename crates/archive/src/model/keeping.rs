//! What a tenant may hold, and what must or may no longer be kept.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What a tenant may hold; `None`: no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Bytes of objects.
    pub bytes: Option<u64>,
    /// Instances.
    pub instances: Option<u64>,
}

/// From when a retention rule counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Since {
    /// Study Date; the last reception where there is none.
    #[default]
    StudyDate,
    /// When the latest instance was received.
    Reception,
}

/// How long studies are kept. Of several rules that match, the longest times
/// count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRule {
    /// Studies with one of these modalities; empty: all.
    pub modalities: Vec<String>,
    /// From when it counts.
    pub since: Since,
    /// Days before which nothing may be deleted.
    pub keep_days: Option<u32>,
    /// Days after which a study is deleted.
    pub expire_days: Option<u32>,
}

/// What a legal hold is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum HoldOn {
    /// One study.
    Study {
        /// Study Instance UID.
        study: String,
    },
    /// Every study of a patient, also those that come later.
    Patient {
        /// Issuer of Patient ID; `None`: whoever issued it.
        issuer: Option<String>,
        /// Patient ID.
        id: String,
    },
}

/// A legal hold: nothing that it is on is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// Names it.
    pub id: i64,
    /// What it is on.
    pub on: HoldOn,
    /// Why, in a person's words.
    pub reason: String,
    /// Who placed it.
    pub by: String,
    /// When.
    pub placed_at: OffsetDateTime,
}

/// What stands against deleting a study, and when its time is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Holds on it.
    pub holds: Vec<HoldRow>,
    /// It may not be deleted before.
    pub keep_until: Option<OffsetDateTime>,
    /// It is deleted then, unless a hold keeps it.
    pub expires_at: Option<OffsetDateTime>,
}
