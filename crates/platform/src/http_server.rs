//! Takes HTTP connections, in clear or over TLS, and gives their requests to a
//! router with the [`Caller`] that sent them. Owns what a connection may take:
//! how many there are, how long a handshake, header fields and a silence last. It
//! knows nothing of who is let in.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tower_http::timeout::TimeoutBody;

use crate::connections::Connections;
use crate::http::Caller;
use crate::limits::{
    HTTP_BODY_SILENCE, HTTP_FIRST_REQUEST, HTTP_HEADERS, HTTP2_PING, HTTP2_STREAMS,
    NEIGHBOUR_CONNECTIONS, TLS_HANDSHAKE,
};
use crate::tls::Feed;

/// Out of file descriptors, as a rule: an immediate retry would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once; the next waits.
    pub connections: usize,
    /// Of these, those from one address; the next is closed. Addresses of this
    /// machine have all.
    pub connections_of_one: usize,
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// Longest time until a request's header fields are there.
    pub headers: Duration,
    /// Longest silence within a request's body.
    pub silence: Duration,
}

impl Bounds {
    /// Of a door for so many connections.
    #[must_use]
    pub const fn of(connections: Connections) -> Self {
        Self {
            connections: connections.http,
            connections_of_one: connections.of_one,
            handshake: TLS_HANDSHAKE,
            headers: HTTP_HEADERS,
            silence: HTTP_BODY_SILENCE,
        }
    }

    /// Of the door for neighbours, who may all be on one machine.
    #[must_use]
    pub const fn of_neighbours() -> Self {
        Self::of(Connections {
            http: NEIGHBOUR_CONNECTIONS,
            of_one: NEIGHBOUR_CONNECTIONS,
            live: 0,
        })
    }
}

/// How a server is told to end.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// It goes on, and has its clients open new connections, which may lead elsewhere.
    /// A connection that is closed while its client sends on it is a request that failed.
    pub leaving: CancellationToken,
    /// It takes nothing new.
    pub stop: CancellationToken,
}

impl From<CancellationToken> for Ends {
    fn from(stop: CancellationToken) -> Self {
        let leaving = stop.clone();
        Self { leaving, stop }
    }
}

