//! Rows of the archive as DICOM JSON results (PS3.18 tables 10.6.3-3 to -5).

use hilum_archive::{InstanceRow, SeriesRow, StudyRow};
use hilum_dicomweb::json::{self, DataSet, RETRIEVE_URL, set, set_name, set_number, set_text};
use hilum_dicomweb::query::{Include, Level};
use serde_json::Value;

use super::base::Base;

/// Specific Character Set, Instance Availability and Retrieve URL: answers are
/// UTF-8, and everything that is found is online.
fn begin(retrieve_url: &str) -> DataSet {
    let mut data = DataSet::new();
    set_text(&mut data, "00080005", "CS", Some("ISO_IR 192"));
    set_text(&mut data, "00080056", "CS", Some("ONLINE"));
    set_text(&mut data, RETRIEVE_URL, "UR", Some(retrieve_url));
    data
}

pub(super) fn study(row: &StudyRow, base: &Base) -> DataSet {
    let mut data = begin(&base.study(&row.uid));
    add_study(&mut data, row);
    data
}

pub(super) fn series(row: &SeriesRow, study: &StudyRow, base: &Base) -> DataSet {
    let mut data = begin(&base.series(&row.study, &row.uid));
    add_study(&mut data, study);
    add_series(&mut data, row);
    data
}

pub(super) fn instance(row: &InstanceRow, base: &Base) -> DataSet {
    let mut data = begin(&base.instance(&row.study, &row.series, &row.sop_instance));
    let attributes = &row.attributes;
    set_text(&mut data, "00080016", "UI", Some(&row.sop_class));
    set_text(&mut data, "00080018", "UI", Some(&row.sop_instance));
    set_text(&mut data, "0020000D", "UI", Some(&row.study));
    set_text(&mut data, "0020000E", "UI", Some(&row.series));
    set_number(&mut data, "00200013", "IS", attributes.number);
    // Type 1C: only where there are pixels.
    for (key, vr, number) in [
        ("00280010", "US", attributes.rows),
        ("00280011", "US", attributes.columns),
        ("00280100", "US", attributes.bits_allocated),
        ("00280008", "IS", attributes.frames),
    ] {
        if number.is_some() {
            set_number(&mut data, key, vr, number);
        }
    }
    // Available Transfer Syntax UID: as stored.
    set_text(&mut data, "00083002", "UI", Some(&row.transfer_syntax));
    data
}

pub(super) fn add_study(data: &mut DataSet, row: &StudyRow) {
    let (patient, attributes) = (&row.patient, &row.attributes);
    set_text(data, "00080020", "DA", attributes.date.as_deref());
    set_text(data, "00080030", "TM", attributes.time.as_deref());
    set_text(data, "00080050", "SH", attributes.accession.as_deref());
    let modalities = row.modalities.iter().cloned().map(Value::from);
    set(data, "00080061", "CS", modalities);
    let referring = attributes.referring_physician.as_ref();
    set_name(data, "00080090", referring.map(|name| name.value.as_str()));
    if let Some(timezone) = &attributes.timezone {
        set_text(data, "00080201", "SH", Some(timezone));
    }
    if let Some(description) = &attributes.description {
        set_text(data, "00081030", "LO", Some(&description.value));
    }
    let name = patient.name.as_ref().map(|name| name.value.as_str());
    set_name(data, "00100010", name);
    set_text(data, "00100020", "LO", patient.id.as_deref());
    if let Some(issuer) = &patient.issuer {
        set_text(data, "00100021", "LO", Some(issuer));
    }
    set_text(data, "00100030", "DA", patient.birth_date.as_deref());
    set_text(data, "00100040", "CS", patient.sex.as_deref());
    set_text(data, "0020000D", "UI", Some(&row.uid));
    set_text(data, "00200010", "SH", attributes.id.as_deref());
    set_number(data, "00201206", "IS", Some(row.series));
    set_number(data, "00201208", "IS", Some(row.instances));
}

