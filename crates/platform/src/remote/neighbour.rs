//! A service in another process, as who asks it sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::scope::TenantScope;
use hilum_contracts::service::ServiceName;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::lent::Lent;
use super::{READY, SCOPE, WITHIN};
use crate::auth;
use crate::http_client::{HttpClient, HttpError};
use crate::limits::{
    NEIGHBOUR_ANSWER_MAX, NEIGHBOUR_GONE_PAUSE, NEIGHBOUR_GONE_WAITING, NEIGHBOUR_LOOK_EVERY,
    NEIGHBOUR_PAUSE, NEIGHBOUR_THERE_WITHIN, NEIGHBOUR_TRIES, NEIGHBOUR_WITHIN,
};

/// How a question may be asked.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// For how long the answer is waited for, all tries together.
    pub within: Duration,
    /// Whether it may be asked again when it is not known what became of it.
    pub again: bool,
}

impl Asking {
    /// What does no harm when it is asked twice.
    pub const REPEATABLE: Self = Self {
        within: NEIGHBOUR_WITHIN,
        again: true,
    };
    /// What is asked once: whoever asks decides what to do when no answer came.
    pub const ONCE: Self = Self {
        within: NEIGHBOUR_WITHIN,
        again: false,
    };

    /// The same, with more time or less.
    #[must_use]
    pub const fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }
}

/// A way to a service in another process. Cheap to clone.
#[derive(Clone)]
pub struct Neighbour(Arc<Inner>);

struct Inner {
    service: ServiceName,
    /// Scheme and authority.
    at: Uri,
    client: HttpClient,
    breaker: Breaker,
    /// Places of those who wait until it is there again.
    waiting: Semaphore,
}

impl std::fmt::Debug for Neighbour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Neighbour({} at {})", self.0.service, self.0.at)
    }
}

impl Neighbour {
    /// The service that answers at `at`: scheme and authority of its door for
    /// neighbours.
    #[must_use]
    pub fn new(service: ServiceName, at: Uri, client: HttpClient) -> Self {
        Self(Arc::new(Inner {
            service,
            at,
            client,
            breaker: Breaker::default(),
            waiting: Semaphore::new(NEIGHBOUR_GONE_WAITING),
        }))
    }

    /// Which service it is.
    #[must_use]
    pub fn service(&self) -> ServiceName {
        self.0.service
    }

    /// Where its door is: scheme and authority.
    #[must_use]
    pub fn at(&self) -> &Uri {
        &self.0.at
    }

    /// Where a path of its door is.
    pub(super) fn address_of(&self, path: &str) -> Result<Uri, http::Error> {
        let mut parts = self.0.at.clone().into_parts();
        parts.path_and_query = Some(path.parse()?);
        Ok(Uri::from_parts(parts)?)
    }

