//! What may be corrected at which level, and what the index answers with
//! afterwards. Pure; the data sets themselves are corrected where they are read.

use hilum_archive::{PatientIdentity, SeriesAttributes, StudyAttributes};
use hilum_dataset::patch::Change;

use crate::intake::{folded, person_name};

/// Where a correction applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The patient and the study: every instance of the study.
    Study,
    /// One series of it.
    Series,
}

/// Whether an attribute is one of the level's modules (PS3.3 C.7.1.1, C.7.2.1,
/// C.7.2.2, C.7.3.1). UIDs are not corrected but moved.
pub(crate) fn belongs(level: Level, tag: u32) -> bool {
    match level {
        Level::Study => matches!(
            tag,
            0x0010_0010..=0x0010_4000
                | 0x0008_0020
                | 0x0008_0030
                | 0x0008_0050
                | 0x0008_0051
                | 0x0008_0080
                | 0x0008_0090
                | 0x0008_1030
                | 0x0008_1048
                | 0x0008_1060
                | 0x0008_1080
                | 0x0012_0010..=0x0012_0082
                | 0x0020_0010
                | 0x0032_1032
                | 0x0032_1060
                | 0x0038_0010
        ),
        Level::Series => matches!(
            tag,
            0x0008_0021
                | 0x0008_0031
                | 0x0008_0060
                | 0x0008_0070
                | 0x0008_1010
                | 0x0008_103E
                | 0x0008_1040
                | 0x0008_1050
                | 0x0008_1070
                | 0x0018_0015
                | 0x0018_1030
                | 0x0018_5100
                | 0x0020_0011
                | 0x0020_0060
                | 0x0040_0241
                ..=0x0040_0245
                    | 0x0040_0250
                    | 0x0040_0251
                    | 0x0040_0253
                    | 0x0040_0254
                    | 0x0040_0275
        ),
    }
}

/// What a study answers with after `changes`.
pub(crate) fn study_after(
    patient: &mut PatientIdentity,
    study: &mut StudyAttributes,
    changes: &[Change],
) {
    for change in changes {
        let text = filled(change);
        match change.tag() {
            0x0010_0010 => patient.name = text.as_deref().and_then(person_name),
            0x0010_0020 => patient.id = text,
            0x0010_0021 => patient.issuer = text,
            0x0010_0030 => patient.birth_date = text,
            0x0010_0040 => patient.sex = text,
            0x0008_0020 => study.date = text,
            0x0008_0030 => study.time = text,
            0x0008_0050 => study.accession = text,
            0x0008_0090 => study.referring_physician = text.as_deref().and_then(person_name),
            0x0008_1030 => study.description = text.as_deref().and_then(folded),
            0x0020_0010 => study.id = text,
            _ => {}
        }
    }
}

/// What a series answers with after `changes`.
pub(crate) fn series_after(series: &mut SeriesAttributes, changes: &[Change]) {
    for change in changes {
        let text = filled(change);
        match change.tag() {
            0x0008_0021 => series.date = text,
            0x0008_0031 => series.time = text,
            0x0008_0060 => series.modality = text,
            0x0008_0070 => series.manufacturer = text,
            0x0008_1010 => series.station = text,
            0x0008_103E => series.description = text.as_deref().and_then(folded),
            0x0018_0015 => series.body_part = text,
            0x0018_1030 => series.protocol = text,
            0x0020_0011 => series.number = text.and_then(|text| text.parse().ok()),
            0x0020_0060 => series.laterality = text,
            0x0040_0244 => series.performed_step_date = text,
            0x0040_0245 => series.performed_step_time = text,
            0x0040_0275 => {
                series.scheduled_step_id = None;
                series.requested_procedure_id = None;
            }
            _ => {}
        }
    }
}

/// What the index holds of an attribute now; `None` for one that it does not.
pub(crate) fn known(
    patient: &PatientIdentity,
    study: &StudyAttributes,
    series: Option<&SeriesAttributes>,
    tag: u32,
) -> Option<String> {
    let of_series = series.and_then(|series| match tag {
        0x0008_0021 => series.date.clone(),
        0x0008_0031 => series.time.clone(),
        0x0008_0060 => series.modality.clone(),
        0x0008_0070 => series.manufacturer.clone(),
        0x0008_1010 => series.station.clone(),
        0x0008_103E => series.description.as_ref().map(|text| text.value.clone()),
        0x0018_0015 => series.body_part.clone(),
        0x0018_1030 => series.protocol.clone(),
        0x0020_0011 => series.number.map(|number| number.to_string()),
        0x0020_0060 => series.laterality.clone(),
        0x0040_0244 => series.performed_step_date.clone(),
        0x0040_0245 => series.performed_step_time.clone(),
        _ => None,
    });
    of_series.or_else(|| match tag {
        0x0010_0010 => patient.name.as_ref().map(|name| name.value.clone()),
        0x0010_0020 => patient.id.clone(),
        0x0010_0021 => patient.issuer.clone(),
        0x0010_0030 => patient.birth_date.clone(),
        0x0010_0040 => patient.sex.clone(),
        0x0008_0020 => study.date.clone(),
        0x0008_0030 => study.time.clone(),
        0x0008_0050 => study.accession.clone(),
        0x0008_0090 => study.referring_physician.as_ref().map(|n| n.value.clone()),
        0x0008_1030 => study.description.as_ref().map(|text| text.value.clone()),
        0x0020_0010 => study.id.clone(),
        _ => None,
    })
}

fn filled(change: &Change) -> Option<String> {
    change
        .value()
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(tag: u32, value: &str) -> Change {
        Change::new(tag, Some(value.to_owned())).unwrap()
    }

    #[test]
    fn the_index_answers_with_what_was_corrected() {
        let (mut patient, mut study) = (PatientIdentity::default(), StudyAttributes::default());
        patient.sex = Some("F".into());
        let changes = [
            change(0x0010_0010, "Müller^Jürgen"),
            change(0x0008_1030, "Schädel"),
            change(0x0010_0040, ""),
        ];
        study_after(&mut patient, &mut study, &changes);
        assert_eq!(patient.name.unwrap().alphabetic.unwrap(), "muller^jurgen");
        assert_eq!(study.description.unwrap().key, "schadel");
        assert_eq!(patient.sex, None);
        let mut series = SeriesAttributes::default();
        series_after(&mut series, &[change(0x0020_0011, "12")]);
        assert_eq!(series.number, Some(12));
    }

    #[test]
    fn uids_and_attributes_of_another_level_are_not_corrected_here() {
        for tag in [0x0020_000D, 0x0020_000E, 0x0020_0013, 0x0008_103E] {
            assert!(!belongs(Level::Study, tag), "{tag:08X}");
        }
        assert!(belongs(Level::Series, 0x0008_103E));
        assert!(!belongs(Level::Series, 0x0010_0010));
    }
}
