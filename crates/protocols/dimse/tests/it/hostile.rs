//! Bytes that no honest peer sends. Each gets the standard's answer, and the server goes on.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hilum_dimse::command::{CommandSet, element, field};
use hilum_dimse::pdu::{AssociateAccept, AssociateRequest, ProposedContext, UserInformation};
use hilum_dimse::{AbortCause, EndReason, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Behaviour, EXPLICIT, MR, PATIENCE, TestServer, run, text};

const ABORT_UNRECOGNIZED: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 2, 1];
const ABORT_UNEXPECTED: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 2, 2];
const ABORT_INVALID: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 2, 6];
const ABORT_USER: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 0, 0];

fn short() -> ServerConfig {
    let moment = Duration::from_millis(300);
    ServerConfig {
        max_pdu_length: 16384,
        artim: moment,
        pdu: moment,
        ..ServerConfig::default()
    }
}

async fn server() -> TestServer {
    TestServer::with(short(), Behaviour::default()).await
}

/// All that the server says until it closes.
async fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut out = Vec::new();
    // A reset after the answer is as good as a close.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut out))
        .await
        .unwrap();
    out
}

async fn answer_to(server: &TestServer, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    answer(&mut stream).await
}

fn request() -> AssociateRequest {
    let context = ProposedContext {
        id: 1,
        abstract_syntax: MR.to_owned(),
        transfer_syntaxes: vec![EXPLICIT.to_owned()],
    };
    AssociateRequest::new(
        "HILUM",
        "HOSTILE",
        vec![context],
        UserInformation::default(),
    )
}

/// A raw connection with an association.
async fn associate(server: &TestServer) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&request().encode()).await.unwrap();
    let mut header = [0; 6];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[0], 2);
    let mut body = vec![0; u32::from_be_bytes(header[2..].try_into().unwrap()) as usize];
    stream.read_exact(&mut body).await.unwrap();
    let accept = AssociateAccept::decode(&body).unwrap();
    assert_eq!(accept.user.max_pdu_length, 16384);
    assert!(
        accept
            .user
            .implementation_version_name
            .starts_with("HILUM_")
    );
    stream
}

fn message(context_id: u8, is_command: bool, data: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    hilum_dimse::pdu::write_message(&mut out, context_id, is_command, data, 16384);
    out
}

fn command(operation: u16, data_set_type: u16) -> CommandSet {
    CommandSet::default()
        .with_uid(element::AFFECTED_SOP_CLASS_UID, MR)
        .with_us(element::COMMAND_FIELD, operation)
        .with_us(element::MESSAGE_ID, 1)
        .with_us(element::DATA_SET_TYPE, data_set_type)
}

/// The status of the next response.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut header = [0; 12];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!((header[0], header[11]), (4, 3));
    let mut body = vec![0; u32::from_be_bytes(header[6..10].try_into().unwrap()) as usize - 2];
    stream.read_exact(&mut body).await.unwrap();
    CommandSet::decode(Bytes::from(body))
        .unwrap()
        .us(element::STATUS)
        .unwrap()
}

