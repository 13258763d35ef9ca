//! `multipart/related` there and back, and what hostile bodies cost.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod conformance;
mod corpus;

use std::convert::Infallible;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use hilum_dicomweb::limits::{BOUNDARY_BYTES, CHUNK_BYTES, STRUCTURE_BYTES};
use hilum_dicomweb::multipart::{
    Boundary, Limits, MultipartError, PartHead, Reader, body_length, boundary_of, write,
};
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    parts: 3,
    part_bytes: 1 << 20,
};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

async fn read(pieces: Vec<Bytes>, boundary: &str) -> Result<Vec<Vec<u8>>, MultipartError> {
    let body = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
    let mut reader = Reader::new(body, boundary, LIMITS);
    let mut parts = Vec::new();
    while let Some(part) = reader.next_part().await? {
        assert_eq!(part.media_type().as_deref(), Some("application/dicom"));
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.chunk().await? {
            assert!(chunk.len() <= 2 * CHUNK_BYTES);
            bytes.extend_from_slice(&chunk);
        }
        parts.push(bytes);
    }
    Ok(parts)
}

async fn written(parts: &[Vec<u8>]) -> (String, Vec<u8>) {
    let boundary = Boundary::from_bits(7);
    let head = |part: &Vec<u8>| PartHead {
        content_type: "application/dicom".into(),
        location: Some("http://h/x".into()),
        length: Some(part.len() as u64),
    };
    let heads: Vec<PartHead> = parts.iter().map(head).collect();
    let expected = body_length(&boundary, &heads).unwrap();
    let content_type = boundary.content_type("application/dicom");
    let items: Vec<_> = parts
        .iter()
        .map(|part| {
            let body = stream::iter([Ok::<_, Infallible>(Bytes::copy_from_slice(part))]);
            Ok((head(part), body))
        })
        .collect();
    let pieces: Vec<_> = write(boundary, stream::iter(items)).collect().await;
    let bytes: Vec<u8> = pieces
        .into_iter()
        .flat_map(|piece| piece.unwrap())
        .collect();
    assert_eq!(bytes.len() as u64, expected);
    (boundary_of(Some(&content_type)).unwrap(), bytes)
}

fn cut(bytes: &[u8], size: usize) -> Vec<Bytes> {
    bytes.chunks(size).map(Bytes::copy_from_slice).collect()
}

#[test]
fn a_body_without_a_boundary_costs_bounded_memory_and_ends_in_an_error() {
    run(async {
        let pulled = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = std::sync::Arc::clone(&pulled);
        let endless = stream::repeat_with(move || {
            counter.fetch_add(1024, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1024]))
        });
        let mut reader = Reader::new(endless, "b", LIMITS);
        let error = reader.next_part().await.unwrap_err();
        assert!(matches!(error, MultipartError::NoBoundary));
        assert!(pulled.load(std::sync::atomic::Ordering::Relaxed) <= STRUCTURE_BYTES + 4096);
        assert!(reader.next_part().await.unwrap().is_none());
    });
}

