//! The requester, against dcmtk's storescp and our own server.

use std::process::Child;
use std::time::Duration;

use hilum_dimse::{Client, ClientConfig, ClientError, Rejection, Status, StoreOperation};

use crate::files::{data_set_bytes, instance, meta_uid, series};
use crate::support::{
    Behaviour, EXPLICIT, IMPLICIT, MR, PRIVATE, TestServer, chunks, failure, free_port, operation,
    proposal, spawn,
};

/// dcmtk's storescp, ended with the test.
struct Storescp {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl Storescp {
    async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port().to_string();
        let mut arguments = options.to_vec();
        arguments.extend(["-od", folder.path().to_str().unwrap(), &port]);
        let child = spawn("storescp", &arguments);
        let address = format!("127.0.0.1:{port}");
        for _ in 0..1000 {
            if tokio::net::TcpStream::connect(&address).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self {
            child,
            address,
            folder,
        }
    }
}

impl Drop for Storescp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn storescp_receives_a_series_bit_for_bit_whatever_its_pdu_size() {
    for size in ["4096", "28672", "131072"] {
        let peer = Storescp::start(&["+B", "+xa", "--max-pdu", size]).await;
        let syntax = meta_uid(&series()[0], 0x10);
        let config = ClientConfig::new("STORESCP", "HILUM").propose(MR, &[&syntax]);
        let mut client = Client::connect(&peer.address, config).await.unwrap();
        assert!(
            client
                .association()
                .implementation_version_name
                .starts_with("OFFIS")
        );
        for file in series() {
            let operation = StoreOperation {
                sop_class_uid: MR.to_owned(),
                sop_instance_uid: meta_uid(&file, 3),
                transfer_syntax_uid: syntax.clone(),
            };
            let data = data_set_bytes(&file);
            let response = client
                .c_store(&operation, chunks(&data, 10_000))
                .await
                .unwrap();
            assert_eq!(response.status, Status::SUCCESS);
            let written = peer
                .folder
                .path()
                .join(format!("MR.{}", operation.sop_instance_uid));
            assert!(data_set_bytes(&written) == data, "{}", file.display());
        }
        client.release().await.unwrap();
    }
}

#[tokio::test]
async fn storescp_answers_an_echo() {
    let peer = Storescp::start(&[]).await;
    let config = ClientConfig::new("STORESCP", "HILUM").propose("1.2.840.10008.1.1", &[IMPLICIT]);
    let mut client = Client::connect(&peer.address, config).await.unwrap();
    assert_eq!(client.c_echo().await.unwrap().status, Status::SUCCESS);
    client.abort().await;
}

#[tokio::test]
async fn a_peer_that_rejects_or_aborts_is_told_apart() {
    let peer = Storescp::start(&["--refuse"]).await;
    let refused = Client::connect(&peer.address, proposal())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(refused, ClientError::Rejected(Rejection { result: 1, .. })),
        "{refused}"
    );
    assert!(!refused.is_retryable());
    for option in ["--abort-during", "--abort-after"] {
        let peer = Storescp::start(&[option]).await;
        let mut client = Client::connect(&peer.address, proposal()).await.unwrap();
        let data = instance(MR, "1.2.3.1", 4 << 20);
        let aborted = client
            .c_store(&operation(1), chunks(&data, 65536))
            .await
            .unwrap_err();
        let told = matches!(
            aborted,
            ClientError::Aborted(_) | ClientError::ConnectionLost
        );
        assert!(told && aborted.is_retryable(), "{aborted}");
        let after = client
            .c_store(&operation(1), chunks(&data, 65536))
            .await
            .unwrap_err();
        assert!(matches!(after, ClientError::Unusable), "{after}");
    }
}

#[tokio::test]
async fn no_listener_and_no_answer_are_errors_in_time() {
    let refused = Client::connect(("127.0.0.1", free_port()), proposal())
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, ClientError::Connect(_)), "{refused}");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = proposal();
    config.artim = Duration::from_millis(100);
    let late = Client::connect(silent.local_addr().unwrap(), config)
        .await
        .err()
        .unwrap();
    assert!(
        matches!(late, ClientError::Timeout(_)) && late.is_retryable(),
        "{late}"
    );
}

#[tokio::test]
async fn a_status_and_its_comment_come_back_and_the_association_goes_on() {
    let behaviour = Behaviour {
        refuse: Some(failure(
            0xA700,
            "A comment of more than sixty-four characters is cut off there.",
        )),
        ..Behaviour::default()
    };
    let server = TestServer::with(Default::default(), behaviour).await;
    let mut client = server.client(proposal()).await;
    let data = instance(MR, "1.2.3.1", 1 << 20);
    for number in 0..3 {
        let response = client
            .c_store(&operation(number), chunks(&data, 1 << 16))
            .await
            .unwrap();
        assert_eq!(response.status, Status::OUT_OF_RESOURCES);
        assert!(response.status.is_retryable());
        assert!(response.comment.unwrap().len() <= 64);
    }
    assert_eq!(client.c_echo().await.unwrap().status, Status::SUCCESS);
    client.release().await.unwrap();
}

#[tokio::test]
async fn what_the_peer_did_not_accept_is_not_sent() {
    let server = TestServer::start().await;
    let config = proposal().propose("1.2.840.10008.5.1.4.1.2.2.1", &[IMPLICIT]);
    let mut client = server.client(config).await;
    assert!(client.accepts(MR, EXPLICIT));
    assert!(!client.accepts(MR, IMPLICIT));
    assert!(!client.accepts("1.2.840.10008.5.1.4.1.2.2.1", IMPLICIT));
    let other = StoreOperation {
        sop_class_uid: PRIVATE.to_owned(),
        ..operation(1)
    };
    let refused = client.c_store(&other, chunks(&[], 1)).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::NoPresentationContext),
        "{refused}"
    );
    let response = client
        .c_store(&operation(1), chunks(&[8, 0], 1))
        .await
        .unwrap();
    assert_eq!(response.status, Status::SUCCESS);
    client.release().await.unwrap();
}

#[tokio::test]
async fn a_source_that_fails_aborts_the_association() {
    let server = TestServer::start().await;
    let mut client = server.client(proposal()).await;
    let broken = futures::stream::iter([
        Ok(bytes::Bytes::from_static(&[0; 100])),
        Err(std::io::Error::other("gone")),
    ]);
    let error = client.c_store(&operation(1), broken).await.unwrap_err();
    assert!(matches!(error, ClientError::Source(_)), "{error}");
    let end = server.ended(1).await;
    assert_eq!((end.counts.stored, end.counts.incomplete), (0, 1));
}

#[tokio::test]
async fn fragments_fit_exactly_at_the_edges_of_the_peers_pdu() {
    let config = hilum_dimse::ServerConfig {
        max_pdu_length: 4096,
        ..Default::default()
    };
    let server = TestServer::with(config, Behaviour::default()).await;
    let mut client = server.client(proposal()).await;
    let sizes = [0, 2, 4088, 4090, 4092, 8180, 8182];
    for (number, size) in sizes.into_iter().enumerate() {
        let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let response = client
            .c_store(&operation(number), chunks(&data, 1000))
            .await
            .unwrap();
        assert_eq!(response.status, Status::SUCCESS);
        assert_eq!(
            server.look(|log| log.received.last().unwrap().data.clone()),
            data
        );
    }
    client.release().await.unwrap();
}
