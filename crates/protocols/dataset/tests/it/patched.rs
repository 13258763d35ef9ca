//! Corrected data sets, read by pydicom and by dciodvfy: what was corrected is
//! so, what it was stands in the Original Attributes Sequence, and everything
//! else is what it was.

use std::path::{Path, PathBuf};
use std::process::Command;

use hilum_dataset::patch::{self, Change, Correction, patch};
use hilum_dataset::{Encoding, Inflated, ScanOptions, part10, scan, scan_file};
use serde_json::Value;

use super::{filed, item, long, short};

const LITTLE: &str = "1.2.840.10008.1.2.1";

fn change(tag: u32, value: &str) -> Change {
    Change::new(tag, Some(value.to_owned())).unwrap()
}

fn removal(tag: u32) -> Change {
    Change::new(tag, None).unwrap()
}

fn correction(changes: Vec<Change>) -> Correction {
    Correction {
        at: "20261121071000.000000+0000".into(),
        system: "HILUM".into(),
        source: "SCANNER".into(),
        changes,
    }
}

/// ASCII first, then a name that few character sets hold.
fn corrections() -> Vec<Correction> {
    vec![
        correction(vec![
            change(0x0010_0020, "CORRECTED-1"),
            change(0x0010_0010, "Doe^Jane"),
            removal(0x0010_1000),
            removal(0x0040_0275),
        ]),
        correction(vec![
            change(0x0010_0010, "Müller^Jürgen=山田^太郎"),
            change(0x0008_1030, "Schädel"),
        ]),
    ]
}

fn python(script: &str, argument: &Path) -> std::process::Output {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let python = std::env::var_os("HILUM_TEST_PYTHON").map_or_else(
        || PathBuf::from(root).join(".cache/venv/bin/python"),
        PathBuf::from,
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(script);
    Command::new(&python)
        .arg(script)
        .arg(argument)
        .output()
        .expect("Python with pydicom is missing: run `make test-deps`")
}

/// pydicom's test files that can be filed, with their bytes.
fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let listed = python("reference.py", Path::new(""));
    assert!(listed.status.success(), "run `make test-deps`");
    let lines = String::from_utf8(listed.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["json"].is_object())
        .map(|line| PathBuf::from(line["path"].as_str().unwrap()))
        .filter_map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            scan_file(&bytes, &ScanOptions::default()).ok()?;
            Some((path, bytes))
        })
        .collect()
}

/// The head of the file and its data set, with `corrections`.
fn corrected(bytes: &[u8], corrections: &[Correction]) -> Option<(Vec<u8>, Vec<u8>, String)> {
    let file = part10::split(&bytes).unwrap();
    let (head, data) = bytes.split_at(usize::try_from(file.data_set_offset).unwrap());
    let syntax = file.transfer_syntax_uid;
    if hilum_dataset::is_deflated(&syntax) {
        return None;
    }
    let patched = patch(data, Encoding::of(&syntax), corrections, None).unwrap();
    let out = patched.collect(data).unwrap();
    assert_eq!(out.len() as u64, patched.length);
    Some((head.to_vec(), out, syntax))
}

