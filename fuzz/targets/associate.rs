//! A-ASSOCIATE-RQ and -AC bodies: what is read is written back the same, and negotiation answers
//! every proposed context once.

use hilum_dimse::negotiation::{answer, answer_roles, negotiate};
use hilum_dimse::pdu::{
    Abort, AssociateAccept, AssociateRequest, HEADER_LENGTH, Rejection, UserInformation,
};

pub(crate) fn run(data: &[u8]) {
    let _ = (Abort::decode(data), Rejection::decode(data));
    let _ = AssociateAccept::decode(data);
    let Ok(request) = AssociateRequest::decode(data) else {
        return;
    };
    let _ = (request.called_ae_title(), request.calling_ae_title());
    let (accepted, results) = negotiate(&request.contexts, answer);
    assert_eq!(results.len(), request.contexts.len());
    assert!(accepted.len() <= results.len());
    let roles = answer_roles(&request.user.roles, &accepted);
    assert!(roles.iter().all(|role| !role.scp));

    // Text that is not UTF-8 grows when it is written back; items have 16-bit lengths.
    if data.is_ascii() {
        let written = request.encode();
        let again = AssociateRequest::decode(written.get(HEADER_LENGTH..).unwrap_or_default());
        assert_eq!(again.as_ref(), Ok(&request));
    }
    let user = UserInformation {
        roles,
        ..UserInformation::default()
    };
    let accept = request.accept(results, user);
    if data.is_ascii() {
        let written = accept.encode();
        let again = AssociateAccept::decode(written.get(HEADER_LENGTH..).unwrap_or_default());
        assert_eq!(again, Ok(accept));
    }
}
