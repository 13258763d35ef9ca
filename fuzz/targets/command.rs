//! Command sets: what is read is written in order and read again the same; every request can be
//! answered.

use bytes::Bytes;
use hilum_dimse::command::{CommandSet, element};
use hilum_dimse::status::Status;

pub(crate) fn run(data: &[u8]) {
    let Ok(set) = CommandSet::decode(Bytes::copy_from_slice(data)) else {
        return;
    };
    let _ = (set.request(), set.has_data_set());
    let _ = set.text(element::MOVE_ORIGINATOR_AE_TITLE);
    for uid in [
        element::AFFECTED_SOP_CLASS_UID,
        element::AFFECTED_SOP_INSTANCE_UID,
    ] {
        let uid = set.uid(uid).unwrap_or_default();
        assert!(uid.len() <= 64 && uid.is_ascii());
    }
    let response = set.response(Status::PROCESSING_FAILURE, Some("a comment"));
    let read = CommandSet::decode(response.encode().freeze());
    assert_eq!(
        read.ok().and_then(|read| read.us(element::STATUS)),
        Some(Status::PROCESSING_FAILURE.code())
    );
    let written = set.encode();
    // A group length of ours may be the element too many.
    if let Ok(again) = CommandSet::decode(written.clone().freeze()) {
        assert_eq!(again.encode(), written);
    }
}
