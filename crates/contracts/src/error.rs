//! The closed set of errors that may cross a boundary between services.

use serde::{Deserialize, Serialize};

/// Why a request was not done. Closed: a new kind of failure maps to one of
/// these, so that every caller can decide what to do without parsing text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request itself is wrong; sending it again will not help.
    Invalid,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// Who asks is not known: sign in, or send a key.
    Unauthenticated,
    /// Who asks is known and may not do this.
    Forbidden,
    /// It contradicts what is stored; a person or the caller has to decide.
    Conflict,
    /// The request is right but this installation does not support it.
    Unsupported,
    /// A limit was reached; try again later or with less.
    Exhausted,
    /// More was asked in a short time than this caller may; wait and ask again.
    TooMany,
    /// A part that is needed does not answer; try again later.
    Unavailable,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A fault of ours. The details are in the log under the correlation id.
    Internal,
}

impl ErrorCode {
    /// Whether the same request may succeed later without being changed.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Exhausted | Self::TooMany | Self::Unavailable | Self::Internal
        )
    }
}

/// An error as its caller sees it: a code to act on, and a sentence that says
/// what to do. The sentence never holds patient data.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ServiceError {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// What happened and what to do, for a person.
    pub message: String,
}

impl ServiceError {
    /// An error with `code` that tells its reader `message`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Nothing by that name exists for this caller.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}
