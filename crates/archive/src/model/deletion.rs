//! What is deleted, why, and what stays of it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::filter::MetadataScope;

/// Why something was deleted. Kept with its tombstone; says nothing of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A person asked for it.
    Person,
    /// A rejection note said that its time is over (IHE IOCM, 113039).
    Rejected,
    /// A retention rule.
    Retention,
    /// A patient was erased.
    Erased,
    /// A patient was erased once before, and a backup from before that was
    /// restored: what stood against it was asked then.
    ErasedAgain,
}

impl Cause {
    /// The word for it in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Rejected => "rejected",
            Self::Retention => "retention",
            Self::Erased => "erased",
            Self::ErasedAgain => "erased_again",
        }
    }

    pub(crate) fn of(text: &str) -> Option<Self> {
        [
            Self::Person,
            Self::Rejected,
            Self::Retention,
            Self::Erased,
            Self::ErasedAgain,
        ]
        .into_iter()
        .find(|cause| cause.as_str() == text)
    }
}

/// A study, series or instance to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeletion {
    /// What.
    pub of: MetadataScope,
    /// Why, as a kind.
    pub cause: Cause,
    /// Why, in a person's words; at most [`crate::limits::REASON_BYTES`].
    pub reason: String,
    /// Who.
    pub by: String,
}

/// What a deletion did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Instances that are gone, in every standing.
    pub instances: u64,
    /// Objects of which nothing is left; their files go with the next sweep.
    pub objects: u64,
}

/// A deletion as it is remembered. It names nothing that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionRow {
    /// Names it.
    pub id: i64,
    /// `study`, `series` or `instance`.
    pub level: &'static str,
    /// Why, as a kind.
    pub cause: Cause,
    /// Why, in a person's words.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// How many instances went.
    pub instances: u64,
}

/// What happens to an instance that comes after it was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resend {
    /// It is refused, and its sender is told.
    #[default]
    Refuse,
    /// It is stored as if it had never been there.
    Accept,
}
