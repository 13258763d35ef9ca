//! Data elements in Explicit VR Little Endian, from DICOM JSON (PS3.18 Annex F).

use serde_json::{Map, Value};

/// Items in items deeper than this are left out: no key of a directory record
/// comes near it, and hostile input may.
const DEPTH_MAX: usize = 16;

/// An element of any value; too long for its VR, it is written empty.
pub(crate) fn element(out: &mut Vec<u8>, tag: u32, vr: &str, value: &[u8]) {
    let padding = if vr == "UI" || !is_text(vr) { 0 } else { b' ' };
    let padded = value.len() + value.len() % 2;
    let (group, number) = ((tag >> 16) as u16, (tag & 0xFFFF) as u16);
    out.extend_from_slice(&group.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(vr.as_bytes());
    let fits = if has_long_length(vr) {
        out.extend_from_slice(&[0, 0]);
        let length = u32::try_from(padded)
            .ok()
            .filter(|length| *length < u32::MAX);
        out.extend_from_slice(&length.unwrap_or(0).to_le_bytes());
        length.is_some()
    } else {
        let length = u16::try_from(padded).ok();
        out.extend_from_slice(&length.unwrap_or(0).to_le_bytes());
        length.is_some()
    };
    if fits {
        out.extend_from_slice(value);
        out.resize(out.len() + value.len() % 2, padding);
    }
}

/// The value of an element of DICOM JSON; `None` when it is absent, empty, or
/// of a form that its VR does not have.
pub(crate) fn value(element: Option<&Value>, vr: &str, depth: usize) -> Option<Vec<u8>> {
    let values = element?.get("Value")?.as_array()?;
    let bytes = match vr {
        "SQ" => items(values, depth)?,
        "US" => numbers(values, |number| {
            Some(u16::try_from(number).ok()?.to_le_bytes().to_vec())
        })?,
        "UL" => numbers(values, |number| {
            Some(u32::try_from(number).ok()?.to_le_bytes().to_vec())
        })?,
        _ if is_text(vr) => {
            let texts: Vec<String> = values.iter().map(text).collect();
            texts.join("\\").trim_end().as_bytes().to_vec()
        }
        _ => return None,
    };
    (!bytes.is_empty()).then_some(bytes)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        // A person's name by its groups (PS3.18 §F.2.2).
        Value::Object(groups) => {
            let group = |name| groups.get(name).and_then(Value::as_str).unwrap_or_default();
            let all = ["Alphabetic", "Ideographic", "Phonetic"].map(group);
            all.join("=").trim_end_matches('=').to_owned()
        }
        _ => String::new(),
    }
}

fn numbers(values: &[Value], bytes: impl Fn(u64) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let all: Option<Vec<Vec<u8>>> = values.iter().map(|value| bytes(value.as_u64()?)).collect();
    all.map(|all| all.concat())
}

fn items(values: &[Value], depth: usize) -> Option<Vec<u8>> {
    if depth >= DEPTH_MAX {
        return None;
    }
    let mut out = Vec::new();
    for item in values {
        item_of(&mut out, &data_set(item.as_object()?, depth + 1))?;
    }
    Some(out)
}

/// An item of known length (PS3.5 §7.5.1).
pub(crate) fn item_of(out: &mut Vec<u8>, content: &[u8]) -> Option<()> {
    out.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0]);
    out.extend_from_slice(&u32::try_from(content.len()).ok()?.to_le_bytes());
    out.extend_from_slice(content);
    Some(())
}

fn data_set(object: &Map<String, Value>, depth: usize) -> Vec<u8> {
    let mut tags: Vec<(u32, &Value)> = object
        .iter()
        .filter_map(|(tag, element)| Some((u32::from_str_radix(tag, 16).ok()?, element)))
        .collect();
    tags.sort_by_key(|(tag, _)| *tag);
    let mut out = Vec::new();
    for (tag, found) in tags {
        // The record says once which set its text is of.
        if tag == 0x0008_0005 {
            continue;
        }
        let vr = found.get("vr").and_then(Value::as_str).unwrap_or_default();
        if let Some(value) = value(Some(found), vr, depth) {
            element(&mut out, tag, vr, &value);
        }
    }
    out
}

fn is_text(vr: &str) -> bool {
    matches!(
        vr,
        "AE" | "AS"
            | "CS"
            | "DA"
            | "DS"
            | "DT"
            | "IS"
            | "LO"
            | "LT"
            | "PN"
            | "SH"
            | "ST"
            | "TM"
            | "UC"
            | "UI"
            | "UR"
            | "UT"
    )
}

fn has_long_length(vr: &str) -> bool {
    matches!(vr, "SQ" | "UC" | "UR" | "UT" | "OB")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encoded(tag: u32, vr: &str, json: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        element(
            &mut out,
            tag,
            vr,
            &value(Some(json), vr, 0).unwrap_or_default(),
        );
        out
    }

    #[test]
    fn values_are_padded_as_their_vr_says() {
        let uid = encoded(0x0020_000D, "UI", &json!({ "Value": ["1.2"] }));
        assert_eq!(uid, b"\x20\x00\x0D\x00UI\x04\x001.2\0");
        let number = encoded(0x0020_0013, "IS", &json!({ "Value": [7] }));
        assert_eq!(number, b"\x20\x00\x13\x00IS\x02\x007 ");
        let name = json!({ "Value": [{ "Alphabetic": "Doe^J", "Phonetic": "d" }] });
        assert_eq!(
            encoded(0x0010_0010, "PN", &name),
            b"\x10\x00\x10\x00PN\x08\x00Doe^J==d"
        );
    }

    #[test]
    fn what_is_no_value_of_its_vr_is_none() {
        for (vr, json) in [
            ("US", json!({ "Value": [70_000] })),
            ("US", json!({ "Value": ["x"] })),
            ("SQ", json!({ "Value": [1] })),
            ("LO", json!({ "Value": [null] })),
            ("OB", json!({ "InlineBinary": "AA==" })),
            ("LO", json!({})),
        ] {
            assert_eq!(value(Some(&json), vr, 0), None, "{vr} {json}");
        }
    }

    #[test]
    fn items_without_end_are_left_out() {
        let mut json = json!({ "Value": [] });
        for _ in 0..100 {
            json = json!({ "Value": [{ "0040A730": { "vr": "SQ", "Value": json["Value"] } }] });
        }
        let bytes = value(Some(&json), "SQ", 0).unwrap();
        assert!(bytes.len() < 1_000, "{}", bytes.len());
    }
}
