//! What a connection may take, and what a request is known by.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request};
use axum::routing::{get, post};
use hilum_platform::http::Caller;
use hilum_platform::http_server::{Bounds, Ends, serve};
use hilum_platform::tls::{Certificate, Feed};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::certificates::{client, files};

/// Short enough for a test, and long enough for a crowded machine.
const SOON: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(20);

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn served(tls: Option<Feed>, bounds: Bounds) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route(
            "/",
            get(|caller: Caller| async move { format!("{} {}", caller.address, caller.secure) }),
        )
        .route(
            "/host",
            get(|headers: HeaderMap| async move {
                headers["host"].to_str().map(ToOwned::to_owned).unwrap()
            }),
        )
        .route(
            "/body",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(SOON * 3).await;
                "at last"
            }),
        );
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, router, tls, bounds, stop.clone()));
    Served {
        address,
        stop,
        task,
    }
}

#[tokio::test]
async fn who_leaves_answers_and_has_each_client_connect_anew() {
    let ends = Ends::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(|| async { "here" }));
    let task = tokio::spawn(serve(
        listener,
        router,
        None,
        Bounds::of_neighbours(),
        ends.clone(),
    ));
    let kept = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(kept.as_bytes()).await.unwrap();
    let mut begun = [0; 15];
    stream.read_exact(&mut begun).await.unwrap();
    ends.leaving.cancel();
    // One that it has is closed with its next answer, and not before.
    let answer = ask(stream, kept).await;
    assert!(
        answer.contains("connection: close") && answer.ends_with("here"),
        "{answer}"
    );
    let answer = ask(TcpStream::connect(address).await.unwrap(), kept).await;
    assert!(
        answer.contains("connection: close") && answer.ends_with("here"),
        "{answer}"
    );
    ends.stop.cancel();
    timeout(PATIENCE, task).await.unwrap().unwrap();
}

fn hurried() -> Bounds {
    Bounds {
        handshake: SOON,
        headers: SOON,
        silence: SOON,
        ..Bounds::of_neighbours()
    }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    read(stream).await
}

/// All until the other side closes.
async fn read(mut stream: impl AsyncRead + Unpin) -> String {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer));
    let _reset = read.await.expect("the server closes");
    String::from_utf8(answer).unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_is_known_by_its_address_and_whether_it_came_over_tls() {
    let plain = served(None, Bounds::of_neighbours()).await;
    let answer = ask(plain.connect().await, GET).await;
    assert!(answer.ends_with("127.0.0.1 false"), "{answer}");

    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), "served");
    let certificate = Certificate::open(&files).unwrap();
    let over_tls = served(Some(certificate.http()), Bounds::of_neighbours()).await;
    let connector = TlsConnector::from(client(&files.certificate, None));
    let name = "localhost".try_into().unwrap();
    let stream = connector.connect(name, over_tls.connect().await).await;
    let answer = ask(stream.unwrap(), GET).await;
    assert!(answer.ends_with("127.0.0.1 true"), "{answer}");
    // What is in clear gets no answer there.
    let answer = timeout(PATIENCE, async {
        let mut stream = over_tls.connect().await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let _reset = stream.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    });
    assert!(!answer.await.unwrap().contains("HTTP/1.1 200"));
}

#[tokio::test]
async fn http_2_names_its_host_as_the_doors_expect_it_and_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), "served");
    let certificate = Certificate::open(&files).unwrap();
    let server = served(Some(certificate.http()), hurried()).await;
    let mut config = client(&files.certificate, None);
    Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec()];
    let connect = async || {
        let connector = TlsConnector::from(Arc::clone(&config));
        let name = "localhost".try_into().unwrap();
        connector
            .connect(name, server.connect().await)
            .await
            .unwrap()
    };
    let io = TokioIo::new(connect().await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://hilum.example:8443/host").header("host", "evil.example");
    let answer = sender
        .send_request(request.body(Body::empty()).unwrap())
        .await;
    let body = to_bytes(Body::new(answer.unwrap().into_body()), 99).await;
    assert_eq!(body.unwrap(), "hilum.example:8443");
    // Agreed on HTTP/2, and then nothing.
    assert_eq!(read(connect().await).await, "");
}

#[tokio::test]
async fn who_sends_nothing_or_byte_by_byte_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), "served");
    let certificate = Certificate::open(&files).unwrap();
    let plain = served(None, hurried()).await;
    let over_tls = served(Some(certificate.http()), hurried()).await;
    for server in [&plain, &over_tls] {
        assert_eq!(read(server.connect().await).await, "");
    }
    let (mut reader, mut writer) = plain.connect().await.into_split();
    let begun = Instant::now();
    let trickle = tokio::spawn(async move {
        for byte in GET
            .as_bytes()
            .iter()
            .cycle()
            .filter(|b| b.is_ascii_alphabetic())
        {
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(SOON / 8).await;
        }
    });
    let mut bytes = Vec::new();
    let ended = timeout(PATIENCE, reader.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok() && begun.elapsed() >= SOON);
    trickle.abort();
}

#[tokio::test]
async fn a_body_that_stops_coming_is_not_waited_for() {
    let server = served(None, hurried()).await;
    let begun =
        "POST /body HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 9\r\n\r\nhalf";
    let answer = ask(server.connect().await, begun).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_body_that_no_door_streams_is_bounded() {
    let server = served(None, Bounds::of_neighbours()).await;
    let long = (2 << 20) + 1;
    let head = format!(
        "POST /body HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {long}\r\n\r\n"
    );
    let answer = ask(server.connect().await, &(head + &"x".repeat(long))).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn one_more_than_there_are_places_waits_until_one_is_free() {
    let bounds = Bounds {
        connections: 1,
        ..Bounds::of_neighbours()
    };
    let server = served(None, bounds).await;
    let first = server.connect().await;
    // Accepted before the second one comes.
    tokio::time::sleep(SOON).await;
    let second = server.connect().await;
    let mut waiting = std::pin::pin!(ask(second, GET));
    assert!(timeout(SOON, waiting.as_mut()).await.is_err());
    drop(first);
    assert!(timeout(PATIENCE, waiting).await.unwrap().contains("200 OK"));
}

#[tokio::test]
async fn a_request_that_is_being_answered_ends_before_the_server_does() {
    let server = served(None, hurried()).await;
    let (idle, busy) = (server.connect().await, server.connect().await);
    let slow = tokio::spawn(ask(busy, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n"));
    tokio::time::sleep(SOON / 2).await;
    server.stop.cancel();
    assert!(slow.await.unwrap().ends_with("at last"));
    drop(idle);
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
}
