//! Files made to break a reader, and the answer each must get.

use std::io;

use hilum_dataset::text::CharacterSet;
use hilum_dataset::{
    ByteSource, Flag, Inflated, Limit, PixelLayout, Place, Refusal, Scan, ScanOptions, limits,
    scan, with_bulk_addresses,
};
use serde_json::{Value, json};

use super::{filed, item, long, short};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const UNDEFINED: u32 = u32::MAX;

fn read(bytes: &[u8]) -> Scan {
    scan(bytes, EXPLICIT, &ScanOptions::default()).unwrap()
}

fn refused(bytes: &[u8]) -> Refusal {
    scan(bytes, EXPLICIT, &ScanOptions::default())
        .unwrap_err()
        .refusal()
        .unwrap()
}

fn model(scan: &Scan) -> Value {
    serde_json::from_slice(&scan.json).unwrap()
}

#[test]
fn what_is_not_dicom_is_refused() {
    assert_eq!(refused(b""), Refusal::NotDicom);
    assert!(matches!(
        refused(b"<html>not an image</html>"),
        Refusal::Truncated { .. } | Refusal::Broken { .. }
    ));
    let error = hilum_dataset::part10::split(&b"PK\x03\x04 archive of something".as_slice());
    assert_eq!(error.unwrap_err().refusal(), Some(Refusal::NotDicom));
}

#[test]
fn nesting_ten_thousand_deep_is_refused() {
    let mut bytes = filed();
    for _ in 0..10_000 {
        bytes.extend(long(
            0x0040,
            0xA730,
            b"SQ",
            UNDEFINED,
            &item(0xE000, UNDEFINED, b""),
        ));
    }
    let what = Limit::Depth;
    assert_eq!(refused(&bytes), Refusal::OverLimit { what });
}

#[test]
fn nesting_within_the_limit_is_read() {
    let mut inner = Vec::new();
    for _ in 0..limits::MAX_DEPTH {
        let end = [inner, item(0xE00D, 0, b"")].concat();
        let items = [item(0xE000, UNDEFINED, &end), item(0xE0DD, 0, b"")].concat();
        inner = long(0x0040, 0xA730, b"SQ", UNDEFINED, &items);
    }
    let scan = read(&[filed(), inner].concat());
    assert_eq!(scan.elements, 4 + limits::MAX_DEPTH as u64);
}

#[test]
fn a_cut_anywhere_is_refused_or_ends_between_elements() {
    let whole = [
        filed(),
        long(
            0x0040,
            0x0275,
            b"SQ",
            18,
            &item(0xE000, 10, &short(0x0040, 0x0009, b"SH", b"ab")),
        ),
        long(0x7FE0, 0x0010, b"OW", 8, &[7; 8]),
    ]
    .concat();
    let complete = read(&whole);
    let boundaries = [filed().len(), filed().len() + 30, whole.len()];
    for end in filed().len()..=whole.len() {
        let result = scan(&whole[..end], EXPLICIT, &ScanOptions::default());
        assert_eq!(result.is_ok(), boundaries.contains(&end), "cut at {end}");
    }
    assert_eq!(complete.pixels.unwrap().frame(0), None);
    let at = filed().len() as u64 + 30;
    let place = Place::PixelData;
    assert_eq!(
        refused(&whole[..whole.len() - 1]),
        Refusal::Truncated { place, at }
    );
}

#[test]
fn an_item_longer_than_its_sequence_is_refused() {
    let element = short(0x0040, 0x0009, b"SH", b"ab");
    let bad = long(0x0040, 0x0275, b"SQ", 18, &item(0xE000, 12, &element));
    let after = short(0x0040, 0x1001, b"SH", b"ab");
    let bytes = [filed(), bad, after].concat();
    assert!(matches!(
        refused(&bytes),
        Refusal::Broken {
            tag: 0xFFFE_E000,
            ..
        }
    ));
}

#[test]
fn missing_and_unusable_uids_are_refused() {
    let bytes = short(0x0008, 0x0016, b"UI", b"1.2\0");
    assert_eq!(refused(&bytes), Refusal::MissingUid { tag: 0x0008_0018 });
    let evil = [bytes, short(0x0008, 0x0018, b"UI", b"../../etc\0"), filed()].concat();
    assert_eq!(refused(&evil), Refusal::UnusableUid { tag: 0x0008_0018 });
}

