//! Time-outs and shutdown.

use std::sync::Arc;
use std::time::Duration;

use hilum_dimse::pdu::{AssociateRequest, RELEASE_RQ, UserInformation};
use hilum_dimse::{AbortCause, Client, ClientError, EndReason, ServerConfig, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::files::instance;
use crate::support::{Behaviour, MR, TestServer, chunks, operation, proposal};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn an_idle_association_is_aborted() {
    let config = ServerConfig {
        idle: SHORT,
        ..ServerConfig::default()
    };
    let server = TestServer::with(config, Behaviour::default()).await;
    let mut client = server.client(proposal()).await;
    let end = server.ended(1).await;
    assert_eq!(end.reason, EndReason::AbortedByUs(AbortCause::Timeout));
    assert!(matches!(
        client.c_echo().await,
        Err(ClientError::Aborted(_))
    ));
}

#[tokio::test]
async fn a_data_set_that_stalls_is_aborted_and_dropped() {
    let config = ServerConfig {
        pdu: SHORT,
        ..ServerConfig::default()
    };
    let server = TestServer::with(config, Behaviour::default()).await;
    let mut client = server.client(proposal()).await;
    let data = instance(MR, "1.2.3.1", 1 << 20);
    let half = futures::StreamExt::chain(chunks(&data, 1 << 19), futures::stream::pending());
    let operation = operation(1);
    let sending = client.c_store(&operation, half);
    let end = tokio::select! {
        end = server.ended(1) => end,
        outcome = sending => panic!("{outcome:?}"),
    };
    assert_eq!(end.reason, EndReason::AbortedByUs(AbortCause::Timeout));
    assert_eq!(end.counts.incomplete, 1);
    assert_eq!(server.look(|log| log.dropped), 1);
}

#[tokio::test]
async fn silence_and_a_trickle_before_the_request_are_cut_off() {
    let config = ServerConfig {
        artim: SHORT,
        ..ServerConfig::default()
    };
    let server = TestServer::with(config, Behaviour::default()).await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    tokio::spawn(async move {
        let bytes = [1, 0, 0, 0, 2, 0].into_iter().chain(std::iter::repeat(0));
        for byte in bytes {
            if slow.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(SHORT / 20).await;
        }
    });
    server
        .until("both are cut off", |log| log.refused == 2)
        .await;
}

#[tokio::test]
async fn shutdown_lets_a_message_finish_and_then_ends_the_association() {
    let gate = Arc::new(Semaphore::new(0));
    let behaviour = Behaviour {
        gate: Some(Arc::clone(&gate)),
        ..Behaviour::default()
    };
    let server = TestServer::with(ServerConfig::default(), behaviour).await;
    let mut client = server.client(proposal()).await;
    let data = instance(MR, "1.2.3.1", 1 << 16);
    let sending = tokio::spawn(async move {
        let outcome = client.c_store(&operation(1), chunks(&data, 4096)).await;
        (client, outcome)
    });
    server.until("the store begins", |log| log.begun == 1).await;
    server.shutdown.cancel();
    tokio::time::sleep(SHORT).await;
    assert!(Client::connect(server.address, proposal()).await.is_err());
    gate.add_permits(1);
    let (_client, outcome) = sending.await.unwrap();
    assert_eq!(outcome.unwrap().status, Status::SUCCESS);
    let end = server.ended(1).await;
    assert_eq!(end.reason, EndReason::AbortedByUs(AbortCause::Shutdown));
    assert_eq!(end.counts.stored, 1);
}

#[tokio::test]
async fn who_has_connected_before_a_shutdown_is_served() {
    let server = TestServer::start().await;
    // Made by the kernel: this thread lets nobody accept it before the server is asked to stop.
    let queued = std::net::TcpStream::connect(server.address).unwrap();
    server.shutdown.cancel();
    tokio::time::sleep(SHORT).await;
    queued.set_nonblocking(true).unwrap();
    let mut queued = TcpStream::from_std(queued).unwrap();
    let user = UserInformation::default();
    let request = AssociateRequest::new("HILUM", "QUEUED", Vec::new(), user);
    queued.write_all(&request.encode()).await.unwrap();
    let mut answer = [0; 1];
    queued.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [2], "A-ASSOCIATE-AC");
    queued.write_all(&RELEASE_RQ).await.unwrap();
    let end = server.ended(1).await;
    assert_eq!(end.reason, EndReason::Released);
}

#[tokio::test]
async fn after_the_grace_what_is_left_is_aborted() {
    let gate = Arc::new(Semaphore::new(0));
    let behaviour = Behaviour {
        gate: Some(gate),
        ..Behaviour::default()
    };
    let config = ServerConfig {
        grace: SHORT,
        ..ServerConfig::default()
    };
    let server = TestServer::with(config, behaviour).await;
    let mut client = server.client(proposal()).await;
    let data = instance(MR, "1.2.3.1", 1 << 16);
    let operation = operation(1);
    let sending = client.c_store(&operation, chunks(&data, 4096));
    let stop = async {
        server.until("the store begins", |log| log.begun == 1).await;
        server.shutdown.cancel();
    };
    let (outcome, ()) = tokio::join!(sending, stop);
    assert!(
        matches!(outcome, Err(ClientError::Aborted(_))),
        "{outcome:?}"
    );
    drop(client);
    let end = server.ended(1).await;
    assert_eq!(end.reason, EndReason::AbortedByUs(AbortCause::Shutdown));
    assert_eq!(server.look(|log| (log.received.len(), log.dropped)), (0, 1));
    tokio::time::timeout(Duration::from_secs(10), server.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_peer_that_lingers_after_its_release_holds_no_place() {
    let config = ServerConfig {
        max_associations: 1,
        ..ServerConfig::default()
    };
    let server = TestServer::with(config, Behaviour::default()).await;
    let mut lingering = Vec::new();
    for number in 1..=3 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let user = UserInformation::default();
        let request = AssociateRequest::new("HILUM", "LINGERING", Vec::new(), user);
        stream.write_all(&request.encode()).await.unwrap();
        stream.write_all(&RELEASE_RQ).await.unwrap();
        assert_eq!(server.ended(number).await.reason, EndReason::Released);
        tokio::time::sleep(SHORT).await;
        lingering.push(stream);
    }
    server.client(proposal()).await.release().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_association_only() {
    let behaviour = Behaviour {
        panic: true,
        ..Behaviour::default()
    };
    let server = TestServer::with(ServerConfig::default(), behaviour).await;
    let mut client = server.client(proposal()).await;
    let data = instance(MR, "1.2.3.1", 1000);
    let lost = client
        .c_store(&operation(1), chunks(&data, 1000))
        .await
        .unwrap_err();
    assert!(matches!(lost, ClientError::ConnectionLost), "{lost}");
    let mut client = server.client(proposal()).await;
    assert_eq!(client.c_echo().await.unwrap().status, Status::SUCCESS);
}