#[test]
fn endless_headers_and_endless_parts_are_cut_off() {
    run(async {
        let start = Bytes::from_static(b"--b\r\nContent-Type: application/dicom\r\nX: ");
        let endless = stream::once(async { Ok::<_, Infallible>(start) })
            .chain(stream::repeat(Ok(Bytes::from_static(&[b'x'; 4096]))));
        let error = Reader::new(Box::pin(endless), "b", LIMITS)
            .next_part()
            .await
            .unwrap_err();
        assert!(matches!(error, MultipartError::NoBoundary));

        let start = Bytes::from_static(b"--b\r\nContent-Type: application/dicom\r\n\r\n");
        let endless = stream::once(async { Ok::<_, Infallible>(start) })
            .chain(stream::repeat(Ok(Bytes::from_static(&[b'x'; 4096]))));
        let mut reader = Reader::new(Box::pin(endless), "b", LIMITS);
        reader.next_part().await.unwrap().unwrap();
        let error = loop {
            match reader.chunk().await {
                Ok(Some(chunk)) => assert!(chunk.len() <= 2 * CHUNK_BYTES),
                Ok(None) => panic!("an endless part has no end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, MultipartError::PartTooLarge(_)));
        assert!(reader.next_part().await.unwrap().is_none());
    });
}

#[test]
fn a_missing_closing_boundary_is_an_error_and_too_many_parts_too() {
    run(async {
        let (boundary, bytes) = written(&[vec![1; 10]]).await;
        for end in [bytes.len() - 5, bytes.len() - 45, bytes.len() - 60, 10] {
            let error = read(cut(&bytes[..end], 7), &boundary).await.unwrap_err();
            assert!(matches!(error, MultipartError::Malformed), "{end}");
        }
        let (boundary, bytes) = written(&vec![vec![1; 10]; 4]).await;
        let error = read(cut(&bytes, 100), &boundary).await.unwrap_err();
        assert!(matches!(error, MultipartError::TooManyParts(3)));
    });
}

#[test]
fn a_preamble_and_the_epilogue_are_skipped() {
    run(async {
        let body = "pre\r\n--b \r\nContent-Type: application/dicom\r\n\r\nxyz\r\n--b--epilogue";
        let parts = read(cut(body.as_bytes(), 3), "b").await.unwrap();
        assert_eq!(parts, [b"xyz".to_vec()]);
    });
}

#[test]
fn only_instances_are_taken() {
    for (content_type, status) in [
        (None, 415),
        (Some("application/json"), 415),
        (
            Some("multipart/related; type=\"application/dicom+json\"; boundary=b"),
            415,
        ),
        (Some("multipart/related; type=\"application/dicom\""), 400),
        (
            Some("multipart/related; type=\"application/dicom\"; boundary=\"\""),
            400,
        ),
    ] {
        let refusal = boundary_of(content_type).unwrap_err();
        assert_eq!(refusal.status().as_u16(), status, "{content_type:?}");
    }
    let quoted = "multipart/related; type=application/dicom; boundary=\"a b:c\"";
    assert_eq!(boundary_of(Some(quoted)).unwrap(), "a b:c");
}

#[test]
fn an_error_of_a_part_leaves_the_body_without_its_end() {
    run(async {
        let head = PartHead {
            content_type: "a/b".into(),
            location: None,
            length: None,
        };
        let failing = stream::iter([Ok(Bytes::from_static(b"x")), Err("broken")]);
        let pieces: Vec<_> = write(Boundary::from_bits(1), stream::iter([Ok((head, failing))]))
            .collect()
            .await;
        assert_eq!(pieces.len(), 3);
        assert!(pieces[2].is_err());
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_however_it_is_cut(
        parts in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\r\n-hilum0".to_vec()), 0..300), 0..4),
        size in 1_usize..200,
    ) {
        run(async {
            let (boundary, bytes) = written(&parts).await;
            assert_eq!(read(cut(&bytes, size), &boundary).await.unwrap(), parts);
        });
    }

    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(prop::sample::select(b"\r\n-b: x".to_vec()), 0..300), size in 1_usize..50) {
        run(async {
            let pieces = stream::iter(cut(&body, size).into_iter().map(Ok::<_, Infallible>));
            let mut reader = Reader::new(pieces, "b", LIMITS);
            while let Ok(Some(_)) = reader.next_part().await {}
        });
    }
}

#[test]
fn the_boundary_of_orthanc_is_taken_and_an_endless_one_is_not() {
    // Two UUIDs and a hyphen: three characters more than RFC 2046 §5.1.1 allows.
    let of = |length: usize| {
        let boundary = "b".repeat(length);
        let text = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
        boundary_of(Some(&text)).is_ok_and(|found| found == boundary)
    };
    assert!(of(73));
    assert!(!of(BOUNDARY_BYTES + 1));
}
