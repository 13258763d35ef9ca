//! Mutated real images: any answer, but always one, and bounded.

use hilum_dataset::patch::{Change, Correction, patch};
use hilum_dataset::{Encoding, ScanOptions, part10, scan, scan_file};
use proptest::prelude::*;

fn sample() -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let mut bytes = std::fs::read(format!("{root}/samples/mr-brain/brain_011.dcm")).unwrap();
    bytes.truncate(8 << 10);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_files_never_panic(
        edits in prop::collection::vec((0_usize..8192, any::<u8>()), 1..24),
        cut in 0_usize..8192,
    ) {
        let mut bytes = sample();
        for (at, value) in edits {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len() / 2));
        check(&bytes);
        let start = part10::split(&bytes).map_or(0, |file| file.data_set_offset);
        check_data_set(&bytes[usize::try_from(start).unwrap()..]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        check(&bytes);
        check_data_set(&bytes);
    }
}

fn check(bytes: &Vec<u8>) {
    if let Ok((_, scan)) = scan_file(bytes, &ScanOptions::default()) {
        serde_json::from_slice::<serde_json::Value>(&scan.json).unwrap();
    }
}

fn check_data_set(bytes: &[u8]) {
    let syntaxes = [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",
    ];
    for syntax in syntaxes {
        if let Ok(scan) = scan(bytes, syntax, &ScanOptions::default()) {
            serde_json::from_slice::<serde_json::Value>(&scan.json).unwrap();
            for range in &scan.bulk {
                assert!(scan.inflated || range.offset + range.length <= bytes.len() as u64);
            }
            if !scan.inflated {
                check_patch(bytes, Encoding::of(syntax));
            }
        }
    }
}

fn check_patch(bytes: &[u8], encoding: Encoding) {
    let changes = [(0x0010_0020, Some("P-1")), (0x0010_0010, Some("山田^Ü"))]
        .map(|(tag, value)| Change::new(tag, value.map(str::to_owned)).unwrap());
    let correction = Correction {
        at: "20261121".into(),
        system: "HILUM".into(),
        source: String::new(),
        changes: changes.into(),
    };
    let patched = patch(bytes, encoding, &[correction], None).unwrap();
    let out = patched.collect(bytes).unwrap();
    assert_eq!(out.len() as u64, patched.length);
}
