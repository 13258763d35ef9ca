//! Asks other servers over HTTP: with a deadline, few bytes of answer, and no
//! redirects. Where tenants name them, addresses within a [`Reach`] only.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::Tls;
use crate::limits::{CLIENT_ANSWER_MAX, CLIENT_CONNECT, CLIENT_IDLE};
use crate::reach::{Names, Reach, is_out_of_reach};
use crate::tls::{self, TlsError, Trusted};
use crate::traces;

/// A way to one or several servers. Cheap to clone; connections are kept.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector<Names>>, Body>,
    reach: Reach,
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer. Nothing in it is the other side's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection: nothing of the request was sent.
    #[error("it could not be reached")]
    NotConnected,
    /// The connection broke off.
    #[error("it could not be reached")]
    Unreachable,
    /// Not in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// Its address is not one that is asked.
    #[error("its address is not one that this installation asks")]
    OutOfReach,
    /// More than any such answer is long, or cut off.
    #[error("its answer is too long or broke off")]
    Answer,
}

impl HttpClient {
    /// Servers that `authorities` vouch for, or that are named there themselves;
    /// without them those that the system trusts. Shows the certificate of `own`
    /// to who asks.
    ///
    /// # Errors
    /// When a file can't be used.
    pub fn new<'a>(
        authorities: impl Into<Trusted<'a>>,
        own: Option<&Tls>,
    ) -> Result<Self, TlsError> {
        Self::within(Reach::ANYWHERE, authorities, own)
    }

    /// The same, for servers within `reach` only.
    ///
    /// # Errors
    /// When a file can't be used.
    pub fn within<'a>(
        reach: Reach,
        authorities: impl Into<Trusted<'a>>,
        own: Option<&Tls>,
    ) -> Result<Self, TlsError> {
        let config = tls::client(authorities, own)?;
        let mut tcp = HttpConnector::new_with_resolver(Names::new(reach.clone()));
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CLIENT_CONNECT));
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config((*config).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(CLIENT_IDLE)
                .build(connector),
            reach,
        })
    }

    /// Sends a request; the answer has begun `within` this time, and its body is
    /// read by whoever asked.
    ///
    /// # Errors
    /// When there is none.
    pub async fn begin(
        &self,
        mut request: Request<Body>,
        within: Duration,
    ) -> Result<Response<Incoming>, HttpError> {
        // A name is looked at when it is looked up; an address is not looked up.
        if !self.reach.may_ask(request.uri().host().unwrap_or_default()) {
            return Err(HttpError::OutOfReach);
        }
        if let Some(traceparent) = traces::current().and_then(|text| text.parse().ok()) {
            request.headers_mut().insert("traceparent", traceparent);
        }
        let answer = tokio::time::timeout(within, self.client.request(request)).await;
        let answer = answer.map_err(|_| HttpError::TimedOut)?;
        answer.map_err(|error| match is_out_of_reach(&error) {
            true => HttpError::OutOfReach,
            false if error.is_connect() => HttpError::NotConnected,
            false => HttpError::Unreachable,
        })
    }

    /// Sends a request; the answer is whole `within` this time.
    ///
    /// # Errors
    /// When there is none.
    pub async fn send(
        &self,
        request: Request<Body>,
        within: Duration,
    ) -> Result<Answer, HttpError> {
        let asking = async {
            let (parts, body) = self.begin(request, within).await?.into_parts();
            let body = Limited::new(body, CLIENT_ANSWER_MAX).collect().await;
            Ok(Answer {
                status: parts.status,
                body: body.map_err(|_| HttpError::Answer)?.to_bytes(),
            })
        };
        let answer = tokio::time::timeout(within, asking).await;
        answer.map_err(|_| HttpError::TimedOut)?
    }
}
