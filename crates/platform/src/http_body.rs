//! Bodies of requests: JSON within a limit, with no field that the door does
//! not name. Another content type is refused: a form of another site can't
//! send this one without being asked for leave first (Fetch, CORS).

use axum::extract::{FromRequest, Request};
use hilum_contracts::error::ServiceError;
use http::header;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::http::Problem;
use crate::limits::BODY_MAX;

/// A request's body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .map(str::trim);
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
            let text = "Send the body as application/json.";
            return Err(ServiceError::invalid(text).into());
        }
        let bytes = axum::body::to_bytes(request.into_body(), BODY_MAX)
            .await
            .map_err(|_| ServiceError::invalid("The body is too long, or broke off."))?;
        let bytes = Zeroizing::new(Vec::from(bytes));
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            // Never the value: it may be a password.
            let what = error.to_string();
            let what = if what.starts_with("unknown field") || what.starts_with("missing field") {
                what
            } else {
                format!("line {}, column {}", error.line(), error.column())
            };
            ServiceError::invalid(format!("The body is not what this address takes: {what}."))
                .into()
        })
    }
}

/// Tells a field that is `null` from one that is absent (RFC 7396).
///
/// # Errors
/// When the field is not what it should be.
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A text that a client sent and that nobody else should see.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(from = "String")]
#[schema(value_type = String, format = Password)]
pub struct Confidential(Zeroizing<String>);

impl From<String> for Confidential {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Confidential {
    /// The text, for whoever it was sent to.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
