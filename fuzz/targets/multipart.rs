//! A STOW body: the first byte says in what pieces it arrives, the first line after it is its
//! Content-Type.

use std::convert::Infallible;

use bytes::Bytes;
use futures::executor::block_on;
use futures::stream;
use hilum_dicomweb::multipart::{Limits, Reader, boundary_of};

const LIMITS: Limits = Limits {
    parts: 16,
    part_bytes: 1 << 16,
};

pub(crate) fn run(data: &[u8]) {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    let mut halves = data.splitn(2, |byte| *byte == b'\n');
    let content_type = halves
        .next()
        .and_then(|line| std::str::from_utf8(line).ok());
    let body = halves.next().unwrap_or_default();
    let boundary = boundary_of(content_type).unwrap_or_else(|_| "b".to_owned());
    let pieces: Vec<_> = body
        .chunks(usize::from(size) + 1)
        .map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)))
        .collect();
    let mut reader = Reader::new(stream::iter(pieces), &boundary, LIMITS);
    let (mut parts, mut bytes) = (0, 0);
    block_on(async {
        while let Ok(Some(part)) = reader.next_part().await {
            let _ = part.media_type();
            parts += 1;
            while let Ok(Some(chunk)) = reader.chunk().await {
                bytes += chunk.len();
            }
        }
    });
    assert!(parts <= LIMITS.parts && bytes <= body.len());
}
