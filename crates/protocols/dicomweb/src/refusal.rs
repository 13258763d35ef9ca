//! The closed set of reasons for which a request is refused, each with the
//! status code that PS3.18 §8.5 gives it.

use http::StatusCode;

/// Why a request is refused. The text says what to change; it names parameters
/// and attributes and never repeats a value, which may be a patient's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is malformed or asks for what is not supported.
    #[error("{0}")]
    BadRequest(String),
    /// None of the acceptable media types can be given (PS3.18 §8.7.7).
    #[error("{0}")]
    NotAcceptable(String),
    /// The body is of a media type that is not taken.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// The body is larger than a limit.
    #[error("{0}")]
    TooLarge(String),
}

impl Refusal {
    /// The HTTP status that stands for it.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::BadRequest(text.into())
    }
}