/// Serves until it is told to stop, then lets requests that are being answered end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Feed>,
    bounds: Bounds,
    ends: impl Into<Ends>,
) {
    let ends = ends.into();
    let stop = ends.stop.clone();
    let places = Arc::new(Semaphore::new(bounds.connections));
    let addresses = Addresses::default();
    let tasks = TaskTracker::new();
    let next = async || {
        let place = Arc::clone(&places).acquire_owned().await.ok();
        (place, listener.accept().await)
    };
    while let Some((place, accepted)) = stop.run_until_cancelled(next()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(visitor) = addresses.enter(peer.ip(), bounds.connections_of_one) else {
            metrics::counter!("hilum_http_connections_refused_total").increment(1);
            continue;
        };
        let connection = Connection {
            router: router.clone(),
            peer,
            bounds,
            ends: ends.clone(),
        };
        let tls = tls.clone();
        tasks.spawn(async move {
            connection.serve(stream, tls).await;
            drop((visitor, place));
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    bounds: Bounds,
    ends: Ends,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<Feed>) {
        // Nagle's algorithm holds the second small write of an answer back until the client's
        // delayed acknowledgement, 40 ms: most of what metadata took.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let Some(feed) = tls else {
            return self.http1(stream, false).await;
        };
        let config = Arc::clone(&feed.borrow());
        let handshake = timeout(
            self.bounds.handshake,
            TlsAcceptor::from(config).accept(stream),
        );
        let stream = match self.not_long_after_stop(handshake).await {
            Some(Ok(Ok(stream))) => stream,
            None => return,
            Some(failed) => {
                metrics::counter!("hilum_tls_handshake_failures_total", "door" => "http")
                    .increment(1);
                tracing::debug!(late = failed.is_err(), "no TLS handshake");
                return;
            }
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream).await;
        } else {
            self.http1(stream, true).await;
        }
    }

    /// Gives up soon after the stop, and not at once: who was connected to before it has
    /// sent a request, or is about to.
    async fn not_long_after_stop<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        let late = async {
            self.ends.stop.cancelled().await;
            tokio::time::sleep(HTTP_FIRST_REQUEST).await;
        };
        tokio::select! {
            done = what => Some(done),
            () = late => None,
        }
    }

    async fn http1(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        secure: bool,
    ) {
        let asked = AtomicBool::new(false);
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.bounds.headers)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(async |request| {
                    asked.store(true, Ordering::Relaxed);
                    let mut answer = self.answer(request, secure).await;
                    let upgraded = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
                    if self.ends.leaving.is_cancelled() && !upgraded {
                        let close = HeaderValue::from_static("close");
                        answer.headers_mut().insert(header::CONNECTION, close);
                    }
                    Ok::<_, Infallible>(answer)
                }),
            )
            .with_upgrades();
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.ends.stop.cancelled() => {
                if !asked.load(Ordering::Relaxed)
                    && let Ok(ended) = timeout(HTTP_FIRST_REQUEST, serving.as_mut()).await
                {
                    return note(ended);
                }
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        note(ended);
    }

    async fn http2(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        // Pings begin behind the preface, which may never come.
        let mut stream = BufReader::new(stream);
        let preface = timeout(self.bounds.headers, stream.fill_buf());
        match self.not_long_after_stop(preface).await {
            Some(Ok(Ok(begun))) if !begun.is_empty() => {}
            _ => return,
        }
        let this = Arc::new(self);
        let service = {
            let this = Arc::clone(&this);
            service_fn(move |request| {
                let this = Arc::clone(&this);
                async move { Ok::<_, Infallible>(this.answer(request, true).await) }
            })
        };
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(HTTP2_PING)
            .keep_alive_timeout(HTTP2_PING)
            .max_concurrent_streams(HTTP2_STREAMS)
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            // It says which requests it still answers (RFC 9113 §6.8).
            () = this.ends.leaving.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        note(ended);
    }

    async fn answer(&self, request: Request<Incoming>, secure: bool) -> axum::response::Response {
        let silence = self.bounds.silence;
        let mut request = request.map(|body| Body::new(TimeoutBody::new(silence, body)));
        // HTTP/2 has it as `:authority`; where both are there this one holds
        // (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
        let authority = request.uri().authority();
        if let Some(host) = authority.and_then(|a| HeaderValue::from_str(a.as_str()).ok()) {
            request.headers_mut().insert(header::HOST, host);
        }
        request.extensions_mut().insert(Caller {
            address: self.peer.ip().to_canonical(),
            secure,
        });
        let Ok(answer) = self.router.clone().oneshot(request).await;
        answer
    }
}

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// How many connections each address holds.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

struct Visitor(Addresses, IpAddr);

impl Addresses {
    fn enter(&self, address: IpAddr, most: usize) -> Option<Visitor> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= most && !address.to_canonical().is_loopback() {
            return None;
        }
        *count += 1;
        Some(Visitor(self.clone(), address))
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_hold_every_place() {
        let addresses = Addresses::default();
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = addresses.enter(one, 2).unwrap();
        let _second = addresses.enter(one, 2).unwrap();
        assert!(addresses.enter(one, 2).is_none());
        assert!(addresses.enter(other, 2).is_some());
        drop(first);
        assert!(addresses.enter(one, 2).is_some());
        let held = addresses.0.lock().unwrap();
        assert_eq!((held.len(), held.get(&one)), (1, Some(&1)));
    }

    #[test]
    fn this_machine_has_every_place() {
        let addresses = Addresses::default();
        let here = [127, 0, 0, 1].into();
        let all: Vec<_> = (0..9).map(|_| addresses.enter(here, 1)).collect();
        assert!(all.iter().all(Option::is_some));
    }
}
