//! Every verb of DIMSE, from another tenant's device with real identifiers, and
//! every way to be another device than one is.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hilum_dimse::Rejection;
use hilum_dimse::command::{CommandSet, NO_DATA_SET, Operation, element};
use hilum_dimse::pdu::{
    AssociateAccept, AssociateRequest, ContextResultReason, PduType, ProposedContext, RELEASE_RQ,
    UserInformation, pdvs, write_message,
};
use hilum_testkit::{As, Hilum, Series};
use serde_json::Value;

use super::{changed, nothing, operations, seen};
use crate::hilum;

/// Where the devices of `a` and `b` call from.
const OF_A: Ipv4Addr = Ipv4Addr::LOCALHOST;
const OF_B: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const VERIFICATION: &str = "1.2.840.10008.1.1";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// Every Command Field of a request (PS3.7 §E.1).
const REQUESTS: [(&str, u16); 12] = [
    ("C-STORE", 0x0001),
    ("C-GET", 0x0010),
    ("C-FIND", 0x0020),
    ("C-MOVE", 0x0021),
    ("C-ECHO", 0x0030),
    ("N-EVENT-REPORT", 0x0100),
    ("N-GET", 0x0110),
    ("N-SET", 0x0120),
    ("N-ACTION", 0x0130),
    ("N-CREATE", 0x0140),
    ("N-DELETE", 0x0150),
    ("C-CANCEL", 0x0FFF),
];

/// Services that would tell or change what a tenant has: query, retrieve,
/// worklist, storage commitment, MPPS, procedure steps, print.
const OTHER_SERVICES: [&str; 12] = [
    "1.2.840.10008.5.1.4.1.2.1.1",
    "1.2.840.10008.5.1.4.1.2.1.2",
    "1.2.840.10008.5.1.4.1.2.1.3",
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
    "1.2.840.10008.5.1.4.31",
    "1.2.840.10008.1.20.1",
    "1.2.840.10008.3.1.2.3.3",
    "1.2.840.10008.5.1.4.34.6.1",
    "1.2.840.10008.5.1.4.34.6.3",
    "1.2.840.10008.5.1.1.9",
];

/// An association that was accepted.
struct Association(TcpStream);

/// Asks for an association from an address of this machine.
fn calls(
    hilum: &Hilum,
    from: Ipv4Addr,
    calling: &str,
    called: &str,
) -> Result<Association, Rejection> {
    let mut stream = connect(from, hilum.dicom());
    let services = [VERIFICATION, MR].into_iter().chain(OTHER_SERVICES);
    let contexts = (1..).step_by(2).zip(services);
    let contexts = contexts.map(|(id, service)| ProposedContext {
        id,
        abstract_syntax: service.to_owned(),
        transfer_syntaxes: vec![EXPLICIT.to_owned()],
    });
    let user = UserInformation {
        max_pdu_length: 1 << 16,
        implementation_class_uid: "1.2.3".to_owned(),
        ..UserInformation::default()
    };
    let request = AssociateRequest::new(called, calling, contexts.collect(), user);
    stream.write_all(&request.encode()).unwrap();
    let (kind, body) = pdu(&mut stream);
    if kind == PduType::AssociateRj {
        return Err(Rejection::decode(&body));
    }
    assert_eq!(kind, PduType::AssociateAc, "{calling} calls {called}");
    let accepted = AssociateAccept::decode(&body).unwrap();
    for context in accepted.contexts {
        let expected = match context.id {
            1 | 3 => ContextResultReason::Acceptance,
            _ => ContextResultReason::AbstractSyntaxNotSupported,
        };
        assert_eq!(context.reason, expected, "context {}", context.id);
    }
    Ok(Association(stream))
}

fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn pdu(stream: &mut TcpStream) -> (PduType, Bytes) {
    let mut head = [0; 6];
    stream.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let mut body = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut body).unwrap();
    (PduType::from_byte(head[0]).unwrap(), body.into())
}

impl Association {
    fn sends(&mut self, context: u8, command: &CommandSet, data: Option<&[u8]>) {
        let mut out = BytesMut::new();
        write_message(&mut out, context, true, &command.encode(), 1 << 16);
        if let Some(data) = data {
            write_message(&mut out, context, false, data, 1 << 16);
        }
        self.0.write_all(&out).unwrap();
    }

