//! docs/conformance/dicom.md against a running server and the constants behind it.

use std::path::Path;

use hilum_dimse::pdu::APPLICATION_CONTEXT;
use hilum_dimse::{Client, ClientConfig, ServerConfig, limits};

use crate::support::{EXPLICIT, TestServer};

fn statement() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/conformance/dicom.md");
    std::fs::read_to_string(path).expect("the conformance statement is there")
}

/// The rows under the table head that starts with `head`, as cells.
fn table(statement: &str, head: &str) -> Vec<Vec<String>> {
    let rows: Vec<Vec<String>> = statement
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {head} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "there is no table {head}");
    rows
}

fn parameter(statement: &str, name: &str) -> String {
    table(statement, "Parameter")
        .into_iter()
        .find(|row| row[0] == name)
        .unwrap_or_else(|| panic!("{name} is not stated"))[1]
        .clone()
}

fn number(statement: &str, name: &str) -> u64 {
    parameter(statement, name).parse().unwrap()
}

#[tokio::test]
async fn a_running_server_is_what_the_statement_says() {
    let text = statement();
    let server = TestServer::start().await;
    let refused = table(&text, "Refused abstract syntax");
    let taken = [
        "1.2.840.10008.1.1",
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.5.1.4.1.1.9999",
        "1.2.840.113619.4.27",
    ];
    let mut config = ClientConfig::new("HILUM", "TEST");
    for uid in taken.into_iter().chain(refused.iter().map(|row| &*row[1])) {
        config = config.propose(uid, &[EXPLICIT]);
    }
    config = config.propose("1.2.840.10008.5.1.4.1.1.4", &["1.2.840.113619.5.2"]);
    let client = Client::connect(server.address, config).await.unwrap();
    for uid in taken {
        assert!(client.accepts(uid, EXPLICIT), "{uid}");
    }
    for row in &refused {
        assert!(!client.accepts(&row[1], EXPLICIT), "{}", row[0]);
    }
    assert!(client.accepts("1.2.840.10008.5.1.4.1.1.4", "1.2.840.113619.5.2"));
    let told = client.association();
    assert_eq!(
        told.implementation_class_uid,
        parameter(&text, "Implementation Class UID")
    );
    assert_eq!(
        told.implementation_version_name,
        parameter(&text, "Implementation Version Name")
    );
    assert_eq!(
        u64::from(told.peer_max_pdu_length),
        number(&text, "Maximum PDU length announced as SCP")
    );
    client.release().await.unwrap();
}

#[test]
fn the_limits_are_those_of_the_statement() {
    let text = statement();
    let server = ServerConfig::default();
    let stated = |name| number(&text, name);
    assert_eq!(parameter(&text, "Application context"), APPLICATION_CONTEXT);
    assert_eq!(
        stated("Maximum PDU length announced as SCP"),
        u64::from(server.max_pdu_length)
    );
    assert_eq!(
        stated("Maximum PDU length announced as SCU"),
        u64::from(ClientConfig::new("A", "B").max_pdu_length)
    );
    assert_eq!(
        stated("Longest P-DATA-TF sent"),
        u64::from(limits::MAX_SENT_PDU_LENGTH)
    );
    assert_eq!(
        stated("Shortest P-DATA-TF sent to"),
        u64::from(limits::MIN_PEER_PDU_LENGTH)
    );
    assert_eq!(
        stated("Longest A-ASSOCIATE-RQ read"),
        u64::from(limits::MAX_ASSOCIATE_LENGTH)
    );
    assert_eq!(
        stated("Presentation contexts"),
        limits::MAX_PRESENTATION_CONTEXTS as u64
    );
    assert_eq!(
        stated("Associations at one time"),
        server.max_associations as u64
    );
    assert_eq!(stated("ARTIM timer, seconds"), server.artim.as_secs());
    assert_eq!(
        stated("Silence between messages, seconds"),
        server.idle.as_secs()
    );
}
