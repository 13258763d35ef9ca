//! Asks other servers over HTTP: with a deadline, few bytes of answer, and no
//! redirects. Which addresses may be asked is up to whoever names them.

use std::path::Path;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::config::Tls;
use crate::limits::{CLIENT_ANSWER_MAX, CLIENT_CONNECT};
use crate::tls::{self, TlsError};
use crate::traces;

/// A way to one or several servers. Cheap to clone; connections are kept.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, Body>);

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
    /// No connection, or it broke off.
    #[error("it could not be reached")]
    Unreachable,
    /// Not in time.
    #[error("it did not answer in time")]
    TimedOut,
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
    pub fn new(authorities: Option<&Path>, own: Option<&Tls>) -> Result<Self, TlsError> {
        let config = tls::client(authorities, own)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CLIENT_CONNECT));
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config((*config).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
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
        if let Some(traceparent) = traces::current().and_then(|text| text.parse().ok()) {
            request.headers_mut().insert("traceparent", traceparent);
        }
        let answer = tokio::time::timeout(within, self.0.request(request)).await;
        let answer = answer.map_err(|_| HttpError::TimedOut)?;
        answer.map_err(|_| HttpError::Unreachable)
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
