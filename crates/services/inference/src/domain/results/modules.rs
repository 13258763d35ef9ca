//! Modules that all result objects have: SOP Common, Patient, Study, Equipment and Series
//! (PS3.3 §C.7, §C.12). Owns which attributes are taken over from the source; what kind of
//! object it is, is the caller's business.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use time::{OffsetDateTime, UtcOffset};

use super::code;
use super::context::{Equipment, ResultContext};
use super::element::{Item, date, time_of_day};
use super::received::first_text;

/// Type 2 attributes of Patient and General Study: always there, empty when unknown.
const TYPE_2: [Tag; 9] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
];

/// Attributes of the Patient, Clinical Trial Subject and Study, General Study and Patient Study
/// modules that are taken over where the source has them.
const TYPE_3: [Tag; 41] = [
    tags::ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    tags::TYPE_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_TIME,
    tags::OTHER_PATIENT_I_DS_SEQUENCE,
    tags::PATIENT_SPECIES_DESCRIPTION,
    tags::PATIENT_SPECIES_CODE_SEQUENCE,
    tags::PATIENT_BREED_DESCRIPTION,
    tags::PATIENT_BREED_CODE_SEQUENCE,
    tags::BREED_REGISTRATION_SEQUENCE,
    tags::RESPONSIBLE_PERSON,
    tags::RESPONSIBLE_PERSON_ROLE,
    tags::RESPONSIBLE_ORGANIZATION,
    tags::QUALITY_CONTROL_SUBJECT,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
    tags::CLINICAL_TRIAL_SPONSOR_NAME,
    tags::CLINICAL_TRIAL_PROTOCOL_ID,
    tags::CLINICAL_TRIAL_PROTOCOL_NAME,
    tags::CLINICAL_TRIAL_SITE_ID,
    tags::CLINICAL_TRIAL_SITE_NAME,
    tags::CLINICAL_TRIAL_SUBJECT_ID,
    tags::CLINICAL_TRIAL_SUBJECT_READING_ID,
    tags::CLINICAL_TRIAL_TIME_POINT_ID,
    tags::CLINICAL_TRIAL_TIME_POINT_DESCRIPTION,
    tags::STUDY_DESCRIPTION,
    tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    tags::PROCEDURE_CODE_SEQUENCE,
    tags::PHYSICIANS_OF_RECORD,
    tags::NAME_OF_PHYSICIANS_READING_STUDY,
    tags::CONSULTING_PHYSICIAN_NAME,
    tags::REASON_FOR_PERFORMED_PROCEDURE_CODE_SEQUENCE,
    tags::ADMITTING_DIAGNOSES_DESCRIPTION,
    tags::ADMITTING_DIAGNOSES_CODE_SEQUENCE,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::ADMISSION_ID,
    tags::ISSUER_OF_ADMISSION_ID_SEQUENCE,
    tags::SERVICE_EPISODE_ID,
    tags::PREGNANCY_STATUS,
];

/// Patient and study of the source, as received, in UTF-8.
pub(super) fn patient_and_study(source: &InMemDicomObject, study_instance_uid: &str) -> Item {
    let mut item = Item::new()
        .text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192")
        .text(tags::STUDY_INSTANCE_UID, VR::UI, study_instance_uid);
    for tag in TYPE_2 {
        item = item.copy_or_empty(source, tag);
    }
    // Part of the identity that Patient ID is: never cut.
    item = item.copy_verbatim(source, tags::ISSUER_OF_PATIENT_ID);
    if let Some(offset) = time_zone(source) {
        item = item.text(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, &offset);
    }
    for tag in TYPE_3 {
        item = item.copy(source, tag);
    }
    item
}

/// SOP Common, series and enhanced equipment (PS3.3 §C.7.5.2) of a result.
pub(super) struct Identity<'a> {
    pub(super) sop_class_uid: &'a str,
    pub(super) sop_instance_uid: String,
    pub(super) series_instance_uid: String,
    pub(super) modality: &'a str,
    pub(super) series_number: u32,
    pub(super) series_description: String,
}