#[test]
fn pydicom_reads_every_corrected_file_with_only_the_corrections_changed() {
    let dir = tempfile::tempdir().unwrap();
    for (count, corrections) in [(1, &corrections()[..1]), (2, &corrections()[..])] {
        let folder = dir.path().join(count.to_string());
        std::fs::create_dir(&folder).unwrap();
        for (index, (path, bytes)) in corpus().into_iter().enumerate() {
            let Some((head, data, _)) = corrected(&bytes, corrections) else {
                continue;
            };
            std::fs::write(folder.join(format!("{index}.dcm")), [head, data].concat()).unwrap();
            std::fs::write(folder.join(format!("{index}.from")), path.to_str().unwrap()).unwrap();
        }
    }
    let output = python("patched.py", dir.path());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn the_json_is_corrected_as_the_data_set_is() {
    let mut compared = 0;
    for (path, bytes) in corpus() {
        let Some((_, data, syntax)) = corrected(&bytes, &corrections()) else {
            continue;
        };
        let (_, before) = scan_file(&bytes, &ScanOptions::default()).unwrap();
        let after = scan(&data[..], &syntax, &ScanOptions::default()).unwrap();
        let mut ours: Value =
            serde_json::from_slice(&patch::json(&before.json, &corrections()).unwrap()).unwrap();
        let mut theirs: Value = serde_json::from_slice(&after.json).unwrap();
        for document in [&mut ours, &mut theirs] {
            let document = document.as_object_mut().unwrap();
            // The JSON is UTF-8 whether it says so or not.
            document.remove("00080005");
            // Where bulk data is told by an address, that of the received one.
            let text = serde_json::to_string(&document["04000561"]).unwrap();
            if text.contains("BulkDataURI") {
                document.remove("04000561");
            }
        }
        assert!(ours == theirs, "{}", path.display());
        compared += 1;
    }
    assert!(compared > 100, "only {compared}");
}

#[test]
fn a_valid_image_stays_valid_for_dciodvfy() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let original = PathBuf::from(root).join("samples/mr-brain/brain_011.dcm");
    let bytes = std::fs::read(&original).unwrap();
    let (head, data, _) = corrected(&bytes, &corrections()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("corrected.dcm");
    std::fs::write(&path, [head, data].concat()).unwrap();
    let errors = |path: &Path| -> Vec<String> {
        let output = Command::new("dciodvfy").arg(path).output();
        let output = output.expect("dciodvfy is missing: run `make test-deps`");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let wrong = |line: &&str| line.starts_with("Error");
        text.lines().filter(wrong).map(str::to_owned).collect()
    };
    assert_eq!(errors(&path), errors(&original));
}

fn with_patient(charset: &[u8], name: &[u8]) -> Vec<u8> {
    let mut bytes = short(0x0008, 0x0005, b"CS", charset);
    bytes.extend(short(0x0010, 0x0010, b"PN", name));
    bytes.extend(short(0x0020, 0x000D, b"UI", b"1.2\0"));
    bytes
}

fn name_after(bytes: &[u8], value: &str) -> Vec<u8> {
    let corrections = [correction(vec![change(0x0010_0010, value)])];
    let patched = patch(bytes, Encoding::ExplicitLittle, &corrections, None).unwrap();
    patched.collect(bytes).unwrap()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_declared_character_set_is_kept_where_it_holds_the_new_value() {
    let latin = with_patient(b"ISO_IR 100", b"M\xFCller");
    let out = name_after(&latin, "Schröder");
    assert!(contains(&out, b"ISO_IR 100"), "kept");
    assert!(contains(&out, b"Schr\xF6der"), "Latin-1");
    assert!(contains(&out, b"M\xFCller"), "as it was");
    let out = name_after(&latin, "山田");
    assert!(contains(&out, b"ISO_IR 192") && !contains(&out, b"ISO_IR 100"));
    assert!(contains(&out, "Müller".as_bytes()), "in UTF-8");
}

#[test]
fn what_is_the_same_already_leaves_no_trace() {
    let bytes = with_patient(b"ISO_IR 100", b"M\xFCller");
    assert_eq!(name_after(&bytes, "Müller"), bytes);
}

#[test]
fn a_second_copy_of_a_corrected_attribute_goes() {
    let mut bytes = with_patient(b"ISO_IR 100", b"Old^Name");
    bytes.extend(short(0x0010, 0x0010, b"PN", b"Old^Twin"));
    let out = name_after(&bytes, "New^Name");
    assert!(contains(&out, b"Old^Name"), "in the sequence");
    assert!(!contains(&out, b"Old^Twin"));
}

#[test]
fn items_keep_their_own_character_set_until_all_is_utf_8() {
    let inner = [
        short(0x0008, 0x0005, b"CS", b"ISO_IR 144"),
        short(0x0008, 0x0104, b"LO", b"\xBF\xE0\xD8\xD2"),
    ]
    .concat();
    let length = u32::try_from(inner.len()).unwrap();
    let items = item(0xE000, length, &inner);
    let length = u32::try_from(items.len()).unwrap();
    let mut bytes = with_patient(b"ISO_IR 100", b"M\xFCller");
    bytes.extend(long(0x0040, 0x0260, b"SQ", length, &items));
    let out = name_after(&bytes, "山田");
    assert!(contains(&out, "Прив".as_bytes()));
}

#[test]
fn a_deflated_data_set_is_corrected_inflated() {
    use std::io::Write as _;
    let plain = filed();
    let mut deflater =
        flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflater.write_all(&plain).unwrap();
    let deflated = deflater.finish().unwrap();
    let source = Inflated::open(&deflated[..], 1 << 20).unwrap();
    let corrections = [correction(vec![change(0x0010_0020, "P1")])];
    let patched = patch(&source, Encoding::ExplicitLittle, &corrections, None).unwrap();
    let out = patched.collect(&source).unwrap();
    let found = scan(&out[..], LITTLE, &ScanOptions::default()).unwrap();
    assert_eq!(found.identity.patient_id, "P1");
}

#[test]
fn corrections_add_to_original_attributes_that_were_there() {
    let once = name_after(&with_patient(b"ISO_IR 100", b"First"), "Second");
    let twice = name_after(&once, "Third");
    for name in [&b"First"[..], b"Second", b"Third"] {
        assert!(contains(&twice, name));
    }
    let sequences = twice
        .windows(4)
        .filter(|window| *window == [0x00, 0x04, 0x61, 0x05])
        .count();
    assert_eq!(sequences, 1);
}
