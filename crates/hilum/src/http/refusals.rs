//! What could not be read of a request is refused in the form of every other
//! refusal (RFC 9457). The framework's own words stay here: they quote what was
//! sent, and that may name a patient.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hilum_contracts::error::ServiceError;
use hilum_platform::http::Problem;
use http::{StatusCode, header};

/// Gives refusals of extractors their form.
pub(crate) async fn formed(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_text = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !is_text || !response.status().is_client_error() {
        return response;
    }
    let text = match response.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Send the body as application/json.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is longer than any that is taken here.",
        _ => "The address, the query or the body is not of the form that the OpenAPI document has.",
    };
    Problem(ServiceError::invalid(text)).into_response()
}
