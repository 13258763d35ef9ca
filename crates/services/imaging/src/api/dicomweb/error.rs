//! Errors as DICOMweb answers them: the standard's status (PS3.18 §8.5) with
//! a problem document that says what to change.

use axum::response::{IntoResponse, Response};
use hilum_archive::ArchiveError;
use hilum_contracts::error::ServiceError;
use hilum_dicomweb::Refusal;
use hilum_pixels::PixelError;
use hilum_platform::http::Problem;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request is refused by a rule of the standard.
    Refused(Refusal),
    /// The service could not.
    Service(ServiceError),
}

impl Failure {
    pub(super) fn not_found() -> Self {
        Self::Service(ServiceError::not_found("There is no such resource."))
    }

    pub(super) fn not_acceptable(text: impl Into<String>) -> Self {
        Self::Refused(Refusal::NotAcceptable(text.into()))
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::Service(error.into())
    }
}

/// What can't be decoded can't be given in the form asked for.
impl From<PixelError> for Failure {
    fn from(error: PixelError) -> Self {
        match error {
            PixelError::NoSuchFrame => Self::not_found(),
            PixelError::Parameter { .. } => Self::Refused(Refusal::BadRequest(error.to_string())),
            _ => Self::not_acceptable(format!(
                "this image can't be decoded ({error}); it is given as stored with transfer-syntax=*"
            )),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Service(ServiceError::internal(error.kind().to_string()))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Service(error) => Problem(error).into_response(),
            Self::Refused(refusal) => {
                let status = refusal.status();
                let code = match status {
                    StatusCode::BAD_REQUEST => "invalid",
                    StatusCode::PAYLOAD_TOO_LARGE => "exhausted",
                    _ => "unsupported",
                };
                let body = json!({
                    "type": "about:blank",
                    "title": status.canonical_reason(),
                    "status": status.as_u16(),
                    "detail": refusal.to_string(),
                    "code": code,
                });
                let mut response = (status, body.to_string()).into_response();
                response.headers_mut().insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/problem+json"),
                );
                response
            }
        }
    }
}
