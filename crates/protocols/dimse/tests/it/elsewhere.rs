//! Associations that one server takes and another one serves.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_dimse::{
    Acceptor, Admission, AssociationRequest, Carried, Client, ClientError, Rejection, Server,
    ServerConfig, Status,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::{Behaviour, PATIENCE, TestServer, chunks, operation, proposal};

/// Serves nothing itself.
struct Carrier(mpsc::Sender<Carried>);

#[async_trait]
impl Acceptor for Carrier {
    async fn admit(&self, request: &AssociationRequest) -> Result<Admission, Rejection> {
        let (way, there) = tokio::io::duplex(4096);
        let carried = Carried {
            stream: Box::new(there),
            peer: request.peer,
            certificate: Some(b"shown to the other".to_vec()),
        };
        let sent = self.0.send(carried).await;
        sent.map_err(|_| Rejection::TEMPORARY_CONGESTION)?;
        Ok(Admission::Elsewhere {
            way: Box::new(way),
            held: Box::new(()),
        })
    }
}

/// A server that serves, and the address of one that carries to it.
async fn two(config: ServerConfig, behaviour: Behaviour) -> (TestServer, std::net::SocketAddr) {
    let (brought, carried) = mpsc::channel(1);
    let there = TestServer::that_serves(config.clone(), behaviour, Some(carried)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let here = Server::new(config, Arc::new(Carrier(brought)));
    tokio::spawn(here.serve(listener, CancellationToken::new()));
    (there, address)
}

#[tokio::test]
async fn what_is_carried_is_served_as_if_it_had_come_there() {
    let (there, address) = two(ServerConfig::default(), Behaviour::default()).await;
    let mut client = Client::connect(address, proposal()).await.unwrap();
    for number in 0..3 {
        // Longer than what the way takes at once.
        let data = vec![number; 100_000];
        let stored = client
            .c_store(&operation(number.into()), chunks(&data, 4096))
            .await
            .unwrap();
        assert_eq!(stored.status, Status::SUCCESS);
    }
    client.release().await.unwrap();
    let end = there.ended(1).await;
    assert_eq!((end.counts.stored, end.counts.bytes), (3, 300_000));
    there.look(|log| {
        assert_eq!(log.certificates, [Some(b"shown to the other".to_vec())]);
        assert_eq!(log.opened[0].peer.ip(), address.ip());
        assert_eq!(log.received[2].data, vec![2; 100_000]);
    });
}

#[tokio::test]
async fn what_the_other_rejects_is_rejected_with_its_reason() {
    let behaviour = Behaviour {
        called: Some("ANOTHER"),
        ..Behaviour::default()
    };
    let (_there, address) = two(ServerConfig::default(), behaviour).await;
    let refused = Client::connect(address, proposal()).await;
    match refused.err().expect("it was not rejected") {
        ClientError::Rejected(reason) => assert_eq!(reason, Rejection::CALLED_AE_TITLE),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_device_that_breaks_off_is_noticed_by_the_server_that_serves_it() {
    let (there, address) = two(ServerConfig::default(), Behaviour::default()).await;
    let client = Client::connect(address, proposal()).await.unwrap();
    there.until("it is open", |log| log.opened.len() == 1).await;
    drop(client);
    let ended = tokio::time::timeout(PATIENCE, there.ended(1))
        .await
        .unwrap();
    assert_ne!(ended.reason.name(), "released");
}
