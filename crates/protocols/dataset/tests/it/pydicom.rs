//! Every file of pydicom's test set, read by both: the metadata must be equal
//! but for the exceptions listed here, character sets included.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use hilum_dataset::{FileSource, ScanOptions, scan_file};
use serde_json::{Map, Value};

fn reference() -> Vec<Value> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let python = std::env::var_os("HILUM_TEST_PYTHON").map_or_else(
        || PathBuf::from(root).join(".cache/venv/bin/python"),
        PathBuf::from,
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/reference.py");
    let output = Command::new(&python).arg(script).output();
    let output = output.expect("Python with pydicom is missing: run `make test-deps`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "run `make test-deps`: {errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Files without the UIDs to file them, broken on purpose, or no data set.
const REFUSED: [&str; 24] = [
    "DICOMDIR",
    "DICOMDIR-bigEnd",
    "DICOMDIR-empty.dcm",
    "DICOMDIR-implicit",
    "DICOMDIR-nooffset",
    "DICOMDIR-nopatient",
    "DICOMDIR-reordered",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "MR_truncated.dcm",
    "README",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "UN_sequence.dcm",
    "chrSQEncoding.dcm",
    "chrSQEncoding1.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
    "empty_charset_LEI.dcm",
    "meta_missing_tsyntax.dcm",
    "nested_priv_SQ.dcm",
    "no_meta.dcm",
    "no_meta_group_length.dcm",
    "priv_SQ.dcm",
    "rtplan_truncated.dcm",
];

#[test]
fn every_file_reads_as_pydicom_reads_it() {
    let mut refused = BTreeSet::new();
    let mut differences = Vec::new();
    let mut compared = 0;
    for line in reference() {
        let path = PathBuf::from(line["path"].as_str().unwrap());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let data = path.extension().is_none_or(|e| e == "dcm");
        let source = FileSource::new(File::open(&path).unwrap()).unwrap();
        let Ok((_, scan)) = scan_file(&source, &ScanOptions::default()) else {
            if data {
                refused.insert(name);
            }
            continue;
        };
        let ours: Value = serde_json::from_slice(&scan.json).unwrap();
        if let Some(theirs) = line["json"].as_object() {
            compare(&name, ours.as_object().unwrap(), theirs, &mut differences);
            compared += 1;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared > 200, "only {compared} files were compared");
    let expected: BTreeSet<_> = REFUSED.map(str::to_owned).into();
    assert_eq!(refused, expected);
}

fn compare(
    place: &str,
    ours: &Map<String, Value>,
    theirs: &Map<String, Value>,
    out: &mut Vec<String>,
) {
    for key in ours.keys().filter(|key| !theirs.contains_key(*key)) {
        out.push(format!("{place} {key}: only ours"));
    }
    for (key, theirs) in theirs {
        // Group lengths and padding are left out; the JSON is UTF-8; what
        // pydicom itself cannot express is null.
        let left_out = key.ends_with("0000") || key == "FFFCFFFC" || key == "00080005";
        if left_out || theirs.is_null() {
            continue;
        }
        let Some(ours) = ours.get(key) else {
            out.push(format!("{place} {key}: only pydicom's"));
            continue;
        };
        let private = u16::from_str_radix(&key[..4], 16).unwrap() % 2 == 1;
        if ours["vr"] != theirs["vr"] {
            // pydicom has a dictionary of private attributes, and calls
            // encapsulated pixels OB whatever the file says.
            if !(private && ours["vr"] == "UN") && key != "7FE00010" {
                out.push(format!(
                    "{place} {key}: VR {} and {}",
                    ours["vr"], theirs["vr"]
                ));
            }
            continue;
        }
        // pydicom has no bulk data here, and its inline OW of big endian is
        // not swapped (PS3.18 §F.2.7 wants little endian).
        let binary = ours.get("InlineBinary").is_some();
        let swapped = binary && ours["vr"] == "OW" && place.contains("_expb");
        if ours.get("BulkDataURI").is_some() || theirs.get("BulkDataURI").is_some() || swapped {
            continue;
        }
        if binary {
            if ours["InlineBinary"] != theirs["InlineBinary"] {
                out.push(format!("{place} {key}: binary differs"));
            }
            continue;
        }
        let none = Vec::new();
        let ours = ours["Value"].as_array().unwrap_or(&none);
        let theirs = theirs["Value"].as_array().unwrap_or(&none);
        if ours.len() != theirs.len() {
            out.push(format!("{place} {key}: {ours:?} and {theirs:?}"));
            continue;
        }
        for (index, (mine, other)) in ours.iter().zip(theirs).enumerate() {
            match (mine.as_object(), other.as_object()) {
                (Some(mine), Some(other))
                    if !mine.contains_key("Alphabetic")
                        && !other.contains_key("Alphabetic")
                        && mine.values().all(Value::is_object) =>
                {
                    compare(&format!("{place} {key}/{index}"), mine, other, out);
                }
                _ if !same(mine, other) => {
                    out.push(format!("{place} {key}: {mine} and {other}"));
                }
                _ => {}
            }
        }
    }
}

fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        // Ours is the shortest decimal of a single precision number.
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-6 * b.abs() || b.abs() < 1e-38
        }
        // Padding around values of LO and SH is not significant.
        (Value::String(a), Value::String(b)) => a.trim() == b.trim(),
        (Value::Null, Value::String(b)) => b.trim().is_empty(),
        _ => ours == theirs,
    }
}
