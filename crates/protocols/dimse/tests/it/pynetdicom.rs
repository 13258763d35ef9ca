//! pynetdicom as requester and as acceptor.

use std::io::{BufRead, BufReader};

use hilum_dimse::negotiation::is_storage;
use hilum_dimse::{Client, ClientConfig, EndReason, StatusClass, StoreOperation};

use crate::files::instance;
use crate::support::{
    EXPLICIT, IMPLICIT, MR, PRIVATE, TestServer, chunks, operation, python, run, spawn, text,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peer.py");

async fn peer(arguments: &[&str]) -> Vec<String> {
    let program = python();
    let mut all = vec![SCRIPT];
    all.extend(arguments);
    let output = run(program.to_str().unwrap(), &all).await;
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.trim().to_owned())
        .collect()
}

#[tokio::test]
async fn everything_that_can_be_negotiated_is_answered_or_tolerated() {
    let server = TestServer::start().await;
    let lines = peer(&["send", &server.port()]).await;
    let big = "1.2.840.10008.1.2.2";
    let tomorrow = "1.2.840.10008.5.1.4.1.1.9999.7";
    for expected in [
        "established True".to_owned(),
        format!("accepted {MR} {EXPLICIT} True False"),
        format!("accepted {MR} {big} True False"),
        format!("accepted {MR} 1.2.840.10008.1.2.4.90 True False"),
        format!("accepted {MR} 1.2.840.10008.1.2.1.99 True False"),
        format!("accepted {MR} 1.2.840.10008.1.2.5 True False"),
        format!("accepted {MR} 1.2.840.113619.5.2 True False"),
        format!("accepted {PRIVATE} {EXPLICIT} True False"),
        format!("accepted {tomorrow} {EXPLICIT} True False"),
        format!("accepted 1.2.840.10008.1.1 {EXPLICIT} True False"),
        "rejected 1.2.840.10008.5.1.4.1.2.2.1 3".to_owned(),
        concat!("implementation HILUM_", env!("CARGO_PKG_VERSION")).to_owned(),
        "echo 0000".to_owned(),
    ] {
        assert!(
            lines.contains(&expected),
            "{expected}\nis not in {lines:#?}"
        );
    }
    assert_eq!(
        lines.iter().filter(|line| *line == "stored 0000").count(),
        5,
        "{lines:#?}"
    );
    let end = server.ended(1).await;
    assert_eq!((end.reason, end.counts.stored), (EndReason::Released, 5));
    server.look(|log| {
        let syntaxes: Vec<_> = log
            .received
            .iter()
            .map(|one| one.request.transfer_syntax_uid.as_str())
            .collect();
        assert_eq!(
            syntaxes,
            [EXPLICIT, EXPLICIT, EXPLICIT, big, "1.2.840.10008.1.2.1.99"]
        );
        assert_eq!(log.received[1].request.sop_class_uid, PRIVATE);
        let mover = log.received[0].request.move_originator.as_ref().unwrap();
        assert_eq!(
            (mover.ae_title.as_str(), mover.message_id),
            ("MOVER", Some(77))
        );
        assert_eq!(log.received[0].association.calling_ae_title, "PYNETDICOM");
    });
}

#[tokio::test]
async fn associations_held_at_one_time_are_all_served() {
    let server = TestServer::start().await;
    assert_eq!(peer(&["many", &server.port(), "8"]).await, ["done 8"]);
    server.ended(8).await;
    server.look(|log| {
        assert_eq!(log.received.len(), 24);
        let aborted =
            |end: &&hilum_dimse::AssociationEnd| matches!(end.reason, EndReason::AbortedByPeer(_));
        assert_eq!(log.ended.iter().filter(aborted).count(), 1);
    });
}

#[tokio::test]
async fn every_status_of_an_acceptor_comes_back() {
    let mut child = spawn(python().to_str().unwrap(), &[SCRIPT, "receive"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap();
    let address = format!("127.0.0.1:{}", port.strip_prefix("port ").unwrap());
    let config = ClientConfig::new("PYSCP", "HILUM")
        .propose(MR, &[EXPLICIT, IMPLICIT])
        .propose(PRIVATE, &["1.2.840.10008.1.2.5"])
        .propose("1.2.3.4", &[IMPLICIT]);
    let mut client = Client::connect(address, config).await.unwrap();
    assert!(client.accepts(PRIVATE, "1.2.840.10008.1.2.5"));
    assert!(!client.accepts("1.2.3.4", IMPLICIT));
    for (status, class) in [
        (0x0000, StatusClass::Success),
        (0xB000, StatusClass::Warning),
        (0xA700, StatusClass::Failure),
        (0xC123, StatusClass::Failure),
        (0x0110, StatusClass::Failure),
    ] {
        let data = instance(MR, &format!("1.2.3.{status}"), 700_001 & !1);
        let response = client
            .c_store(&operation(status), chunks(&data, 5000))
            .await
            .unwrap();
        assert_eq!(
            (response.status.code(), response.status.class()),
            (status as u16, class)
        );
        let received = lines.next().unwrap().unwrap();
        assert_eq!(received, format!("received 1.2.3.{status} {}", data.len()));
    }
    let private = StoreOperation {
        sop_class_uid: PRIVATE.to_owned(),
        sop_instance_uid: "1.2.3.0".to_owned(),
        transfer_syntax_uid: "1.2.840.10008.1.2.5".to_owned(),
    };
    let data = instance(PRIVATE, "1.2.3.0", 1000);
    assert!(
        client
            .c_store(&private, chunks(&data, 7))
            .await
            .unwrap()
            .status
            .is_accepted()
    );
    client.release().await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn pynetdicoms_lists_of_classes_agree_on_what_is_storage() {
    let lines = peer(&["classes"]).await;
    assert!(lines.len() > 200);
    let disagree: Vec<_> = lines
        .iter()
        .filter(|line| match line.split_once(' ').unwrap() {
            ("storage", uid) => !is_storage(uid),
            (_, uid) => is_storage(uid),
        })
        .collect();
    assert!(disagree.is_empty(), "{disagree:#?}");
}
