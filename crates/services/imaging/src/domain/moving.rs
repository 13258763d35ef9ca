//! What a moved instance reads as: the corrections that it had where it was,
//! the move itself, and those that were made where it is since. Pure; the
//! archive keeps what is written here and never looks into it.

use std::collections::BTreeMap;

use hilum_archive::{Overlay, PatientIdentity, StudyAttributes};
use hilum_contracts::error::ServiceError;
use hilum_dataset::patch::{Change, Correction, text_of};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::correction::{Level, belongs, known};

pub(crate) const STUDY_INSTANCE_UID: u32 = 0x0020_000D;
pub(crate) const SERIES_INSTANCE_UID: u32 = 0x0020_000E;

/// What lies over an instance, the oldest correction first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) steps: Vec<Correction>,
    /// How many of the study's corrections are not of it: they were made
    /// before it came there.
    #[serde(default)]
    study: usize,
    /// The same of its series.
    #[serde(default)]
    series: usize,
}

impl Placed {
    /// Everything that an overlay comes to.
    pub(crate) fn of(overlay: &Overlay) -> Result<Self, ServiceError> {
        let mut placed: Self = match &overlay.placed {
            Some(text) => serde_json::from_str(text).map_err(unreadable)?,
            None => Self::default(),
        };
        let mut later = Vec::new();
        for (text, before) in [
            (&overlay.study, placed.study),
            (&overlay.series, placed.series),
        ] {
            if let Some(text) = text {
                later.extend(read(text)?.into_iter().skip(before));
            }
        }
        later.sort_by(|a, b| a.at.cmp(&b.at));
        placed.steps.extend(later);
        Ok(placed)
    }

    /// What lies over it after a move to where these overlays lie.
    pub(crate) fn moved(
        before: Option<&Overlay>,
        step: &Correction,
        study: Option<&str>,
        series: Option<&str>,
    ) -> Result<String, ServiceError> {
        let mut placed = match before {
            Some(overlay) => Self::of(overlay)?,
            None => Self::default(),
        };
        placed.steps.push(step.clone());
        placed.study = study.map_or(Ok(0), |text| read(text).map(|steps| steps.len()))?;
        placed.series = series.map_or(Ok(0), |text| read(text).map(|steps| steps.len()))?;
        serde_json::to_string(&placed)
            .map_err(|_| ServiceError::internal("The move can't be written."))
    }
}

fn read(text: &str) -> Result<Vec<Correction>, ServiceError> {
    serde_json::from_str(text).map_err(unreadable)
}

fn unreadable(_: serde_json::Error) -> ServiceError {
    ServiceError::internal("A correction can't be read.")
}

/// DICOM JSON of an instance, by tag.
pub(crate) type Document = BTreeMap<String, Value>;

/// The attributes of a level that have to change for an instance that reads as
/// `from` to belong where one reads as `to`. What the index holds counts where
/// there is no such instance to look at.
pub(crate) fn changes_between(
    level: Level,
    from: &Document,
    to: &Document,
    keeps_patient: bool,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let tags = from
        .keys()
        .chain(to.keys().filter(|tag| !from.contains_key(*tag)));
    for name in tags {
        let Ok(tag) = u32::from_str_radix(name, 16) else {
            continue;
        };
        if !belongs(level, tag) || (keeps_patient && tag >> 16 == 0x0010) {
            continue;
        }
        let (before, after) = (from.get(name), to.get(name));
        if before == after {
            continue;
        }
        let value = after.and_then(text_of);
        let given = match (after, value) {
            (Some(_), Some(value)) => Change::new(tag, Some(value)).ok(),
            _ => None,
        };
        // What can't be given is not left saying what is not so.
        let removed = || before.and_then(|_| Change::new(tag, None).ok());
        changes.extend(given.or_else(removed));
    }
    changes
}

/// The attributes that the index holds of a patient and study, as changes.
pub(crate) fn changes_to(
    patient: &PatientIdentity,
    study: &StudyAttributes,
    keeps_patient: bool,
) -> Vec<Change> {
    const TAGS: [u32; 11] = [
        0x0008_0020,
        0x0008_0030,
        0x0008_0050,
        0x0008_0090,
        0x0008_1030,
        0x0010_0010,
        0x0010_0020,
        0x0010_0021,
        0x0010_0030,
        0x0010_0040,
        0x0020_0010,
    ];
    TAGS.into_iter()
        .filter(|tag| !(keeps_patient && tag >> 16 == 0x0010))
        .filter_map(|tag| {
            let value = known(patient, study, None, tag);
            // Type 2 attributes are there, empty; Issuer of Patient ID is not.
            let value = match (tag, value) {
                (0x0010_0021, None) => None,
                (_, value) => Some(value.unwrap_or_default()),
            };
            Change::new(tag, value).ok()
        })
        .collect()
}

/// Whether two are one patient, as far as their identifiers say.
pub(crate) fn same_patient(a: &PatientIdentity, b: &PatientIdentity) -> bool {
    a.id.is_some() && a.id == b.id && a.issuer == b.issuer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step(at: &str, tag: u32, value: &str) -> Correction {
        Correction {
            at: at.to_owned(),
            system: "HILUM".to_owned(),
            source: String::new(),
            changes: vec![Change::new(tag, Some(value.to_owned())).unwrap()],
        }
    }

    fn overlay(study: &[Correction], placed: Option<String>) -> Overlay {
        Overlay {
            study: (!study.is_empty()).then(|| serde_json::to_string(study).unwrap().into()),
            series: None,
            placed: placed.map(Into::into),
        }
    }

    #[test]
    fn only_corrections_made_since_it_came_are_laid_over_what_moved() {
        let there = [step("20260101", 0x0010_0020, "OTHER")];
        let here = [step("20260102", 0x0010_0020, "HERE")];
        let moving = step("20260103", STUDY_INSTANCE_UID, "1.2");
        let from = overlay(&there, None);
        let text = serde_json::to_string(&here).unwrap();
        let placed = Placed::moved(Some(&from), &moving, Some(&text), None).unwrap();
        let since = [here[0].clone(), step("20260104", 0x0010_0040, "F")];
        let steps = Placed::of(&overlay(&since, Some(placed))).unwrap().steps;
        let expected = [there[0].clone(), moving, since[1].clone()];
        assert_eq!(steps, expected);
    }

    #[test]
    fn what_the_other_has_not_is_removed_and_sequences_of_another_patient_go() {
        let document = |value: Value| -> Document { serde_json::from_value(value).unwrap() };
        let from = document(json!({
            "00100020": {"vr": "LO", "Value": ["A"]},
            "00101002": {"vr": "SQ", "Value": [{}]},
            "00101040": {"vr": "LO", "Value": ["Street 1"]},
            "00081030": {"vr": "LO", "Value": ["BRAIN"]}}));
        let to = document(json!({
            "00100020": {"vr": "LO", "Value": ["B"]},
            "00081030": {"vr": "LO", "Value": ["BRAIN"]}}));
        let changed = |keeps| -> Vec<(u32, Option<String>)> {
            changes_between(Level::Study, &from, &to, keeps)
                .iter()
                .map(|change| (change.tag(), change.value().map(str::to_owned)))
                .collect()
        };
        assert_eq!(
            changed(false),
            [
                (0x0010_0020, Some("B".to_owned())),
                (0x0010_1002, None),
                (0x0010_1040, None)
            ]
        );
        assert_eq!(changed(true), []);
    }
}
