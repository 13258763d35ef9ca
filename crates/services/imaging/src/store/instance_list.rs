//! SOP Instance UIDs of an input set as they are stored: sorted, each without
//! what it shares with the one before, compressed. Bytes in memory only.

use hilum_archive::limits::{PACK_INSTANCES, UID_BYTES};

/// Written once, kept for years.
const LEVEL: i32 = 9;
/// Bytes that a list may have in the clear: every instance of a series, and as
/// long a UID as the archive takes.
const PLAIN_BYTES: usize = PACK_INSTANCES * (UID_BYTES + 2);
/// So long a prefix can be told of, and so long a rest.
const LONGEST: usize = u8::MAX as usize;

/// The list's bytes; the order of `uids` does not matter.
pub(super) fn encode(uids: &[String]) -> std::io::Result<Vec<u8>> {
    let mut sorted: Vec<&[u8]> = uids.iter().map(String::as_bytes).collect();
    sorted.sort_unstable();
    let mut plain = Vec::new();
    let mut before: &[u8] = &[];
    for uid in sorted {
        let shared = uid.iter().zip(before).take_while(|(a, b)| a == b).count();
        let (shared, rest) = uid.split_at(shared.min(LONGEST));
        let lengths = [shared.len(), rest.len()].map(u8::try_from);
        let [Ok(shared), Ok(own)] = lengths else {
            return Err(std::io::ErrorKind::InvalidInput.into());
        };
        plain.extend([shared, own]);
        plain.extend_from_slice(rest);
        before = uid;
    }
    zstd::bulk::compress(&plain, LEVEL)
}

/// The UIDs in order; `None` when these are not a list's bytes.
pub(super) fn decode(stored: &[u8]) -> Option<Vec<String>> {
    let size = zstd::zstd_safe::get_frame_content_size(stored).ok()??;
    let size = usize::try_from(size).ok()?.min(PLAIN_BYTES);
    let plain = zstd::bulk::decompress(stored, size).ok()?;
    let mut rest = plain.as_slice();
    let mut uids = Vec::new();
    let mut uid: Vec<u8> = Vec::new();
    while let [shared, own, after @ ..] = rest {
        let (own, after) = after.split_at_checked(usize::from(*own))?;
        uid.truncate(usize::from(*shared));
        uid.extend_from_slice(own);
        uids.push(String::from_utf8(uid.clone()).ok()?);
        rest = after;
    }
    rest.is_empty().then_some(uids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_sorted_and_takes_few_bytes() {
        let mut uids: Vec<String> = (0..1_000)
            .map(|n| {
                format!(
                    "1.2.826.0.1.3680043.10.1492.3.1{:011}",
                    7_231_554_310_u64 + n
                )
            })
            .collect();
        uids.reverse();
        let stored = encode(&uids).unwrap();
        assert!(stored.len() < 3_000, "{}", stored.len());
        uids.sort();
        assert_eq!(decode(&stored).unwrap(), uids);
        assert_eq!(decode(&encode(&[]).unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_list_is_none_and_what_does_not_fit_an_error() {
        assert!(decode(b"nonsense").is_none());
        for plain in [&[0][..], &[0, 5, b'1'], &[0, 1, 0xff]] {
            let stored = zstd::bulk::compress(plain, 1).unwrap();
            assert!(decode(&stored).is_none(), "{plain:?}");
        }
        assert!(encode(&["1".repeat(300)]).is_err());
    }
}