#[test]
fn trailing_bytes_are_stored_and_flagged() {
    let pixels = long(0x7FE0, 0x0010, b"OW", 2, &[1, 2]);
    for tail in [&[0_u8; 512][..], &[1, 2, 3], b"trailing garbage after all"] {
        let bytes = [&filed(), &pixels, tail].concat();
        let count = tail.len() as u64;
        let flags = read(&bytes).flags;
        assert!(flags.contains(&Flag::TrailingBytes { count }), "{flags:?}");
    }
}

#[test]
fn a_group_length_of_group_0_in_front_is_stored_and_flagged() {
    // dcmtk's storescu writes one when it sends a file with trailing zeros.
    let mut bytes = short(0x0000, 0x0000, b"UL", &[0; 4]);
    bytes.extend(filed());
    assert!(
        read(&bytes)
            .flags
            .contains(&Flag::ForbiddenGroup { tag: 0 })
    );
}

#[test]
fn surplus_pixels_and_missing_attributes_are_flagged() {
    let bytes = [
        filed(),
        short(0x0028, 0x0002, b"US", &[1, 0]),
        short(0x0028, 0x0010, b"US", &[2, 0]),
        short(0x0028, 0x0011, b"US", &[2, 0]),
        short(0x0028, 0x0100, b"US", &[8, 0]),
        long(0x7FE0, 0x0010, b"OB", 10, &[7; 10]),
    ]
    .concat();
    let scan = read(&bytes);
    assert!(scan.flags.contains(&Flag::PixelSurplus { bytes: 6 }));
    assert!(scan.flags.contains(&Flag::Missing { tag: 0x0010_0010 }));
    let offset = bytes.len() as u64 - 10;
    assert_eq!(scan.pixels.unwrap().frame(0), Some(vec![(offset, 4)]));
    assert_eq!(scan.bulk[0].path, "7FE00010");
}

#[test]
fn encapsulated_frames_are_found_by_the_offset_table() {
    let fragments = [
        item(0xE000, 8, &[0, 0, 0, 0, 20, 0, 0, 0]),
        item(0xE000, 2, &[1, 1]),
        item(0xE000, 2, &[2, 2]),
        item(0xE000, 4, &[3; 4]),
        item(0xE0DD, 0, b""),
    ]
    .concat();
    let head = [filed(), short(0x0028, 0x0008, b"IS", b"2 ")].concat();
    let bytes = [
        head.clone(),
        long(0x7FE0, 0x0010, b"OB", UNDEFINED, &fragments),
    ]
    .concat();
    let layout = read(&bytes).pixels.unwrap();
    let base = head.len() as u64 + 12 + 16;
    assert_eq!(layout.frame(0), Some(vec![(base + 8, 2), (base + 18, 2)]));
    assert_eq!(layout.frame(1), Some(vec![(base + 28, 4)]));
    assert!(matches!(layout, PixelLayout::Encapsulated { .. }));
}

#[test]
fn unknown_vr_of_undefined_length_is_an_implicit_sequence() {
    let inner = [0x40, 0, 9, 0, 2, 0, 0, 0, b'a', b'b'];
    let items = [
        item(0xE000, UNDEFINED, &inner),
        item(0xE00D, 0, b""),
        item(0xE0DD, 0, b""),
    ]
    .concat();
    let bytes = [filed(), long(0x0040, 0x0275, b"UN", UNDEFINED, &items)].concat();
    let expected = json!([{"00400009": {"vr": "SH", "Value": ["ab"]}}]);
    assert_eq!(model(&read(&bytes))["00400275"]["Value"], expected);
}

#[test]
fn numbers_that_are_none_stay_text() {
    let values = b"1.50\\+2\\.5\\1e999\\x\\\\-0 ";
    let bytes = [filed(), short(0x0028, 0x0030, b"DS", values)].concat();
    let scan = read(&bytes);
    let expected = json!([1.5, 2.0, 0.5, "1e999", "x", null, -0.0]);
    assert_eq!(model(&scan)["00280030"]["Value"], expected);
    assert!(
        scan.flags
            .contains(&Flag::InvalidNumber { tag: 0x0028_0030 })
    );
}

#[test]
fn floats_that_are_not_finite_become_strings() {
    let mut value = f32::NAN.to_le_bytes().to_vec();
    value.extend(f32::NEG_INFINITY.to_le_bytes());
    value.extend(0.1_f32.to_le_bytes());
    let bytes = [filed(), short(0x0028, 0x9444, b"FL", &value)].concat();
    let expected = json!(["NaN", "-inf", 0.1]);
    assert_eq!(model(&read(&bytes))["00289444"]["Value"], expected);
}

