//! P-DATA-TF bodies: values never hold more than the body, and the fragments of a message written
//! for any peer join to the same bytes.

use bytes::{Bytes, BytesMut};
use hilum_dimse::pdu::{HEADER_LENGTH, pdvs, write_message};

pub(crate) fn run(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let values: Vec<_> = pdvs(body).flatten().collect();
    let held: usize = values.iter().map(|value| value.data.len() + 6).sum();
    assert!(held <= data.len());

    let Some((&[low, high, context, command], message)) = data.split_first_chunk::<4>() else {
        return;
    };
    let mut written = BytesMut::new();
    let longest = u32::from(u16::from_le_bytes([low, high])).max(8);
    write_message(&mut written, context, command & 1 == 1, message, longest);
    let mut joined = Vec::new();
    let mut rest = written.freeze();
    while !rest.is_empty() {
        let header = rest.split_to(HEADER_LENGTH);
        let length = header
            .last_chunk::<4>()
            .map(|bytes| u32::from_be_bytes(*bytes));
        let length = usize::try_from(length.unwrap_or_default()).unwrap_or_default();
        let last = rest.len() == length;
        for value in pdvs(rest.split_to(length)) {
            let value = value.unwrap_or_else(|error| panic!("we wrote it: {error}"));
            assert_eq!((value.context_id, value.is_last), (context, last));
            joined.extend_from_slice(&value.data);
        }
    }
    assert_eq!(joined, message);
}
