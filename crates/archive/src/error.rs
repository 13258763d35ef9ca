//! The closed set of ways in which the archive says no. Texts carry no patient
//! data and no UIDs: they end in logs and answers.

use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::db::moving::MOVING;

/// Why an operation of the archive failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// No space left on the device or in a quota of the file system. Nothing
    /// was acknowledged; the next call may succeed once there is room.
    #[error("no space left for the archive: free some, then send again")]
    OutOfSpace,
    /// What the tenant may hold is used up. Nothing was written.
    #[error("this tenant's quota is used up: raise it, or delete something")]
    OverQuota,
    /// Bytes on disk are not what was written; nothing of them was served.
    #[error("stored bytes are not what was written: run `hilum verify`")]
    Corrupt,
    /// The bytes of a known instance are not where the index says.
    #[error("a stored object is missing: run `hilum verify`")]
    Missing,
    /// What the caller read has changed since: read it again.
    #[error("it changed meanwhile: read it again")]
    Outdated,
    /// It was deleted here, and resends of what was deleted are refused.
    #[error("it was deleted here, and resends are refused")]
    Deleted,
    /// A hold or a retention rule keeps it.
    #[error("a hold or a retention rule keeps this study")]
    Held,
    /// What was asked for does not exist in this tenant.
    #[error("not found in this tenant")]
    NotFound,
    /// The caller's input cannot be stored or matched.
    #[error("{0}")]
    Invalid(&'static str),
    /// The master key is not the one that this archive was made with.
    #[error("the master key does not open this archive: give the one it was created with")]
    WrongKey,
    /// Another process has this archive open.
    #[error("another process has this archive open: stop it first")]
    InUse,
    /// The tenant is being moved to another shard, or lives there. Nothing was
    /// acknowledged; sent again in some seconds, it is taken.
    #[error("{MOVING}")]
    Moving,
    /// The archive is shutting down.
    #[error("the archive is closing: send again later")]
    Closed,
    /// The disk failed; what was in flight was not acknowledged.
    #[error("the disk failed ({0}): see the log")]
    Disk(std::io::ErrorKind),
    /// The bucket that holds the objects did not do what it was asked for; what
    /// was in flight was not acknowledged.
    #[error("the bucket of the archive does not answer as it should: see the log")]
    Bucket,
    /// The index database failed.
    #[error("the archive's index failed ({0}): see the log")]
    Index(String),
    /// The server of the index does not answer, or has no room for a question more;
    /// what was in flight was not acknowledged.
    #[error("the archive's index does not answer ({0}): try again later")]
    IndexAway(String),
}

/// Result of the archive's operations.
pub type Result<T> = std::result::Result<T, ArchiveError>;

impl ArchiveError {
    /// A call of SQLite to the disk failed: what it wrote without syncing may
    /// be lost although it can still be read.
    pub(crate) fn doubts_index(&self) -> bool {
        matches!(self, Self::Index(code) if crate::db::is_failure_of_disk(code))
    }
}

impl From<ArchiveError> for ServiceError {
    fn from(error: ArchiveError) -> Self {
        let code = match error {
            ArchiveError::OutOfSpace | ArchiveError::OverQuota => ErrorCode::Exhausted,
            ArchiveError::Corrupt | ArchiveError::Missing => ErrorCode::Corrupt,
            ArchiveError::NotFound => ErrorCode::NotFound,
            ArchiveError::Invalid(_) => ErrorCode::Invalid,
            ArchiveError::Deleted | ArchiveError::Held | ArchiveError::Outdated => {
                ErrorCode::Conflict
            }
            ArchiveError::Closed
            | ArchiveError::Moving
            | ArchiveError::InUse
            | ArchiveError::Index(_)
            | ArchiveError::IndexAway(_)
            | ArchiveError::Bucket => ErrorCode::Unavailable,
            ArchiveError::WrongKey | ArchiveError::Disk(_) => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<std::io::Error> for ArchiveError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge => Self::OutOfSpace,
            kind => Self::Disk(kind),
        }
    }
}
