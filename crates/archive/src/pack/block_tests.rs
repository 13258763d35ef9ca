//! What goes into a block comes out of it.
#![allow(clippy::cast_possible_truncation)]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::block::{Above, Block, BlockWriter, Entry, Place, Section};
use super::head::{Head, Publication, RowHead, SeriesHead, StudyHead};
use crate::descriptor::Digest;
use crate::model::{InstanceAttributes, Origin, SeriesAttributes, Standing};

fn entry(number: u32) -> Entry {
    Entry {
        id: i64::from(number) + 7,
        sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
        sop_instance: format!("1.2.3.{number}").into(),
        transfer_syntax: "1.2.840.10008.1.2.1".into(),
        above: Arc::new(Above {
            study: "1.2".into(),
            series: "1.2.3".into(),
            patient: Default::default(),
            study_attributes: Default::default(),
            series_attributes: SeriesAttributes {
                modality: Some("CT".into()),
                ..Default::default()
            },
        }),
        attributes: InstanceAttributes {
            number: number.is_multiple_of(3).then_some(i64::from(number) - 50),
            rows: Some(512),
            columns: Some(u32::MAX),
            bits_allocated: None,
            frames: Some(0),
        },
        flags: Arc::new(["trailing-bytes".into()]),
        origin: Arc::new(Origin::Stow),
        correlation: Arc::new("00000000-0000-0000-0000-000000000007".parse().unwrap()),
        received_at: 1_790_000_000_000 - i64::from(number),
        standing: if number % 5 == 4 {
            Standing::Variant
        } else {
            Standing::Served
        },
        sha256: [number.to_le_bytes()[0]; 32],
        comparison: number.is_multiple_of(2).then_some(Digest([9; 32])),
        length: u64::from(number) * 1_000,
        place: Place {
            elsewhere: (number % 7 == 6).then_some([number.to_le_bytes()[0] % 2; 16]),
            segment: 1_000 - number,
            offset: u64::from(number) * 1_100,
        },
        publication: None,
    }
}

fn text(number: u32, len: usize) -> Vec<u8> {
    format!("{{\"00080018\":{{\"vr\":\"UI\",\"Value\":[\"1.2.3.{number}\"]}}}}")
        .into_bytes()
        .into_iter()
        .cycle()
        .take(len)
        .collect()
}

fn head() -> Head {
    let row = RowHead {
        id: None,
        revision: 9,
        first_received: -1,
        last_received: 1_790_000_000_000,
    };
    Head {
        study: StudyHead {
            uid: "1.2".into(),
            row,
            received: Some(Default::default()),
        },
        series: SeriesHead {
            uid: "1.2.3".into(),
            row,
            received: None,
        },
    }
}

/// The same as result sets.
fn published(number: u32) -> Entry {
    let publication = Publication {
        key: "run 7".into(),
        instances: vec!["1.2.3.4".into(), "1.2.3.5".into()],
        published_at: 1_790_000_000_000,
    };
    Entry {
        publication: number
            .is_multiple_of(2)
            .then(|| std::sync::Arc::new(publication)),
        ..entry(number)
    }
}

fn write(entries: &[Entry], texts: &[Both]) -> Vec<u8> {
    let mut writer = BlockWriter::new();
    for (metadata, layout) in texts {
        writer.push(metadata, layout).unwrap();
    }
    writer.finish(&head(), entries).unwrap()
}

fn read(bytes: &[u8], block: &Block, section: Section, ordinal: usize) -> Vec<u8> {
    let span = block.span(section, ordinal).unwrap();
    let range = block.range(section, span.group).unwrap();
    let stored = &bytes[range.start as usize..range.end as usize];
    let group = block.open_group(section, span.group, stored).unwrap();
    group[span.start..span.end].to_vec()
}

fn check(entries: &[Entry], texts: &[Both], bytes: &[u8]) {
    let block = Block::decode(bytes).unwrap();
    assert_eq!(block.entries, entries);
    for (ordinal, (metadata, layout)) in texts.iter().enumerate() {
        assert_eq!(read(bytes, &block, Section::Metadata, ordinal), *metadata);
        assert_eq!(read(bytes, &block, Section::Layouts, ordinal), *layout);
    }
}

#[test]
fn a_block_comes_back_whole() {
    // Texts of a group's size and above, empty ones, and none at all.
    for count in [0, 1, 2, 300] {
        let entries: Vec<_> = (0..count).map(entry).collect();
        let texts: Vec<_> = (0..count)
            .map(|number| {
                let len = [0, 10, 4_000, 300_000][number as usize % 4];
                (text(number, len), text(number, len / 10))
            })
            .collect();
        check(&entries, &texts, &write(&entries, &texts));
    }
}

#[test]
fn an_instance_costs_few_bytes() {
    let entries: Vec<_> = (0..1_000)
        .map(|number| Entry {
            comparison: None,
            sha256: [0; 32],
            ..entry(number)
        })
        .collect();
    let texts = vec![(Vec::new(), Vec::new()); 1_000];
    let bytes = write(&entries, &texts);
    assert!(bytes.len() < 40 * 1_000, "{} bytes", bytes.len());
}

fn fixture(version: u16) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/block-v{version}.bin"))
}

/// Metadata and layout.
type Both = (Vec<u8>, Vec<u8>);

fn fixed(entry: fn(u32) -> Entry) -> (Vec<Entry>, Vec<Both>) {
    let texts = (0..20).map(|n| (text(n, 500), text(n, 30))).collect();
    ((0..20).map(entry).collect(), texts)
}

#[test]
#[ignore = "writes the fixture; only for a new version, beside the old ones"]
fn write_the_fixture() {
    let (entries, texts) = fixed(published);
    std::fs::write(fixture(2), write(&entries, &texts)).unwrap();
}

#[test]
fn a_block_of_version_1_is_read() {
    let (entries, texts) = fixed(entry);
    let bytes = std::fs::read(fixture(1)).unwrap();
    check(&entries, &texts, &bytes);
    assert_eq!(Block::decode(&bytes).unwrap().head, None);
}

#[test]
fn a_block_of_version_2_is_read() {
    let (entries, texts) = fixed(published);
    let bytes = std::fs::read(fixture(2)).unwrap();
    check(&entries, &texts, &bytes);
    assert_eq!(Block::decode(&bytes).unwrap().head, Some(head()));
}

proptest! {
    /// The cipher keeps others out; a fault of our own must still not panic.
    #[test]
    fn damage_is_an_error_and_never_a_panic(at in 0_usize..4_000, byte: u8, cut in 0_usize..4_000) {
        let mut bytes = std::fs::read(fixture(2)).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        for bytes in [&bytes[..], &bytes[..cut % bytes.len()]] {
            let Ok(block) = Block::decode(bytes) else { continue };
            for section in [Section::Metadata, Section::Layouts] {
                for group in 0..block.groups(section).len() {
                    let range = block.range(section, group).unwrap();
                    let range = range.start as usize..range.end as usize;
                    if let Some(stored) = bytes.get(range) {
                        let _ = block.open_group(section, group, stored);
                    }
                }
            }
        }
    }

    #[test]
    fn columns_of_nonsense_are_an_error_and_never_a_panic(columns: Vec<u8>, rows in 0_u32..100) {
        let stored = zstd::bulk::compress(&columns, 1).unwrap();
        let mut bytes = b"HBLK\x02\0\0\0".to_vec();
        bytes.extend_from_slice(&rows.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for length in [stored.len() as u64, columns.len() as u64, 0, 0] {
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes.extend_from_slice(&stored);
        let _ = Block::decode(&bytes);
    }
}
