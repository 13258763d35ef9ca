//! What the rows of studies and series hold of an image's attributes, as values
//! in the order that every statement writes them in. Owns no statement.

use crate::db::{ToSqlOutput, ValueRef};
use crate::model::{PatientIdentity, PersonName, SeriesAttributes, StudyAttributes};

/// `issuer, patient_id, patient_name, patient_name_a, patient_name_i,
/// patient_name_p, birth_date, sex, date, time, timezone, accession, study_id,
/// description, description_key, referring, referring_a, referring_i,
/// referring_p`.
pub(crate) fn of_study<'a>(
    patient: &'a PatientIdentity,
    study: &'a StudyAttributes,
) -> [ToSqlOutput<'a>; 19] {
    let [name, alphabetic, ideographic, phonetic] = groups(patient.name.as_ref());
    let [referring, referring_a, referring_i, referring_p] =
        groups(study.referring_physician.as_ref());
    let description = study.description.as_ref();
    [
        text(patient.issuer.as_ref()),
        text(patient.id.as_ref()),
        name,
        alphabetic,
        ideographic,
        phonetic,
        text(patient.birth_date.as_ref()),
        text(patient.sex.as_ref()),
        text(study.date.as_ref()),
        text(study.time.as_ref()),
        text(study.timezone.as_ref()),
        text(study.accession.as_ref()),
        text(study.id.as_ref()),
        text(description.map(|text| &text.value)),
        text(description.map(|text| &text.key)),
        referring,
        referring_a,
        referring_i,
        referring_p,
    ]
}

/// `modality, number, description, description_key, body_part, laterality, date,
/// time, protocol, manufacturer, station, frame_of_reference,
/// performed_step_date, performed_step_time, scheduled_step_id,
/// requested_procedure_id`.
pub(crate) fn of_series(series: &SeriesAttributes) -> [ToSqlOutput<'_>; 16] {
    let description = series.description.as_ref();
    let number = series.number.map_or(ValueRef::Null, ValueRef::Integer);
    [
        text(series.modality.as_ref()),
        ToSqlOutput::Borrowed(number),
        text(description.map(|text| &text.value)),
        text(description.map(|text| &text.key)),
        text(series.body_part.as_ref()),
        text(series.laterality.as_ref()),
        text(series.date.as_ref()),
        text(series.time.as_ref()),
        text(series.protocol.as_ref()),
        text(series.manufacturer.as_ref()),
        text(series.station.as_ref()),
        text(series.frame_of_reference.as_ref()),
        text(series.performed_step_date.as_ref()),
        text(series.performed_step_time.as_ref()),
        text(series.scheduled_step_id.as_ref()),
        text(series.requested_procedure_id.as_ref()),
    ]
}

/// A name and its groups: alphabetic, ideographic, phonetic.
fn groups(name: Option<&PersonName>) -> [ToSqlOutput<'_>; 4] {
    [
        text(name.map(|name| &name.value)),
        text(name.and_then(|name| name.alphabetic.as_ref())),
        text(name.and_then(|name| name.ideographic.as_ref())),
        text(name.and_then(|name| name.phonetic.as_ref())),
    ]
}

fn text(value: Option<&String>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(value.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())))
}
