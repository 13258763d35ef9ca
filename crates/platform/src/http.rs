//! How errors look over HTTP (RFC 9457), and the scope of a request.

use std::marker::PhantomData;
use std::net::IpAddr;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use hilum_contracts::access::Allowed;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::scope::TenantScope;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::DbError;
use crate::db::moving::{MOVING, is_moving};

/// An error on its way to an HTTP client.
#[derive(Debug)]
pub struct Problem(pub ServiceError);

/// `application/problem+json` as RFC 9457 has it, with our closed code.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Always `about:blank`: the code says more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status's name.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do.
    detail: String,
    /// One of a closed set, to act on.
    #[schema(value_type = String, example = "not-found")]
    code: ErrorCode,
}

/// The HTTP status that stands for a code.
#[must_use]
pub const fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Invalid => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorCode::Exhausted => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Corrupt | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl<E: Into<ServiceError>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// A database's own words stay in the log: they may quote a row.
#[must_use]
pub fn database_error(error: &DbError) -> ServiceError {
    if is_moving(error) {
        return ServiceError::new(ErrorCode::Unavailable, MOVING);
    }
    tracing::error!(%error, "database");
    ServiceError::new(
        ErrorCode::Unavailable,
        "The database did not answer. Try again; if it goes on, run `hilum doctor`.",
    )
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status_of(self.0.code);
        let body = ProblemBody {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.0.message,
            code: self.0.code,
        };
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.0.code == ErrorCode::Unavailable {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// The scope of the request, put there by the server when it knew who asks,
/// and whose role includes `A`. There is no other way to a scope in a handler,
/// so that none is reached without naming what it is for.
pub struct May<A: Allowed>(pub TenantScope, pub PhantomData<A>);

impl<A: Allowed, S: Send + Sync> FromRequestParts<S> for May<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let scope = parts.extensions.get::<TenantScope>().ok_or_else(|| {
            let text = "Sign in, or send an API key as a bearer token.";
            ServiceError::new(ErrorCode::Unauthenticated, text)
        })?;
        scope.require(A::ACTION)?;
        Ok(Self(scope.clone(), PhantomData))
    }
}

/// From where a request came, put there by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Address of the other side.
    pub address: IpAddr,
    /// Whether it came over TLS.
    pub secure: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| ServiceError::internal("The server did not say who calls.").into())
    }
}

/// A query whose names may be repeated, which `axum`'s own extractor refuses.
pub struct RepeatedQuery(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for RepeatedQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let axum::extract::Query(pairs) =
            axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state)
                .await
                .map_err(|_| ServiceError::invalid("The query can't be read."))?;
        Ok(Self(pairs))
    }
}

impl RepeatedQuery {
    /// Every value of `name`, at most `limit` of them.
    ///
    /// # Errors
    /// `Invalid` when there are more.
    pub fn values(&self, name: &str, limit: usize) -> Result<Vec<String>, Problem> {
        let values: Vec<String> = self
            .0
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.clone())
            .collect();
        if values.len() > limit {
            let text = format!("At most {limit} values of {name} in one request.");
            return Err(Problem(ServiceError::invalid(text)));
        }
        Ok(values)
    }

    /// The first value of `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}
