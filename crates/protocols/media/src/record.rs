//! Directory records: keys of patients, studies, series and instances as they
//! are written (PS3.3 §F.3.2.2, §F.5).

use serde_json::{Map, Value, json};

use crate::encode::{element, value};
use crate::kind::{Key, Lack};

/// A date of which nobody believes that something was made then.
const NO_DATE: &str = "19000101";

/// The keys of a record, in Explicit VR Little Endian. Text is UTF-8, and says
/// so where it is not ASCII.
pub(crate) fn keys(keys: &[Key], metadata: &Map<String, Value>, ordinal: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, vr, lack) in keys {
        let Ok(tag) = u32::from_str_radix(name, 16) else {
            continue;
        };
        let found = metadata.get(*name);
        let concepts;
        let found = if *name == "0040A730" {
            concepts = found.and_then(concept_modifiers);
            concepts.as_ref()
        } else {
            found
        };
        match (value(found, vr, 0), lack) {
            (Some(value), _) => element(&mut out, tag, vr, &value),
            (None, Lack::LeaveOut) => {}
            (None, lack) => element(&mut out, tag, vr, &instead(*lack, metadata, ordinal)),
        }
    }
    if out.is_ascii() {
        return out;
    }
    let mut all = Vec::new();
    // Sorted: no key of a record comes before (0008,0005) but those of group
    // 0004.
    element(&mut all, 0x0008_0005, "CS", b"ISO_IR 192");
    all.extend_from_slice(&out);
    all
}

fn instead(lack: Lack, metadata: &Map<String, Value>, ordinal: u32) -> Vec<u8> {
    match lack {
        Lack::LeaveOut | Lack::Empty => Vec::new(),
        Lack::Date => {
            let study = value(metadata.get("00080020"), "DA", 0);
            study.unwrap_or_else(|| NO_DATE.into())
        }
        Lack::Modality => b"OT".to_vec(),
        Lack::Time => b"000000".to_vec(),
        Lack::Ordinal => ordinal.to_string().into_bytes(),
        Lack::Named => format!("NONE{ordinal}").into_bytes(),
    }
}

/// Of a document's content, a record holds what modifies its title (PS3.3
/// §F.5.24, §F.5.25).
fn concept_modifiers(content: &Value) -> Option<Value> {
    let items = content.get("Value")?.as_array()?;
    let modifiers: Vec<&Value> = items
        .iter()
        .filter(|item| {
            let relationship = item.pointer("/0040A010/Value/0");
            relationship.is_some_and(|found| found == "HAS CONCEPT MOD")
        })
        .collect();
    (!modifiers.is_empty()).then(|| json!({ "vr": "SQ", "Value": modifiers }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind;

    fn metadata(json: Value) -> Map<String, Value> {
        json.as_object().cloned().unwrap()
    }

    #[test]
    fn what_a_record_must_have_and_an_image_lacks_is_made_up_plainly() {
        let none = keys(kind::PATIENT, &Map::new(), 3);
        assert_eq!(none, b"\x10\0\x10\0PN\0\0\x10\0\x20\0LO\x06\0NONE3 ");
        let study = keys(kind::STUDY, &Map::new(), 2);
        assert!(study.starts_with(b"\x08\0\x20\0DA\x08\x0019000101"));
        assert!(study.ends_with(b"SH\x02\x002 "));
    }

    #[test]
    fn text_outside_ascii_is_declared() {
        let name = json!({ "00100010": { "vr": "PN", "Value": [{ "Alphabetic": "Mü" }] } });
        let record = keys(kind::PATIENT, &metadata(name), 1);
        assert!(record.starts_with(b"\x08\0\x05\0CS\x0A\0ISO_IR 192"));
    }

    #[test]
    fn of_a_document_only_concept_modifiers_are_listed() {
        let item = |kind: &str| json!({ "0040A010": { "vr": "CS", "Value": [kind] } });
        let document = json!({ "0040A730": { "vr": "SQ",
            "Value": [item("CONTAINS"), item("HAS CONCEPT MOD")] } });
        let record = keys(
            kind::of("1.2.840.10008.5.1.4.1.1.88.33").1,
            &metadata(document),
            1,
        );
        let found = |text: &[u8]| record.windows(text.len()).any(|part| part == text);
        assert!(found(b"HAS CONCEPT MOD") && !found(b"CONTAINS"));
    }
}
