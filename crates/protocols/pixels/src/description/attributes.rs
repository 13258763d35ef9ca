//! Reads attributes as what they mean, whatever VR they were given: implicit VR, UN and wrong VRs are
//! everyday input. It never fails: what cannot be read is absent.

use dicom_core::Tag;
use dicom_core::value::PrimitiveValue;
use dicom_object::InMemDicomObject;

fn primitive(data_set: &InMemDicomObject, tag: Tag) -> Option<&PrimitiveValue> {
    data_set.get(tag)?.value().primitive()
}

/// The first value as an integer.
pub(crate) fn integer(data_set: &InMemDicomObject, tag: Tag) -> Option<i64> {
    integers(data_set, tag).first().copied()
}

/// All values as integers, or none if one of them is not.
pub(crate) fn integers(data_set: &InMemDicomObject, tag: Tag) -> Vec<i64> {
    match primitive(data_set, tag) {
        // Undecoded bytes (UN, OB): the attributes read here are all 16 bit.
        Some(PrimitiveValue::U8(bytes)) => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| i64::from(u16::from_le_bytes(*pair)))
            .collect(),
        Some(value) => value.to_multi_int::<i64>().unwrap_or_default(),
        None => Vec::new(),
    }
}

/// The first value as a number.
pub(crate) fn float(data_set: &InMemDicomObject, tag: Tag) -> Option<f64> {
    floats(data_set, tag).first().copied()
}

/// All values as numbers; a value that is none becomes NaN, so that positions are kept.
pub(crate) fn floats(data_set: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    let Some(value) = primitive(data_set, tag) else {
        return Vec::new();
    };
    match value {
        PrimitiveValue::Str(_) | PrimitiveValue::Strs(_) => value
            .to_multi_str()
            .iter()
            .map(|text| text.trim_matches(padding).parse().unwrap_or(f64::NAN))
            .collect(),
        _ => value.to_multi_float64().unwrap_or_default(),
    }
}

/// The value as text without padding.
pub(crate) fn text(data_set: &InMemDicomObject, tag: Tag) -> Option<String> {
    Some(
        primitive(data_set, tag)?
            .to_str()
            .trim_matches(padding)
            .to_owned(),
    )
}

fn padding(character: char) -> bool {
    character == ' ' || character == '\0'
}

/// LUT data as it lies in the element: 16-bit words, or bytes where the VR hid the words.
pub(crate) enum Words {
    Words(Vec<u16>),
    Bytes(Vec<u8>),
}

pub(crate) fn unsigned_words(data_set: &InMemDicomObject, tag: Tag) -> Option<Words> {
    Some(match primitive(data_set, tag)? {
        PrimitiveValue::U16(words) => Words::Words(words.to_vec()),
        PrimitiveValue::I16(words) => {
            Words::Words(words.iter().map(|word| word.cast_unsigned()).collect())
        }
        PrimitiveValue::U8(bytes) => Words::Bytes(bytes.to_vec()),
        _ => return None,
    })
}

/// The items of a sequence; none if it is absent or no sequence.
pub(crate) fn items(data_set: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    data_set
        .get(tag)
        .and_then(|element| element.items())
        .unwrap_or_default()
}

/// The first item of a sequence.
pub(crate) fn first_item(data_set: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    items(data_set, tag).first()
}
