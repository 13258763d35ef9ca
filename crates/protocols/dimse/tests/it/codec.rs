//! Association PDUs against dicom-ul's codec, and against arbitrary bytes.

use bytes::Bytes;
use dicom_ul::pdu::{Pdu, UserVariableItem, read_pdu, write_pdu};
use hilum_dimse::command::CommandSet;
use hilum_dimse::pdu::{
    AssociateAccept, AssociateRequest, ContextResult, ContextResultReason, ProposedContext,
    RoleSelection, UserInformation, pdvs,
};
use proptest::prelude::*;

use crate::support::{EXPLICIT, IMPLICIT, MR};

fn user() -> UserInformation {
    UserInformation {
        max_pdu_length: 4242,
        implementation_class_uid: "1.2.3.4".to_owned(),
        implementation_version_name: "VERSION".to_owned(),
        roles: vec![RoleSelection {
            sop_class_uid: MR.to_owned(),
            scu: true,
            scp: false,
        }],
    }
}

fn request() -> AssociateRequest {
    let context = ProposedContext {
        id: 1,
        abstract_syntax: MR.to_owned(),
        transfer_syntaxes: vec![EXPLICIT.to_owned(), IMPLICIT.to_owned()],
    };
    AssociateRequest::new("CALLED", "CALLING", vec![context], user())
}

fn accept() -> AssociateAccept {
    let result = |id, reason| ContextResult {
        id,
        reason,
        transfer_syntax: Some(EXPLICIT.to_owned()),
    };
    let results = vec![
        result(1, ContextResultReason::Acceptance),
        result(3, ContextResultReason::AbstractSyntaxNotSupported),
    ];
    request().accept(results, user())
}

#[test]
fn dicom_ul_reads_our_request_and_we_read_its_copy() {
    let bytes = request().encode();
    let pdu = read_pdu(bytes.as_ref(), 16384, true).unwrap().unwrap();
    let mut again = Vec::new();
    write_pdu(&mut again, &pdu).unwrap();
    let Pdu::AssociationRQ(read) = pdu else {
        panic!("another PDU")
    };
    assert_eq!(
        (
            read.called_ae_title.as_str(),
            read.calling_ae_title.as_str()
        ),
        ("CALLED", "CALLING")
    );
    assert_eq!(
        read.presentation_contexts[0].transfer_syntaxes,
        [EXPLICIT, IMPLICIT]
    );
    assert!(
        read.user_variables
            .contains(&UserVariableItem::MaxLength(4242))
    );
    assert_eq!(AssociateRequest::decode(&again[6..]).unwrap(), request());
}

#[test]
fn dicom_ul_reads_our_acceptance_and_we_read_its_copy() {
    let bytes = accept().encode();
    let pdu = read_pdu(bytes.as_ref(), 16384, true).unwrap().unwrap();
    let mut again = Vec::new();
    write_pdu(&mut again, &pdu).unwrap();
    let Pdu::AssociationAC(read) = pdu else {
        panic!("another PDU")
    };
    assert_eq!(read.presentation_contexts.len(), 2);
    assert_eq!(AssociateAccept::decode(&again[6..]).unwrap(), accept());
}

/// A valid PDU body with some bytes changed, cut off somewhere.
fn mutated(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((0..valid.len(), any::<u8>()), 0..8);
    (changes, 0..=valid.len()).prop_map(move |(changes, length)| {
        let mut bytes = valid.clone();
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(length);
        bytes
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = AssociateRequest::decode(&bytes);
        let _ = AssociateAccept::decode(&bytes);
        let bytes = Bytes::from(bytes);
        let total: usize = pdvs(bytes.clone()).flatten().map(|pdv| pdv.data.len()).sum();
        prop_assert!(total <= bytes.len());
        let _ = CommandSet::decode(bytes);
    }

    #[test]
    fn a_damaged_request_is_refused_or_read_and_written_back(
        bytes in mutated(request().encode()[6..].to_vec()),
    ) {
        if let Ok(read) = AssociateRequest::decode(&bytes) {
            let written = read.encode();
            prop_assert_eq!(AssociateRequest::decode(&written[6..]).unwrap(), read);
        }
    }

    #[test]
    fn a_damaged_acceptance_is_refused_or_read(bytes in mutated(accept().encode()[6..].to_vec())) {
        let _ = AssociateAccept::decode(&bytes);
    }
}
