//! A data set in the transfer syntax that its first byte picks.

use hilum_dataset::patch::{self, Change, Correction, patch};
use hilum_dataset::text::CharacterSet;
use hilum_dataset::{
    Encoding, Inflated, PixelLayout, Scan, ScanOptions, scan, with_bulk_addresses,
};

/// Deflated input may grow a thousandfold; a fuzzer needs thousands of runs a second.
const INFLATED: u64 = 1 << 16;

const SYNTAXES: [&str; 5] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.90",
];

#[allow(dead_code, reason = "the part-10 target checks scans with this module")]
pub(crate) fn run(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let syntax = SYNTAXES[usize::from(first & 0x0f) % SYNTAXES.len()];
    let fallback = (first & 0x80 != 0)
        .then(|| CharacterSet::parse("ISO_IR 100"))
        .flatten();
    if let Ok(found) = scan(data, syntax, &options(fallback)) {
        check(data, &found);
        corrected(data, syntax, &found, fallback);
    }
}

/// A scanned data set can be corrected, keeps its UIDs, and says what it was.
fn corrected(data: &[u8], syntax: &str, found: &Scan, fallback: Option<CharacterSet>) {
    let changes = [
        (0x0010_0020, Some("P-1")),
        (0x0010_0010, Some("山田^Ü")),
        (0x0008_0050, None),
    ];
    let changes = changes.map(|(tag, value)| Change::new(tag, value.map(str::to_owned)));
    let correction = Correction {
        at: "20261121".to_owned(),
        system: "FUZZ".to_owned(),
        source: String::new(),
        changes: changes.into_iter().filter_map(Result::ok).collect(),
    };
    let corrections = [correction];
    assert!(
        patch::json(&found.json, &corrections).is_some(),
        "the JSON is one object"
    );
    if found.inflated {
        return;
    }
    let patched = patch(data, Encoding::of(syntax), &corrections, fallback);
    let patched = patched.unwrap_or_else(|error| panic!("scanned, not corrected: {error}"));
    let bytes = patched
        .collect(data)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(u64::try_from(bytes.len()).ok(), Some(patched.length));
}

pub(crate) fn options(fallback_charset: Option<CharacterSet>) -> ScanOptions {
    ScanOptions {
        fallback_charset,
        max_inflated: INFLATED,
    }
}

/// What every scan promises: JSON that parses, and ranges that lie within the data set.
pub(crate) fn check(data: &[u8], scan: &Scan) {
    let length = if scan.inflated {
        Inflated::open(data, INFLATED)
            .map_or(0, |inflated| hilum_dataset::ByteSource::len(&inflated))
    } else {
        u64::try_from(data.len()).unwrap_or(u64::MAX)
    };
    let within = |offset: u64, size: u64| offset.checked_add(size).is_some_and(|end| end <= length);
    let json: serde_json::Value =
        serde_json::from_slice(&scan.json).unwrap_or_else(|error| panic!("JSON: {error}"));
    assert!(json.is_object());
    let mut prefixed = Vec::new();
    with_bulk_addresses(&scan.json, "/\"x", "?v=1", &mut prefixed);
    assert!(serde_json::from_slice::<serde_json::Value>(&prefixed).is_ok());
    for bulk in &scan.bulk {
        assert!(within(bulk.offset, bulk.length), "{bulk:?} of {length}");
    }
    let ranges: Vec<_> = match &scan.pixels {
        None => Vec::new(),
        Some(PixelLayout::Native { offset, length, .. }) => vec![(*offset, *length)],
        Some(PixelLayout::Encapsulated { frames }) => frames.concat(),
        Some(PixelLayout::Fragments { fragments, .. }) => fragments.clone(),
    };
    for (offset, size) in ranges {
        assert!(within(offset, size), "{offset}+{size} of {length}");
    }
    if let Some(layout) = &scan.pixels {
        for frame in [0, 1, u32::MAX] {
            for (offset, size) in layout.frame(frame).unwrap_or_default() {
                assert!(within(offset, size), "{offset}+{size} of {length}");
            }
        }
    }
}