#[tokio::test]
async fn what_is_not_dicom_is_aborted() {
    let server = server().await;
    let http = answer_to(&server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(http, ABORT_UNRECOGNIZED);
    // A request of 2 GiB, of which nothing is waited for.
    assert_eq!(
        answer_to(&server, &[1, 0, 0x7f, 0xff, 0xff, 0xff]).await,
        ABORT_INVALID
    );
    assert_eq!(
        answer_to(&server, &[1, 0, 0, 0, 0, 4, 0, 1, 0, 0]).await,
        ABORT_INVALID
    );
    assert_eq!(
        answer_to(&server, &[4, 0, 0, 0, 0, 0]).await,
        ABORT_UNEXPECTED
    );
    assert_eq!(
        answer_to(&server, &[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await,
        ABORT_UNEXPECTED
    );
    let output = run("echoscu", &["127.0.0.1", &server.port()]).await;
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test]
async fn a_wrong_protocol_version_or_application_context_is_rejected() {
    let server = server().await;
    let mut version = request().encode();
    version[7] = 2;
    assert_eq!(
        answer_to(&server, &version).await,
        [3, 0, 0, 0, 0, 4, 0, 1, 2, 2]
    );
    let mut context = request();
    context.application_context = "1.2.3".to_owned();
    assert_eq!(
        answer_to(&server, &context.encode()).await,
        [3, 0, 0, 0, 0, 4, 0, 1, 1, 2]
    );
}

#[tokio::test]
async fn a_pdu_longer_than_announced_is_aborted_before_it_is_read() {
    let server = server().await;
    for length in [16385_u32, u32::MAX] {
        let mut stream = associate(&server).await;
        let mut header = vec![4, 0];
        header.extend(length.to_be_bytes());
        stream.write_all(&header).await.unwrap();
        assert_eq!(answer(&mut stream).await, ABORT_INVALID);
    }
    let end = server.ended(2).await;
    assert_eq!(end.reason, EndReason::AbortedByUs(AbortCause::InvalidPdu));
}

#[tokio::test]
async fn fragments_out_of_order_are_aborted() {
    let server = server().await;
    let store = command(field::C_STORE_RQ, 1)
        .with_uid(element::AFFECTED_SOP_INSTANCE_UID, "1.2.3")
        .encode();
    let mut interleaved = message(1, true, &store);
    interleaved.extend_from_slice(&message(1, true, &store));
    let mut other_context = message(1, true, &store);
    other_context.extend_from_slice(&message(3, false, &[0; 10]));
    let response = command(field::C_STORE_RSP, 0x0101).encode();
    let cases: [(&[u8], [u8; 10]); 9] = [
        (&message(1, false, &[0; 10]), ABORT_USER),
        (&interleaved, ABORT_USER),
        (&other_context, ABORT_USER),
        (&message(3, true, &store), ABORT_INVALID),
        (&message(1, true, &response), ABORT_USER),
        (&message(1, true, b"no command set"), ABORT_USER),
        (&message(1, true, &[]), ABORT_USER),
        (&[4, 0, 0, 0, 0, 6, 0, 0, 0, 9, 1, 3], ABORT_INVALID),
        (&request().encode(), ABORT_UNEXPECTED),
    ];
    for (number, (bytes, expected)) in cases.into_iter().enumerate() {
        let mut stream = associate(&server).await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(answer(&mut stream).await, expected, "case {number}");
    }
    assert_eq!(server.look(|log| log.received.len()), 0);
}

#[tokio::test]
async fn a_command_set_without_end_is_aborted() {
    let server = server().await;
    let mut stream = associate(&server).await;
    let fragment = [&[4, 0, 0, 0, 0x10, 6, 0, 0, 0x10, 2, 1, 1][..], &[0; 4096]].concat();
    for _ in 0..17 {
        if stream.write_all(&fragment).await.is_err() {
            break;
        }
    }
    assert_eq!(answer(&mut stream).await, ABORT_USER);
}

#[tokio::test]
async fn other_operations_are_unrecognized_and_the_association_goes_on() {
    let server = server().await;
    let mut stream = associate(&server).await;
    // C-FIND, C-MOVE, C-GET, N-ACTION, N-CREATE, and one that nobody knows.
    for operation in [0x0020, 0x0021, 0x0010, 0x0130, 0x0140, 0x0777] {
        let with_data_set = command(operation, 1).encode();
        stream
            .write_all(&message(1, true, &with_data_set))
            .await
            .unwrap();
        stream
            .write_all(&message(1, false, &[0; 40_000]))
            .await
            .unwrap();
        assert_eq!(status(&mut stream).await, 0x0211);
        let without = command(operation, 0x0101).encode();
        stream.write_all(&message(1, true, &without)).await.unwrap();
        assert_eq!(status(&mut stream).await, 0x0211);
    }
    let cancel = CommandSet::default()
        .with_us(element::COMMAND_FIELD, field::C_CANCEL_RQ)
        .with_us(element::MESSAGE_ID_BEING_RESPONDED_TO, 1)
        .with_us(element::DATA_SET_TYPE, 0x0101)
        .encode();
    stream.write_all(&message(1, true, &cancel)).await.unwrap();
    let store = command(field::C_STORE_RQ, 0x0101).encode();
    stream.write_all(&message(1, true, &store)).await.unwrap();
    assert_eq!(status(&mut stream).await, 0xC000);
    let nameless = command(field::C_STORE_RQ, 1).encode();
    stream
        .write_all(&message(1, true, &nameless))
        .await
        .unwrap();
    stream
        .write_all(&message(1, false, &[0; 100]))
        .await
        .unwrap();
    assert_eq!(status(&mut stream).await, 0x0117);
    stream
        .write_all(&hilum_dimse::pdu::RELEASE_RQ)
        .await
        .unwrap();
    assert_eq!(answer(&mut stream).await, hilum_dimse::pdu::RELEASE_RP);
}

#[tokio::test]
async fn a_trickle_within_a_pdu_is_cut_off() {
    let server = server().await;
    let mut stream = associate(&server).await;
    stream.write_all(&[4, 0, 0, 0, 0x10, 0]).await.unwrap();
    let trickle = async {
        while stream.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = trickle => panic!("the server closes only after its time-out"),
        end = server.ended(1) => {
            assert_eq!(end.reason, EndReason::AbortedByUs(AbortCause::Timeout));
        }
    }
}

#[tokio::test]
async fn command_and_data_set_may_come_in_any_fragments() {
    let server = server().await;
    let mut stream = associate(&server).await;
    let store = command(field::C_STORE_RQ, 1)
        .with_uid(element::AFFECTED_SOP_INSTANCE_UID, "1.2.3")
        .encode();
    // Fragments of odd length, empty ones, and several values in one PDU, byte by byte on the wire.
    let mut values = BytesMut::new();
    let (first, rest) = store.split_at(33);
    for (control, data) in [
        (1, first),
        (1, &[][..]),
        (3, rest),
        (0, &[1, 2, 3]),
        (0, &[]),
        (2, &[]),
    ] {
        values.extend_from_slice(&u32::try_from(data.len() + 2).unwrap().to_be_bytes());
        values.extend_from_slice(&[1, control]);
        values.extend_from_slice(data);
    }
    let mut pdu = vec![4, 0];
    pdu.extend(u32::try_from(values.len()).unwrap().to_be_bytes());
    pdu.extend(values);
    stream.set_nodelay(true).unwrap();
    for byte in pdu {
        stream.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(status(&mut stream).await, 0);
    assert_eq!(server.look(|log| log.received[0].data.clone()), [1, 2, 3]);
}

#[tokio::test]
async fn mutated_conversations_leave_the_server_standing() {
    let server = server().await;
    let store = command(field::C_STORE_RQ, 1)
        .with_uid(element::AFFECTED_SOP_INSTANCE_UID, "1.2.3")
        .encode();
    let mut conversation = request().encode();
    conversation.extend_from_slice(&message(1, true, &store));
    conversation.extend_from_slice(&message(1, false, &[0; 200]));
    conversation.extend_from_slice(&hilum_dimse::pdu::RELEASE_RQ);
    // Deterministic: every byte once, to three values each; in batches, for time-outs add up.
    let mutants: Vec<_> = (0..conversation.len())
        .flat_map(|at| [0, 0x7f, 0xff].map(|value| (at, value)))
        .collect();
    for batch in mutants.chunks(64) {
        let runs = batch.iter().map(|(at, value)| {
            let mut bytes = conversation.clone();
            bytes[*at] = *value;
            let address = server.address;
            async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                answer(&mut stream).await
            }
        });
        futures::future::join_all(runs).await;
    }
    let output = run("echoscu", &["127.0.0.1", &server.port()]).await;
    assert!(output.status.success(), "{}", text(&output));
    server
        .until("all have ended", |log| log.opened.len() == log.ended.len())
        .await;
}
