//! DICOM JSON (PS3.18 annex F) as far as answers need it: setting attributes
//! and choosing those that a query asked for.

use dicom_core::Tag;
use serde_json::{Map, Value};

use crate::query::{Include, Path};

/// A data set as DICOM JSON.
pub type DataSet = Map<String, Value>;

/// Retrieve URL (0008,1190).
pub const RETRIEVE_URL: &str = "00081190";

/// The key of an attribute: eight upper-case hexadecimal digits.
#[must_use]
pub fn key(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}

/// Sets an attribute. Without values it is present and empty (PS3.18 §F.2.5).
pub fn set(data: &mut DataSet, key: &str, vr: &str, values: impl IntoIterator<Item = Value>) {
    let values: Vec<Value> = values.into_iter().collect();
    let mut element = Map::new();
    element.insert("vr".to_owned(), Value::from(vr));
    if !values.is_empty() {
        element.insert("Value".to_owned(), Value::Array(values));
    }
    data.insert(key.to_owned(), Value::Object(element));
}

/// Sets an attribute of one text; absent or empty text leaves it empty.
pub fn set_text(data: &mut DataSet, key: &str, vr: &str, text: Option<&str>) {
    let text = text.filter(|text| !text.is_empty());
    set(data, key, vr, text.map(Value::from));
}

/// Sets an attribute of one number.
pub fn set_number(data: &mut DataSet, key: &str, vr: &str, number: Option<impl Into<Value>>) {
    set(data, key, vr, number.map(Into::into));
}

/// Sets a person name, whose component groups are separated by `=`
/// (PS3.18 §F.2.2).
pub fn set_name(data: &mut DataSet, key: &str, name: Option<&str>) {
    let mut groups = Map::new();
    let names = ["Alphabetic", "Ideographic", "Phonetic"];
    for (group, text) in names.iter().zip(name.unwrap_or_default().split('=')) {
        if !text.is_empty() {
            groups.insert((*group).to_owned(), Value::from(text));
        }
    }
    let value = (!groups.is_empty()).then_some(Value::Object(groups));
    set(data, key, "PN", value);
}

/// Copies from `from` what `include` asks for and `into` has not yet. With
/// `all`, that is everything except bulk data, which has no place in an answer
/// to a query.
pub fn include(into: &mut DataSet, from: &DataSet, include: &Include) {
    if include.all {
        for (key, element) in from {
            if element.get("BulkDataURI").is_none() && !into.contains_key(key) {
                into.insert(key.clone(), element.clone());
            }
        }
    }
    for path in &include.attributes {
        copy(into, from, path);
    }
}

/// An attribute in a sequence brings the whole sequence: its item must be told
/// apart from its neighbours.
fn copy(into: &mut DataSet, from: &DataSet, path: &Path) {
    let Some(key) = path.first().map(key) else {
        return;
    };
    if into.contains_key(&key) {
        return;
    }
    if let Some(element) = from.get(&key) {
        into.insert(key, element.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> DataSet {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_name_is_split_into_its_groups() {
        let mut data = DataSet::new();
        set_name(&mut data, "00100010", Some("Yamada^Tarou=山田^太郎="));
        assert_eq!(
            data["00100010"],
            json!({"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]})
        );
        set_name(&mut data, "00100010", None);
        assert_eq!(data["00100010"], json!({"vr": "PN"}));
    }

    #[test]
    fn only_what_was_asked_for_is_included() {
        let from = object(json!({
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00104000": {"vr": "LT", "Value": ["x"]},
            "7FE00010": {"vr": "OW", "BulkDataURI": "u"},
        }));
        let mut into = DataSet::new();
        let mut wanted = Include {
            all: false,
            attributes: vec![Path(vec![Tag(0x0010, 0x4000)])],
        };
        include(&mut into, &from, &wanted);
        assert_eq!(into.keys().collect::<Vec<_>>(), ["00104000"]);
        wanted.all = true;
        include(&mut into, &from, &wanted);
        assert_eq!(into.len(), 2);
    }
}
