//! The same corrections on the DICOM JSON (PS3.18 annex F) of a data set, as
//! the scan wrote it. Bulk data keeps its addresses: they tell where it is in
//! the received data set.

use std::collections::BTreeMap;

use dicom_core::VR;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::change::Correction;
use super::plan::{ORIGINAL_ATTRIBUTES, State, replay};

/// Attributes by key, in order; what is not corrected is not read.
type Document = BTreeMap<String, Box<RawValue>>;

/// `metadata` after `corrections`; `None` when it is no JSON object.
#[must_use]
pub fn json(metadata: &[u8], corrections: &[Correction]) -> Option<Vec<u8>> {
    let mut document: Document = serde_json::from_slice(metadata).ok()?;
    let (after, items) = replay(corrections, |tag| {
        let attribute = document.get(&key(tag))?;
        Some(
            serde_json::from_str(attribute.get())
                .ok()
                .as_ref()
                .and_then(text_of),
        )
    });
    let mut originals: Vec<Box<RawValue>> = Vec::new();
    for item in &items {
        let mut before = Document::new();
        for (tag, (vr, state)) in &item.before {
            let was = match state {
                State::Source => document.get(&key(*tag))?.clone(),
                State::Given(vr, text) => to_raw_value(&attribute(*vr, text)).ok()?,
                State::Absent => to_raw_value(&attribute(*vr, "")).ok()?,
            };
            before.insert(key(*tag), was);
        }
        originals.push(original(&before, item.correction)?);
    }
    for (tag, state) in after {
        match state {
            State::Given(vr, text) => {
                let given = to_raw_value(&attribute(vr, &text)).ok()?;
                document.insert(key(tag), given)
            }
            State::Absent | State::Source => document.remove(&key(tag)),
        };
    }
    if !originals.is_empty() {
        let mut items: Vec<Box<RawValue>> = Vec::new();
        if let Some(sequence) = document.get(&key(ORIGINAL_ATTRIBUTES)) {
            let earlier: Sequence = serde_json::from_str(sequence.get()).ok()?;
            items.extend(earlier.value);
        }
        items.append(&mut originals);
        let sequence = Sequence {
            vr: "SQ".to_owned(),
            value: items,
        };
        document.insert(key(ORIGINAL_ATTRIBUTES), to_raw_value(&sequence).ok()?);
    }
    serde_json::to_vec(&document).ok()
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Sequence {
    vr: String,
    #[serde(rename = "Value", default)]
    value: Vec<Box<RawValue>>,
}

/// An item of the Original Attributes Sequence.
fn original(before: &Document, of: &Correction) -> Option<Box<RawValue>> {
    let modified = Sequence {
        vr: "SQ".to_owned(),
        value: vec![to_raw_value(before).ok()?],
    };
    let mut item = Document::new();
    item.insert(key(0x0400_0550), to_raw_value(&modified).ok()?);
    for (tag, vr, text) in [
        (0x0400_0562, VR::DT, of.at.as_str()),
        (0x0400_0563, VR::LO, of.system.as_str()),
        (0x0400_0564, VR::LO, of.source.as_str()),
        (0x0400_0565, VR::CS, "CORRECT"),
    ] {
        item.insert(key(tag), to_raw_value(&attribute(vr, text)).ok()?);
    }
    to_raw_value(&item).ok()
}

fn key(tag: u32) -> String {
    format!("{tag:08X}")
}

/// The text of an attribute in DICOM JSON (PS3.18 annex F), values separated
/// by backslashes; `None` where it has no text.
#[must_use]
pub fn text_of(attribute: &Value) -> Option<String> {
    let Some(values) = attribute.get("Value").and_then(Value::as_array) else {
        return attribute.get("BulkDataURI").is_none().then(String::new);
    };
    let one = |value: &Value| match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(name) => {
            let group = |label| name.get(label).and_then(Value::as_str).unwrap_or_default();
            let labels = ["Alphabetic", "Ideographic", "Phonetic"];
            let text = labels.map(group).join("=");
            Some(text.trim_end_matches('=').to_owned())
        }
        Value::Bool(_) | Value::Array(_) => None,
    };
    let texts: Option<Vec<String>> = values.iter().map(one).collect();
    texts.map(|texts| texts.join("\\"))
}

fn attribute(vr: VR, text: &str) -> Value {
    let name = vr.to_string();
    if text.is_empty() {
        return json!({ "vr": name });
    }
    let value = match vr {
        VR::PN => {
            let labels = ["Alphabetic", "Ideographic", "Phonetic"];
            let groups: Map<String, Value> = labels
                .into_iter()
                .zip(text.splitn(3, '='))
                .filter(|(_, group)| !group.is_empty())
                .map(|(label, group)| (label.to_owned(), group.into()))
                .collect();
            Value::Object(groups)
        }
        VR::IS => text.parse::<i64>().map_or(text.into(), Value::from),
        VR::DS => text.parse::<f64>().map_or(text.into(), Value::from),
        _ => text.into(),
    };
    json!({ "vr": name, "Value": [value] })
}