    /// Asks, and has the whole answer.
    ///
    /// # Errors
    /// What the neighbour answers, or `Unavailable` when it does not in time.
    pub async fn ask<Q, A>(
        &self,
        asking: Asking,
        what: &str,
        scope: Option<&TenantScope>,
        question: &Q,
    ) -> Result<A, ServiceError>
    where
        Q: Serialize + Sync + ?Sized,
        A: DeserializeOwned,
    {
        let body = serde_json::to_vec(question).map_err(|_| unwritten())?;
        let answer = self.ask_bytes(asking, what, scope, body.into()).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            tracing::error!(neighbour = %self.0.service, what, kind = ?error.classify(), "an answer can't be read");
            ServiceError::internal("A neighbour's answer can't be read.")
        })
    }

    /// The same with bytes as question and answer.
    ///
    /// # Errors
    /// See [`Neighbour::ask`].
    pub async fn ask_bytes(
        &self,
        asking: Asking,
        what: &str,
        scope: Option<&TenantScope>,
        body: Bytes,
    ) -> Result<Bytes, ServiceError> {
        let collect = async |response: Response<Incoming>| {
            let body = Limited::new(response.into_body(), NEIGHBOUR_ANSWER_MAX).collect();
            body.await.map(|body| body.to_bytes()).ok()
        };
        self.tried(asking, what, scope, body, collect).await
    }

    /// Asks, and has the answer piece by piece. Only until its first byte there is
    /// a deadline: whoever reads knows how long a silence may last.
    ///
    /// # Errors
    /// See [`Neighbour::ask`]; in the stream when it breaks off.
    pub async fn ask_stream<Q: Serialize + Sync + ?Sized>(
        &self,
        asking: Asking,
        what: &str,
        scope: Option<&TenantScope>,
        question: &Q,
    ) -> Result<BoxStream<'static, Result<Bytes, ServiceError>>, ServiceError> {
        let body = serde_json::to_vec(question).map_err(|_| unwritten())?;
        let begun = async |response| Some(response);
        let response = self.tried(asking, what, scope, body.into(), begun).await?;
        let service = self.0.service;
        let pieces = response.into_body().into_data_stream();
        let pieces = pieces.map_err(move |_| unavailable(service));
        Ok(pieces.boxed())
    }

    /// Passes a request on as it is and answers what comes back, as it comes. How
    /// long that takes is not known; but a neighbour that says nothing else either
    /// stands still, and is not waited for. `waits` is called when the request waits
    /// because the neighbour is being replaced.
    ///
    /// # Errors
    /// `Unavailable` when the neighbour does not begin to answer in time.
    pub async fn pass_on(
        &self,
        request: Request<Body>,
        within: Duration,
        waits: impl FnMut() + Send,
    ) -> Result<Response<Incoming>, ServiceError> {
        tokio::select! {
            answer = self.when_there(request, within, waits) => answer.map_err(|_| self.silent()),
            () = self.stands_still() => Err(self.silent()),
        }
    }

    /// Returns when the neighbour does not even say that it is there.
    async fn stands_still(&self) {
        loop {
            tokio::time::sleep(NEIGHBOUR_LOOK_EVERY).await;
            let Ok(request) = self.request(READY, None, Bytes::new(), NEIGHBOUR_THERE_WITHIN)
            else {
                return std::future::pending().await;
            };
            // Whatever it says.
            let there = self.asked(request, NEIGHBOUR_THERE_WITHIN).await;
            let replaced = |error| error == HttpError::NotConnected && self.may_be_back();
            if there.is_err_and(|error| !replaced(error)) {
                return;
            }
        }
    }

    async fn tried<A>(
        &self,
        asking: Asking,
        what: &str,
        scope: Option<&TenantScope>,
        body: Bytes,
        read: impl AsyncFn(Response<Incoming>) -> Option<A>,
    ) -> Result<A, ServiceError> {
        let until = Instant::now().checked_add(asking.within);
        let mut tries = if asking.again { NEIGHBOUR_TRIES } else { 1 };
        loop {
            tries -= 1;
            let left = until.map_or(asking.within, |until| {
                until.saturating_duration_since(Instant::now())
            });
            let request = self.request(what, scope, body.clone(), left)?;
            let told = async {
                let response = self.when_there(request, left, || ()).await;
                let response = response.map_err(|_| self.silent())?;
                if response.status() != StatusCode::OK {
                    return Err(self.refusal(response).await);
                }
                let answer = tokio::time::timeout(left, read(response)).await;
                answer.ok().flatten().ok_or_else(|| self.silent())
            };
            match told.await {
                Err(error) if error.code == ErrorCode::Unavailable && tries > 0 => {
                    // Of random length, so that callers that failed together do not come together.
                    let pause = NEIGHBOUR_PAUSE.mul_f64(0.5 + fastrand::f64());
                    if left <= pause {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
                told => return told,
            }
        }
    }

    fn request(
        &self,
        what: &str,
        scope: Option<&TenantScope>,
        body: Bytes,
        within: Duration,
    ) -> Result<Request<Body>, ServiceError> {
        let at = self.address_of(&format!("/ask/{}/{what}", self.0.service));
        let mut request = Request::post(at.map_err(|_| unwritten())?)
            .header(header::CONTENT_TYPE, "application/json")
            .header(WITHIN, within.as_millis().to_string());
        if let Some(scope) = scope {
            request = request.header(SCOPE, auth::to_neighbour(scope));
        }
        request.body(Body::from(body)).map_err(|_| unwritten())
    }

    /// One try, and another as long as nothing could be sent because the neighbour is not
    /// there for a moment: it is being replaced then, as a rule. `waits` is called before
    /// each pause.
    async fn when_there(
        &self,
        request: Request<Body>,
        within: Duration,
        mut waits: impl FnMut() + Send,
    ) -> Result<Response<Incoming>, HttpError> {
        let until = Instant::now().checked_add(within);
        let (parts, body) = request.into_parts();
        let body = Lent::new(body);
        let mut place = None;
        loop {
            let asked = Request::from_parts(parts.clone(), body.lend());
            let left = until.map_or(within, |until| {
                until.saturating_duration_since(Instant::now())
            });
            let error = match self.once(asked, left).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let nothing_done = match error {
                HttpError::NotConnected => true,
                HttpError::Unreachable => parts.method.is_safe(),
                _ => false,
            };
            let again = nothing_done && body.is_whole() && self.may_be_back();
            if !again || left <= NEIGHBOUR_GONE_PAUSE {
                return Err(error);
            }
            if place.is_none() {
                place = Some(self.0.waiting.try_acquire().map_err(|_| error)?);
            }
            waits();
            tokio::time::sleep(NEIGHBOUR_GONE_PAUSE.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    /// Notes that nobody was there; whether that is so for a moment only.
    fn is_gone_for_a_moment(&self) -> bool {
        self.0.breaker.not_there(Instant::now());
        self.may_be_back()
    }

    fn may_be_back(&self) -> bool {
        self.0.breaker.may_be_back(Instant::now())
    }

    /// One try, unless the neighbour is given a rest.
    async fn once(
        &self,
        request: Request<Body>,
        within: Duration,
    ) -> Result<Response<Incoming>, HttpError> {
        if !self.0.breaker.may(Instant::now()) {
            self.count("not-asked");
            return Err(match self.0.breaker.is_gone() {
                true => HttpError::NotConnected,
                false => HttpError::Unreachable,
            });
        }
        self.asked(request, within).await
    }

    fn count(&self, outcome: &'static str) {
        let label = self.0.service.as_str();
        metrics::counter!("hilum_neighbour_requests_total", "neighbour" => label, "outcome" => outcome)
            .increment(1);
    }

    /// One try, counted by the breaker.
    async fn asked(
        &self,
        request: Request<Body>,
        within: Duration,
    ) -> Result<Response<Incoming>, HttpError> {
        let inner = &*self.0;
        let label = inner.service.as_str();
        let answer = inner.client.begin(request, within).await;
        match &answer {
            Ok(_) => {
                self.count("answered");
                if inner.breaker.answered() {
                    metrics::gauge!("hilum_neighbour_silent", "neighbour" => label).set(0.0);
                    tracing::info!(neighbour = label, "answers again");
                }
            }
            // Who waits for it tries again.
            Err(HttpError::NotConnected) if self.is_gone_for_a_moment() => self.count("not-there"),
            Err(error) => {
                self.count("silent");
                if inner.breaker.failed(Instant::now(), fastrand::f64()) {
                    metrics::gauge!("hilum_neighbour_silent", "neighbour" => label).set(1.0);
                    tracing::warn!(neighbour = label, %error, "does not answer: asked only now and then");
                }
            }
        }
        answer
    }

    /// What the neighbour refuses, as it says it.
    async fn refusal(&self, response: Response<Incoming>) -> ServiceError {
        let status = response.status();
        let body = Limited::new(response.into_body(), NEIGHBOUR_ANSWER_MAX).collect();
        let told = body.await.ok().map(|body| body.to_bytes());
        let error = told.and_then(|body| serde_json::from_slice(&body).ok());
        error.unwrap_or_else(|| {
            // Of a release that knows a code that this one does not, or no neighbour at all.
            tracing::error!(neighbour = %self.0.service, %status, "a refusal can't be read");
            match status.is_server_error() {
                true => self.silent(),
                false => ServiceError::internal("A neighbour refused what it was asked."),
            }
        })
    }

    fn silent(&self) -> ServiceError {
        unavailable(self.0.service)
    }
}

fn unavailable(service: ServiceName) -> ServiceError {
    let text = format!("The service {service} does not answer now. Try again shortly.");
    ServiceError::new(ErrorCode::Unavailable, text)
}

fn unwritten() -> ServiceError {
    ServiceError::internal("A question to a neighbour can't be written.")
}