#[test]
fn text_without_a_declared_set_uses_the_device_fallback() {
    let bytes = [
        short(0x0008, 0x0016, b"UI", b"1.2\0"),
        short(0x0008, 0x1030, b"LO", b"caf\xE9"),
        filed(),
    ]
    .concat();
    let options = ScanOptions {
        fallback_charset: CharacterSet::parse("ISO_IR 100"),
        ..ScanOptions::default()
    };
    let scan = scan(bytes.as_slice(), EXPLICIT, &options).unwrap();
    assert_eq!(scan.identity.study_description, "café");
    assert!(
        scan.flags
            .contains(&Flag::UndeclaredCharacterSet { tag: 0x0008_1030 })
    );
}

#[test]
fn undecodable_text_is_flagged_and_still_utf8() {
    let bytes = [
        short(0x0008, 0x0005, b"CS", b"ISO_IR 192"),
        filed(),
        short(0x0040, 0x0254, b"LO", b"a\xFF"),
    ]
    .concat();
    let scan = read(&bytes);
    assert!(
        scan.flags
            .contains(&Flag::UndecodableText { tag: 0x0040_0254 })
    );
    assert_eq!(model(&scan)["00400254"]["Value"][0], "a\u{FFFD}");
}

#[test]
fn deflated_data_sets_are_inflated_within_the_limit() {
    use std::io::Write;
    let plain = [filed(), long(0x7FE0, 0x0010, b"OB", 100_000, &[7; 100_000])].concat();
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&plain).unwrap();
    let packed = encoder.finish().unwrap();
    let whole = scan(packed.as_slice(), DEFLATED, &ScanOptions::default()).unwrap();
    assert!(whole.inflated);
    let inflated = Inflated::open(packed.as_slice(), 1 << 20).unwrap();
    let mut value = [0; 4];
    for offset in [whole.bulk[0].offset, 0, 8] {
        inflated.read_at(offset, &mut value).unwrap();
        let start = usize::try_from(offset).unwrap();
        assert_eq!(value, plain[start..start + 4]);
    }
    let options = ScanOptions {
        max_inflated: 50_000,
        ..ScanOptions::default()
    };
    let error = scan(packed.as_slice(), DEFLATED, &options).unwrap_err();
    let what = Limit::Inflated;
    assert_eq!(error.refusal(), Some(Refusal::OverLimit { what }));
    let cut = &packed[..packed.len() - 8];
    let error = scan(cut, DEFLATED, &ScanOptions::default()).unwrap_err();
    assert!(matches!(error.refusal(), Some(Refusal::Truncated { .. })));
}

#[test]
fn bulk_data_inside_items_has_a_path_that_can_be_prefixed() {
    let icon = long(0x7FE0, 0x0010, b"OW", 4, &[7; 4]);
    let items = item(0xE000, u32::try_from(icon.len()).unwrap(), &icon);
    let length = u32::try_from(items.len()).unwrap();
    let bytes = [filed(), long(0x0088, 0x0200, b"SQ", length, &items)].concat();
    let scan = read(&bytes);
    assert_eq!(scan.bulk[0].path, "00880200/0/7FE00010");
    assert_eq!(scan.pixels, None);
    let mut json = Vec::new();
    with_bulk_addresses(&scan.json, "/studies/1/bulk/", "", &mut json);
    let value: Value = serde_json::from_slice(&json).unwrap();
    let uri = &value["00880200"]["Value"][0]["7FE00010"]["BulkDataURI"];
    assert_eq!(uri, "/studies/1/bulk/00880200/0/7FE00010");
}

/// A header, then nothing but zeros: bytes that no memory holds.
struct Huge {
    head: Vec<u8>,
    length: u64,
}

impl ByteSource for Huge {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - offset).unwrap();
        let count = buf.len().min(left);
        buf[..count].fill(0);
        self.head.read_at(offset, buf)?;
        Ok(count)
    }
}

#[test]
fn an_instance_of_nearly_four_gigabytes_is_walked_in_place() {
    let pixels = 3_900_000_000;
    let head = [filed(), long(0x7FE0, 0x0010, b"OW", pixels, b"")].concat();
    let length = head.len() as u64 + u64::from(pixels);
    let scan = scan(&Huge { head, length }, EXPLICIT, &ScanOptions::default()).unwrap();
    assert_eq!(scan.bulk[0].length, u64::from(pixels));
}
