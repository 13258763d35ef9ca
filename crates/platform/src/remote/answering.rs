//! The questions that a service answers to its neighbours.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::scope::TenantScope;
use hilum_contracts::service::ServiceName;
use http::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{SCOPE, WITHIN};
use crate::auth;
use crate::http::status_of;
use crate::limits::{NEIGHBOUR_BODY_MAX, NEIGHBOUR_WITHIN};
use crate::traces::Work;

/// What one service answers. Its questions are added by the modules of the
/// contracts.
pub struct Answering {
    service: ServiceName,
    router: Router,
    stop: CancellationToken,
}

impl Answering {
    /// Nothing yet.
    #[must_use]
    pub fn new(service: ServiceName) -> Self {
        Self {
            service,
            router: Router::new(),
            stop: CancellationToken::new(),
        }
    }

    /// What is held until there is something to tell is answered at `stop`.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// When nothing is held any more.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// A question within a tenant.
    #[must_use]
    pub fn on<Q, A, F, W>(self, what: &str, answer: F) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + 'static,
        F: Fn(TenantScope, Q) -> W + Send + Sync + 'static,
        W: Future<Output = Result<A, ServiceError>> + Send,
    {
        let answer = Arc::new(answer);
        self.on_bytes(what, move |headers, body| {
            let answer = Arc::clone(&answer);
            async move {
                let (scope, question) = (scope_of(&headers)?, read(&body)?);
                Ok(Json(answer(scope, question).await?).into_response())
            }
        })
    }

    /// A question about no tenant, or about all.
    #[must_use]
    pub fn on_any<Q, A, F, W>(self, what: &str, answer: F) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + 'static,
        F: Fn(Q) -> W + Send + Sync + 'static,
        W: Future<Output = Result<A, ServiceError>> + Send,
    {
        let answer = Arc::new(answer);
        self.on_bytes(what, move |_, body| {
            let answer = Arc::clone(&answer);
            async move { Ok(Json(answer(read(&body)?).await?).into_response()) }
        })
    }

    /// A question whose answer is a response of its own: bytes, or a stream.
    #[must_use]
    pub fn on_bytes<F, W>(mut self, what: &str, answer: F) -> Self
    where
        F: Fn(HeaderMap, Bytes) -> W + Send + Sync + 'static,
        W: Future<Output = Result<Response, ServiceError>> + Send,
    {
        let answer = Arc::new(answer);
        let path = format!("/ask/{}/{what}", self.service);
        let name: Arc<str> = path.as_str().into();
        let handler = move |request: Request| {
            let (answer, name) = (Arc::clone(&answer), Arc::clone(&name));
            async move {
                let (parts, body) = request.into_parts();
                let traced = parts.headers.get("traceparent");
                let traced = traced.and_then(|value| value.to_str().ok());
                let work = traced.map(|parent| Work::request((*name).to_owned(), Some(parent)));
                let within = within(&parts.headers);
                let answering = async {
                    let body = axum::body::to_bytes(body, NEIGHBOUR_BODY_MAX).await;
                    let body = body.map_err(|_| {
                        ServiceError::invalid("The question is too long or broke off.")
                    })?;
                    answer(parts.headers, body).await
                };
                let answering = tokio::time::timeout(within, answering);
                let answered = match work {
                    Some(work) => work.around(answering).await,
                    None => answering.await,
                };
                let answered = match answered {
                    Ok(answered) => answered,
                    Err(_) => Err(ServiceError::new(
                        ErrorCode::Unavailable,
                        "It took longer than is waited for.",
                    )),
                };
                answered
                    .unwrap_or_else(|error| (status_of(error.code), Json(error)).into_response())
            }
        };
        self.router = self.router.route(&path, post(handler));
        self
    }

    /// Where these questions are answered.
    pub fn into_router(self) -> Router {
        self.router.layer(DefaultBodyLimit::disable())
    }
}

/// The scope that the question is asked in.
///
/// # Errors
/// `Unauthenticated` without one.
pub(super) fn scope_of(headers: &HeaderMap) -> Result<TenantScope, ServiceError> {
    let text = headers.get(SCOPE).and_then(|value| value.to_str().ok());
    text.and_then(auth::from_neighbour).ok_or_else(|| {
        ServiceError::new(ErrorCode::Unauthenticated, "The question names no scope.")
    })
}

pub(super) fn read<Q: DeserializeOwned>(body: &[u8]) -> Result<Q, ServiceError> {
    // Not in the parser's words: they quote values.
    serde_json::from_slice(body).map_err(|_| ServiceError::invalid("The question can't be read."))
}

/// A body of pieces that may break off; the log says why.
pub(super) fn stream_of<S>(pieces: S) -> Response
where
    S: futures::Stream<Item = Result<Bytes, ServiceError>> + Send + 'static,
{
    let pieces = futures::StreamExt::map(pieces, |piece| {
        piece.map_err(|error| {
            tracing::warn!(%error, "an answer to a neighbour broke off");
            std::io::Error::other("the answer broke off")
        })
    });
    Body::from_stream(pieces).into_response()
}

/// How long the answer is waited for; never longer than any neighbour does.
fn within(headers: &HeaderMap) -> Duration {
    let told = headers.get(WITHIN).and_then(|value| value.to_str().ok());
    let millis = told.and_then(|text| text.parse().ok());
    millis.map_or(NEIGHBOUR_WITHIN, Duration::from_millis)
}