pub(super) fn add_series(data: &mut DataSet, row: &SeriesRow) {
    let attributes = &row.attributes;
    set_text(data, "00080060", "CS", attributes.modality.as_deref());
    if let Some(description) = &attributes.description {
        set_text(data, "0008103E", "LO", Some(&description.value));
    }
    for (key, vr, value) in [
        ("00080021", "DA", &attributes.date),
        ("00080031", "TM", &attributes.time),
        ("00080070", "LO", &attributes.manufacturer),
        ("00081010", "SH", &attributes.station),
        ("00180015", "CS", &attributes.body_part),
        ("00181030", "LO", &attributes.protocol),
        ("00200052", "UI", &attributes.frame_of_reference),
        ("00200060", "CS", &attributes.laterality),
        ("00400244", "DA", &attributes.performed_step_date),
        ("00400245", "TM", &attributes.performed_step_time),
    ] {
        if value.is_some() {
            set_text(data, key, vr, value.as_deref());
        }
    }
    set_text(data, "0020000E", "UI", Some(&row.uid));
    set_number(data, "00200011", "IS", attributes.number);
    set_number(data, "00201209", "IS", Some(row.instances));
    let request = [
        ("00400009", &attributes.scheduled_step_id),
        ("00401001", &attributes.requested_procedure_id),
    ];
    if request.iter().any(|(_, value)| value.is_some()) {
        let mut item = DataSet::new();
        for (key, value) in request {
            set_text(&mut item, key, "SH", value.as_deref());
        }
        set(data, "00400275", "SQ", [Value::Object(item)]);
    }
}

/// Whether the row alone does not answer what was asked for.
pub(super) fn needs_metadata(data: &DataSet, include: &Include) -> bool {
    include.all
        || include
            .attributes
            .iter()
            .filter_map(hilum_dicomweb::query::Path::first)
            .any(|tag| !data.contains_key(&json::key(tag)))
}

/// Adds what was asked for and belongs to the level: what differs between the
/// instances of a study says nothing about the study.
pub(super) fn add_included(
    data: &mut DataSet,
    metadata: &DataSet,
    level: Level,
    include: &Include,
) {
    let of_level: DataSet = metadata
        .iter()
        .filter(|(key, _)| belongs_to(key, level))
        .map(|(key, element)| (key.clone(), element.clone()))
        .collect();
    json::include(data, &of_level, include);
}

/// Attributes of the General Study, Patient Study and Patient modules
/// (PS3.3 C.7.1, C.7.2) and of the General Series module (C.7.3.1).
fn belongs_to(key: &str, level: Level) -> bool {
    const STUDY: &[&str] = &[
        "00080020", "00080030", "00080050", "00080051", "00080061", "00080062", "00080080",
        "00080081", "00080090", "00080096", "0008009C", "0008009D", "00080201", "00081030",
        "00081032", "00081040", "00081048", "00081049", "00081060", "00081062", "00081080",
        "00081084", "00081110", "0020000D", "00200010", "00321032", "00321033", "00321060",
        "00321064", "00380010", "00380014", "00380060", "00380062", "00380064", "00380500",
        "00400012", "00401012", "00401060",
    ];
    const SERIES: &[&str] = &[
        "00080021", "00080031", "00080060", "00080064", "00080068", "00080070", "0008103E",
        "0008103F", "00081010", "00081050", "00081052", "00081070", "00081072", "00081090",
        "00081111", "00081115", "00180015", "00181000", "00181020", "00181030", "00185100",
        "0020000E", "00200011", "00200052", "00200060", "00201040", "00400244", "00400245",
        "00400250", "00400251", "00400253", "00400254", "00400260", "00400275", "00400280",
    ];
    match level {
        Level::Instance => true,
        Level::Series => belongs_to(key, Level::Study) || SERIES.contains(&key),
        Level::Study => key.starts_with("0010") || STUDY.contains(&key),
    }
}