    /// The command set that is answered, and everything that came with it.
    fn answer(&mut self) -> (CommandSet, String) {
        let (kind, body) = pdu(&mut self.0);
        assert_eq!(kind, PduType::PDataTf);
        let text = String::from_utf8_lossy(&body).into_owned();
        let value = pdvs(body).next().unwrap().unwrap();
        assert!(value.is_command && value.is_last);
        (CommandSet::decode(value.data).unwrap(), text)
    }

    fn releases(mut self) {
        self.0.write_all(&RELEASE_RQ).unwrap();
        assert_eq!(pdu(&mut self.0).0, PduType::ReleaseRp);
    }
}

/// What of a part-10 file is its data set (PS3.10 §7.1).
fn data_set(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap();
    let group = u32::from_le_bytes(bytes[140..144].try_into().unwrap());
    bytes[144 + usize::try_from(group).unwrap()..].to_vec()
}

/// Tenant `a` with a study, and a device of each tenant.
fn two_devices() -> (Hilum, Series) {
    let device = |name: &str, tenant: &str, address: Ipv4Addr| {
        format!("{{ ae_title = \"{name}\", tenant = \"{tenant}\", address = \"{address}\" }}")
    };
    let devices = [device("CT_A", "a", OF_A), device("CT_B", "b", OF_B)].join(", ");
    let hilum = hilum()
        .with_setting("identity", "{ unknown_devices = \"reject\" }")
        .with_setting("devices", format!("[{devices}]"))
        .start();
    let secret = ["PatientName=Secret^Anna", "PatientID=A-4711"];
    let series = Series::another_study("1.2.826.0.1.3680043.8.498.7003", &secret);
    let stored = hilum.stow(series.files());
    assert_eq!(stored.status, 200, "{}", stored.text());
    // Nothing of it changes by itself from here on.
    hilum.input_set_becomes(series.study_uid(), "ready");
    (hilum, series)
}

fn unknown_devices(hilum: &Hilum, tenant: &str) -> Vec<Value> {
    let path = "/api/v1/devices/unknown";
    let found = hilum.api().send("GET", path, As::Operator(tenant), None);
    found.json()["items"].as_array().unwrap().clone()
}

#[test]
fn a_device_is_nobody_anywhere_but_at_home() {
    let (hilum, _) = two_devices();
    for (from, calling, called, refusal) in [
        (OF_B, "CT_B", "HILUM_A", Rejection::CALLING_AE_TITLE),
        (OF_B, "CT_A", "HILUM_A", Rejection::CALLING_AE_TITLE),
        (OF_B, "CT_A", "HILUM_B", Rejection::CALLING_AE_TITLE),
        (OF_A, "CT_B", "HILUM_B", Rejection::CALLING_AE_TITLE),
        (OF_A, "CT_B", "HILUM_A", Rejection::CALLING_AE_TITLE),
        (OF_B, "HILUM_A", "HILUM_A", Rejection::CALLING_AE_TITLE),
        (OF_B, "CT_B", "HILUM_C", Rejection::CALLED_AE_TITLE),
        (OF_B, "CT_B", "hilum_b", Rejection::CALLED_AE_TITLE),
        (OF_B, "CT_B", "a", Rejection::CALLED_AE_TITLE),
        (OF_B, "CT_B", "", Rejection::CALLED_AE_TITLE),
        (OF_B, "", "HILUM_A", Rejection::CALLING_AE_TITLE),
    ] {
        let answer = calls(&hilum, from, calling, called).map(|_| ());
        assert_eq!(answer, Err(refusal), "{calling} at {from} calls {called}");
    }
    calls(&hilum, OF_B, "CT_B", "HILUM_B")
        .map(Association::releases)
        .unwrap();
    calls(&hilum, OF_A, "CT_A", "HILUM_A")
        .map(Association::releases)
        .unwrap();
    // Who called a tenant is shown to that one.
    let shown = |tenant: &str| {
        let found = unknown_devices(&hilum, tenant);
        let mut titles: Vec<String> = found
            .iter()
            .map(|one| format!("{} {}", one["ae_title"], one["address"]).replace('"', ""))
            .collect();
        titles.sort();
        titles
    };
    let of_a = [
        " 127.0.0.2",
        "CT_A 127.0.0.2",
        "CT_B 127.0.0.1",
        "CT_B 127.0.0.2",
        "HILUM_A 127.0.0.2",
    ];
    assert_eq!(shown("a"), of_a);
    assert_eq!(shown("b"), ["CT_A 127.0.0.2", "CT_B 127.0.0.1"]);
    assert!(!hilum.log().contains("panicked"));
}

