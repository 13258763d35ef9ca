//! Which stored Key Object Selections are rejection notes, and what they
//! reject (IHE RAD TF, Imaging Object Change Management). Read from the DICOM
//! JSON that intake makes anyway.

use std::collections::BTreeSet;

use dicom_dictionary_std::uids;
use hilum_archive::{Rejection, RejectionReason};
use serde_json::Value;

/// Items of content trees deeper than this are not looked at: a key object
/// selection is one level deep (PS3.3 A.35.4).
const DEPTH: usize = 8;

/// What an instance rejects; `None`: it is no rejection note.
pub(super) fn rejection(sop_class_uid: &str, json: &[u8]) -> Option<Rejection> {
    if sop_class_uid.trim_end_matches(['\0', ' ']) != uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE {
        return None;
    }
    let document: Value = serde_json::from_slice(json).ok()?;
    let title = items(&document, "0040A043").first()?;
    if text(title, "00080102")? != "DCM" {
        return None;
    }
    let reason = RejectionReason::of_code(text(title, "00080100")?)?;
    let mut named = BTreeSet::new();
    content(&document, DEPTH, &mut named);
    if named.is_empty() {
        evidence(&document, &mut named);
    }
    Some(Rejection {
        reason,
        instances: named.into_iter().collect(),
    })
}

/// What the content tree refers to: the Referenced SOP Sequence of its items.
fn content(item: &Value, depth: usize, named: &mut BTreeSet<String>) {
    for child in items(item, "0040A730") {
        references(child, named);
        if depth > 0 {
            content(child, depth - 1, named);
        }
    }
}

/// What the Current Requested Procedure Evidence Sequence lists.
fn evidence(document: &Value, named: &mut BTreeSet<String>) {
    for study in items(document, "0040A375") {
        for series in items(study, "00081115") {
            references(series, named);
        }
    }
}

fn references(item: &Value, named: &mut BTreeSet<String>) {
    for reference in items(item, "00081199") {
        if let Some(uid) = text(reference, "00081155") {
            named.insert(uid.to_owned());
        }
    }
}

fn items<'a>(of: &'a Value, tag: &str) -> &'a [Value] {
    of.get(tag)
        .and_then(|attribute| attribute.get("Value"))
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Value, tag: &str) -> Option<&'a str> {
    let value = items(of, tag).first()?.as_str()?;
    let value = value.trim_matches([' ', '\0']);
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KOS: &str = uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE;

    fn reference(uid: &str) -> Value {
        json!({"00081155": {"vr": "UI", "Value": [uid]}})
    }

    fn note(scheme: &str, code: &str) -> Value {
        json!({
            "0040A043": {"vr": "SQ", "Value": [{
                "00080100": {"vr": "SH", "Value": [code]},
                "00080102": {"vr": "SH", "Value": [scheme]}}]},
            "0040A375": {"vr": "SQ", "Value": [{"00081115": {"vr": "SQ", "Value": [
                {"00081199": {"vr": "SQ", "Value": [reference("1.1"), reference("1.2")]}}]}}]},
            "0040A730": {"vr": "SQ", "Value": [
                {"0040A040": {"vr": "CS", "Value": ["TEXT"]}},
                {"00081199": {"vr": "SQ", "Value": [reference("1.2")]}}]},
        })
    }

    fn judged(class: &str, document: &Value) -> Option<Rejection> {
        rejection(class, document.to_string().as_bytes())
    }

    #[test]
    fn a_note_rejects_what_its_content_tree_refers_to() {
        let found = judged(KOS, &note("DCM", "113037")).unwrap();
        assert_eq!(found.reason, RejectionReason::PatientSafety);
        assert_eq!(found.instances, ["1.2"]);
    }

    #[test]
    fn without_a_content_tree_it_rejects_its_evidence() {
        let mut document = note("DCM", "113001 ");
        document.as_object_mut().unwrap().remove("0040A730");
        assert_eq!(judged(KOS, &document).unwrap().instances, ["1.1", "1.2"]);
    }

    #[test]
    fn other_titles_schemes_and_classes_reject_nothing() {
        assert_eq!(judged(KOS, &note("DCM", "113000")), None);
        assert_eq!(judged(KOS, &note("99LOCAL", "113001")), None);
        assert_eq!(judged("1.2.3", &note("DCM", "113001")), None);
        assert_eq!(rejection(KOS, b"[]"), None);
        assert_eq!(rejection(KOS, b"{"), None);
    }
}
