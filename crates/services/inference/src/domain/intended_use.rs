//! Whether an input is what a model is meant for. A condition that does not
//! hold never stops a run: it becomes a warning that travels with the result.

use dicom_core::Tag;
use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::InMemDicomObject;

use crate::domain::header::texts;
use crate::domain::manifest::{Condition, ManifestError};
use crate::domain::refusal::Warning;

fn tag(keyword: &str) -> Option<Tag> {
    StandardDataDictionary
        .by_name(keyword)
        .map(|entry| entry.tag.inner())
}

/// Whether every condition names an attribute and something to compare with.
pub(crate) fn check(conditions: &[Condition]) -> Result<(), ManifestError> {
    for c in conditions {
        if tag(&c.attribute).is_none() {
            return Err(ManifestError(format!(
                "condition {:?}: {:?} is not the keyword of a DICOM attribute",
                c.code, c.attribute
            )));
        }
        if c.min.is_none() && c.max.is_none() && c.one_of.is_empty() {
            return Err(ManifestError(format!(
                "condition {:?} compares with nothing: give min, max or one_of",
                c.code
            )));
        }
    }
    Ok(())
}

/// The warnings for one image of the input.
#[must_use]
pub fn warnings(conditions: &[Condition], image: &InMemDicomObject) -> Vec<Warning> {
    let outside = conditions.iter().filter(|c| !holds(c, image));
    outside
        .map(|c| Warning {
            code: c.code.clone(),
            text: c.text.clone(),
        })
        .collect()
}

fn holds(condition: &Condition, image: &InMemDicomObject) -> bool {
    let values: Vec<String> = tag(&condition.attribute)
        .map(|t| texts(image, t))
        .unwrap_or_default();
    let mut present = values.iter().filter(|v| !v.is_empty()).peekable();
    if present.peek().is_none() {
        return !condition.required;
    }
    present.all(|value| {
        let listed = condition.one_of.is_empty() || condition.one_of.iter().any(|o| o == value);
        let limited = condition.min.is_some() || condition.max.is_some();
        let within = !limited
            || number(value).is_some_and(|n| {
                condition.min.is_none_or(|m| n >= m) && condition.max.is_none_or(|m| n <= m)
            });
        listed && within
    })
}

/// A decimal string, or an age string in years (PS3.5 §6.2, AS).
fn number(text: &str) -> Option<f64> {
    let years = |unit: char, in_a_year: f64| {
        let digits = text.strip_suffix(unit).filter(|d| d.len() == 3)?;
        digits.parse::<u16>().ok().map(|n| f64::from(n) / in_a_year)
    };
    let plain = text.parse::<f64>().ok().filter(|n| n.is_finite());
    plain
        .or_else(|| years('Y', 1.0))
        .or_else(|| years('M', 12.0))
        .or_else(|| years('W', 52.18))
        .or_else(|| years('D', 365.25))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::tags;

    fn condition(attribute: &str, min: Option<f64>, max: Option<f64>) -> Condition {
        Condition {
            code: "outside".into(),
            attribute: attribute.into(),
            min,
            max,
            one_of: vec![],
            required: false,
            text: "Outside.".into(),
        }
    }

    #[test]
    fn proton_density_is_outside_of_t1() {
        let image = InMemDicomObject::from_element_iter([
            DataElement::new(
                tags::REPETITION_TIME,
                VR::DS,
                PrimitiveValue::from("2300.00"),
            ),
            DataElement::new(tags::PATIENT_AGE, VR::AS, PrimitiveValue::from("028Y")),
        ]);
        assert_eq!(
            warnings(&[condition("RepetitionTime", None, Some(1000.0))], &image).len(),
            1
        );
        assert!(warnings(&[condition("PatientAge", Some(18.0), None)], &image).is_empty());
        assert_eq!(
            warnings(&[condition("PatientAge", Some(30.0), None)], &image).len(),
            1
        );
        let mut missing = condition("EchoTime", None, Some(10.0));
        assert!(warnings(std::slice::from_ref(&missing), &image).is_empty());
        missing.required = true;
        assert_eq!(warnings(&[missing], &image).len(), 1);
    }

    #[test]
    fn a_condition_must_name_an_attribute_and_a_bound() {
        assert!(check(&[condition("EchoTime", Some(1.0), None)]).is_ok());
        assert!(check(&[condition("EchoThyme", Some(1.0), None)]).is_err());
        assert!(check(&[condition("EchoTime", None, None)]).is_err());
    }
}