#[test]
fn no_verb_reaches_what_another_tenant_has() {
    for served in Operation::ALL {
        assert!(
            REQUESTS.iter().any(|(_, field)| *field == served.field()),
            "{served:?} is new"
        );
    }
    let (hilum, series) = two_devices();
    let operations = operations(hilum.api());
    let mut names = nothing();
    let instance = hilum.instances(series.study_uid(), "MR").remove(0);
    let uid = |tag: &str| instance[tag]["Value"][0].as_str().unwrap().to_owned();
    let (study, series_uid, sop_instance) = (uid("0020000D"), uid("0020000E"), uid("00080018"));
    names.knows(&study, &series_uid, &sop_instance);
    let before = seen(hilum.api(), &operations, "a", &names);
    assert!(before.values().any(|answer| answer.contains("Secret")));

    // The same UIDs, another content.
    let own = series.changed(&["PatientName=Other^B", "PatientID=B-1"]);
    let file = own.files().iter().zip(series.files()).find(|(_, file)| {
        let bytes = std::fs::read(file).unwrap();
        bytes
            .windows(sop_instance.len())
            .any(|part| part == sop_instance.as_bytes())
    });
    let own_bytes = data_set(file.unwrap().0);
    let mut association = calls(&hilum, OF_B, "CT_B", "HILUM_B").unwrap();
    for (verb, field) in REQUESTS {
        // What the verb would name: a query's identifier, a step's, a commitment's.
        let identifier = identifier(&study, &series_uid, &sop_instance);
        for context in [1, 3] {
            let command = CommandSet::default()
                .with_uid(element::AFFECTED_SOP_CLASS_UID, MR)
                .with_uid(element::REQUESTED_SOP_CLASS_UID, MR)
                .with_us(element::COMMAND_FIELD, field)
                .with_us(element::MESSAGE_ID, 7)
                .with_us(element::MESSAGE_ID_BEING_RESPONDED_TO, 7)
                .with_uid(element::AFFECTED_SOP_INSTANCE_UID, &sop_instance)
                .with_uid(element::REQUESTED_SOP_INSTANCE_UID, &sop_instance)
                .with_text(element::MOVE_ORIGINATOR_AE_TITLE, "HILUM_A");
            let with_data = |kind: u16| command.clone().with_us(element::DATA_SET_TYPE, kind);
            let (data, expected): (Option<&[u8]>, _) = match Operation::of(field) {
                Some(Operation::Cancel) => (None, None),
                Some(Operation::Echo) => (None, Some(0x0000)),
                Some(Operation::Store) if context == 1 => (Some(&own_bytes), Some(0x0122)),
                Some(Operation::Store) => (Some(&own_bytes), Some(0x0000)),
                None => (Some(&identifier), Some(0x0211)),
            };
            let kind = if data.is_some() { 1 } else { NO_DATA_SET };
            association.sends(context, &with_data(kind), data);
            let Some(expected) = expected else { continue };
            let (answer, text) = association.answer();
            assert_eq!(
                answer.us(element::STATUS),
                Some(expected),
                "{verb} in {context}"
            );
            assert!(!text.contains("Secret"), "{verb}: {text}");
        }
    }
    association.releases();

    let after = seen(hilum.api(), &operations, "a", &names);
    assert_eq!(changed(&before, &after), Vec::<String>::new());
    let of_b = hilum
        .api()
        .get_for("b", &format!("/dicomweb/studies/{study}/metadata"));
    let text = of_b.text();
    assert!(
        text.contains("Other^B") && !text.contains("Secret"),
        "{text}"
    );
    assert_eq!(of_b.json().as_array().unwrap().len(), 1);
    assert!(!hilum.log().contains("panicked"));
}

/// An identifier of these UIDs in explicit VR little endian.
fn identifier(study: &str, series: &str, instance: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |(group, number): (u16, u16), vr: &[u8; 2], text: &str, padding: char| {
        let mut text = text.to_owned();
        if !text.len().is_multiple_of(2) {
            text.push(padding);
        }
        out.extend_from_slice(&group.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(vr);
        out.extend_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    put((0x0008, 0x0018), b"UI", instance, '\0');
    put((0x0008, 0x0052), b"CS", "IMAGE", ' ');
    put((0x0010, 0x0020), b"LO", "A-4711", ' ');
    put((0x0020, 0x000d), b"UI", study, '\0');
    put((0x0020, 0x000e), b"UI", series, '\0');
    out
}