pub(super) fn identity(
    context: &ResultContext,
    source: &InMemDicomObject,
    identity: &Identity<'_>,
) -> InMemDicomObject {
    let at = content_time(context, source);
    let mut item = equipment(&context.equipment)
        .text(tags::SOP_CLASS_UID, VR::UI, identity.sop_class_uid)
        .text(tags::SOP_INSTANCE_UID, VR::UI, &identity.sop_instance_uid)
        .text(tags::MODALITY, VR::CS, identity.modality)
        .text(
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            &identity.series_instance_uid,
        )
        .text(
            tags::SERIES_NUMBER,
            VR::IS,
            &identity.series_number.to_string(),
        )
        .text(
            tags::SERIES_DESCRIPTION,
            VR::LO,
            &identity.series_description,
        )
        .text(tags::INSTANCE_NUMBER, VR::IS, "1");
    for tag in [
        tags::INSTANCE_CREATION_DATE,
        tags::SERIES_DATE,
        tags::CONTENT_DATE,
    ] {
        item = item.text(tag, VR::DA, &date(at));
    }
    for tag in [
        tags::INSTANCE_CREATION_TIME,
        tags::SERIES_TIME,
        tags::CONTENT_TIME,
    ] {
        item = item.text(tag, VR::TM, &time_of_day(at));
    }
    item.build()
}

fn equipment(equipment: &Equipment) -> Item {
    Item::new()
        .text(tags::MANUFACTURER, VR::LO, &equipment.manufacturer)
        .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, &equipment.model_name)
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &equipment.serial_number)
        .text(tags::SOFTWARE_VERSIONS, VR::LO, &equipment.software_version)
}

/// The content's instant in the offset that the object's dates and times are read in: Timezone
/// Offset From UTC holds for all of them, those of the source included (PS3.3 §C.12.1.1.8).
pub(super) fn content_time(context: &ResultContext, source: &InMemDicomObject) -> OffsetDateTime {
    let offset = time_zone(source)
        .and_then(|text| parse_offset(&text))
        .unwrap_or(context.created.offset());
    context.created.to_offset(offset)
}

/// The source's Timezone Offset From UTC, if it is one.
fn time_zone(source: &InMemDicomObject) -> Option<String> {
    first_text(source, tags::TIMEZONE_OFFSET_FROM_UTC).filter(|t| parse_offset(t).is_some())
}

fn parse_offset(text: &str) -> Option<UtcOffset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i8, i8) = (hours.parse().ok()?, minutes.parse().ok()?);
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

/// The scanner, as a contributor to a derived object (PS3.3 §C.12.1.1.5); nothing where the
/// source does not name its manufacturer.
pub(super) fn contributing_equipment(source: &InMemDicomObject) -> Vec<InMemDicomObject> {
    if first_text(source, tags::MANUFACTURER).is_none() {
        return Vec::new();
    }
    let mut item = Item::new().sequence(
        tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
        vec![code::ACQUISITION_EQUIPMENT.item()],
    );
    for tag in [
        tags::MANUFACTURER,
        tags::INSTITUTION_NAME,
        tags::STATION_NAME,
        tags::MANUFACTURER_MODEL_NAME,
        tags::DEVICE_SERIAL_NUMBER,
        tags::SOFTWARE_VERSIONS,
    ] {
        item = item.copy(source, tag);
    }
    vec![item.build()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_time_zone_counts() {
        assert_eq!(parse_offset("-0330"), UtcOffset::from_hms(-3, -30, 0).ok());
        for bad in ["", "0100", "+1", "+9900", "+٠١٠٠", "é100", "+--00", "+-130"] {
            assert_eq!(parse_offset(bad), None, "{bad}");
        }
    }
}
