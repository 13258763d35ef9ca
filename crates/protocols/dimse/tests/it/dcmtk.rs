//! dcmtk's echoscu and storescu as peers of the server.

use std::path::PathBuf;
use std::sync::Arc;

use hilum_dimse::{EndReason, ServerConfig};
use tokio::sync::Semaphore;

use crate::files::{data_set_bytes, file, meta_uid, plain_series};
use crate::support::{Behaviour, MR, TestServer, failure, proposal, run, spawn, text};

async fn storescu(
    server: &TestServer,
    options: &[&str],
    files: &[PathBuf],
) -> std::process::Output {
    let port = server.port();
    let mut arguments = options.to_vec();
    arguments.extend(["127.0.0.1", &port]);
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    run("storescu", &arguments).await
}

#[tokio::test]
async fn echoscu_is_answered() {
    let server = TestServer::start().await;
    let output = run("echoscu", &["-v", "127.0.0.1", &server.port()]).await;
    assert!(output.status.success(), "{}", text(&output));
    let end = server.ended(1).await;
    assert_eq!((end.reason, end.counts.echoed), (EndReason::Released, 1));
}

#[tokio::test]
async fn a_series_arrives_whole_whatever_the_pdu_sizes() {
    for (send, receive) in [
        ("4096", "4096"),
        ("16384", "8192"),
        ("65536", "131072"),
        ("131072", "16384"),
    ] {
        let server = TestServer::start().await;
        let files = plain_series();
        let options = ["--max-send-pdu", send, "--max-pdu", receive];
        let output = storescu(&server, &options, &files).await;
        assert!(output.status.success(), "{}", text(&output));
        let end = server.ended(1).await;
        assert_eq!(end.reason, EndReason::Released);
        assert_eq!(end.counts.stored, files.len() as u64);
        server.look(|log| {
            for (file, received) in files.iter().zip(&log.received) {
                assert_eq!(received.request.sop_instance_uid, meta_uid(file, 3));
                assert_eq!(received.request.transfer_syntax_uid, meta_uid(file, 0x10));
                // dcmtk writes lengths of sequences anew, so that only the pixels must be the same.
                let pixels = |bytes: &[u8]| bytes[bytes.len() - 100_000..].to_vec();
                assert!(pixels(&received.data) == pixels(&data_set_bytes(file)));
            }
            assert!(log.largest_fragment <= send.parse().unwrap());
            assert!(log.opened[0].peer_max_pdu_length <= receive.parse().unwrap());
        });
    }
}

#[tokio::test]
async fn eight_associations_at_once_are_served() {
    let server = TestServer::start().await;
    let files = plain_series();
    let runs = (0..8).map(|_| storescu(&server, &[], &files));
    for output in futures::future::join_all(runs).await {
        assert!(output.status.success(), "{}", text(&output));
    }
    server.ended(8).await;
    assert_eq!(server.look(|log| log.received.len()), 8 * files.len());
    let ids = server.look(|log| {
        log.opened
            .iter()
            .map(|info| info.id)
            .collect::<std::collections::HashSet<_>>()
    });
    assert_eq!(ids.len(), 8);
}

#[tokio::test]
async fn a_sender_killed_in_mid_data_set_loses_that_instance_only() {
    let stall = Arc::new(Semaphore::new(0));
    let behaviour = Behaviour {
        stall: Some(Arc::clone(&stall)),
        ..Behaviour::default()
    };
    let server = TestServer::with(ServerConfig::default(), behaviour).await;
    let folder = tempfile::tempdir().unwrap();
    let first = file(folder.path(), MR, "1.2.3.1", 1 << 20);
    let second = file(folder.path(), MR, "1.2.3.2", 64 << 20);
    let paths = [first.to_str().unwrap(), second.to_str().unwrap()];
    let mut child = spawn(
        "storescu",
        &["127.0.0.1", &server.port(), paths[0], paths[1]],
    );
    server
        .until("the second instance is under way", |log| log.stalled == 1)
        .await;
    child.kill().unwrap();
    child.wait().unwrap();
    stall.add_permits(1_000_000);
    let end = server.ended(1).await;
    assert_eq!(end.reason, EndReason::ConnectionLost);
    assert_eq!((end.counts.stored, end.counts.incomplete), (1, 1));
    assert_eq!(server.look(|log| (log.received.len(), log.dropped)), (1, 1));
}

#[tokio::test]
async fn an_abort_by_the_sender_is_told_as_such() {
    let server = TestServer::start().await;
    let output = storescu(&server, &["--abort"], &plain_series()[..2]).await;
    assert!(output.status.success(), "{}", text(&output));
    let end = server.ended(1).await;
    assert!(matches!(end.reason, EndReason::AbortedByPeer(_)), "{end:?}");
    assert_eq!(end.counts.stored, 2);
}

#[tokio::test]
async fn an_unknown_called_ae_title_is_rejected_with_the_standards_reason() {
    let behaviour = Behaviour {
        called: Some("HILUM"),
        ..Behaviour::default()
    };
    let server = TestServer::with(ServerConfig::default(), behaviour).await;
    let output = run("echoscu", &["-aec", "OTHER", "127.0.0.1", &server.port()]).await;
    assert!(!output.status.success());
    assert!(
        text(&output).contains("Called AE Title Not Recognized"),
        "{}",
        text(&output)
    );
    let output = run("echoscu", &["-aec", "HILUM", "127.0.0.1", &server.port()]).await;
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test]
async fn an_association_over_the_limit_is_rejected_and_the_next_is_served() {
    let config = ServerConfig {
        max_associations: 1,
        ..ServerConfig::default()
    };
    let server = TestServer::with(config, Behaviour::default()).await;
    let holder = server.client(proposal()).await;
    let output = run("echoscu", &["127.0.0.1", &server.port()]).await;
    assert!(!output.status.success());
    assert!(
        text(&output).contains("Local Limit Exceeded"),
        "{}",
        text(&output)
    );
    assert!(
        text(&output).contains("Rejected Transient"),
        "{}",
        text(&output)
    );
    holder.release().await.unwrap();
    server.ended(1).await;
    let output = run("echoscu", &["127.0.0.1", &server.port()]).await;
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test]
async fn a_failure_is_answered_after_the_data_set_and_the_association_goes_on() {
    let refuse = failure(0xA700, "The disk is full");
    let begin = Behaviour {
        refuse: Some(refuse),
        ..Behaviour::default()
    };
    let write = Behaviour {
        fail_write: Some(refuse),
        ..Behaviour::default()
    };
    for behaviour in [begin, write] {
        let server = TestServer::with(ServerConfig::default(), behaviour).await;
        let output = storescu(&server, &["-v", "--no-halt"], &plain_series()[..3]).await;
        assert!(
            text(&output).contains("Refused: OutOfResources"),
            "{}",
            text(&output)
        );
        let end = server.ended(1).await;
        assert_eq!((end.reason, end.counts.failed), (EndReason::Released, 3));
    }
}
