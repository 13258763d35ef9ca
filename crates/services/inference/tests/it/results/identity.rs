//! Patient and study of the source in the result, whatever its character set and mistakes.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use hilum_inference::domain::results::{Mask, Segmentation, report, segmentation};

use super::fixture::{brain, put, run, source, synthetic};
use super::peers::{dciodvfy, dcmtk, python, write};

/// The headers as they would come from a device: encoded in their character set and read again.
fn received(headers: &[InMemDicomObject]) -> Vec<InMemDicomObject> {
    headers
        .iter()
        .map(|header| {
            let mut bytes = Vec::new();
            header
                .write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased())
                .unwrap();
            InMemDicomObject::read_dataset_with_ts(
                bytes.as_slice(),
                &EXPLICIT_VR_LITTLE_ENDIAN.erased(),
            )
            .unwrap()
        })
        .collect()
}

/// What highdicom and dcmtk read in Segmentation and report of a source with these attributes.
fn names(attributes: &[(dicom_core::Tag, VR, &str)]) -> [String; 3] {
    let mut headers = synthetic(2, 4, 4);
    for header in &mut headers {
        for (tag, vr, text) in attributes {
            put(header, *tag, *vr, text);
        }
    }
    let source = source(&received(&headers));
    let segments = [brain()];
    let input = Segmentation {
        segments: &segments,
        mask: Mask::Labels(&[1; 32]),
    };
    let directory = tempfile::tempdir().unwrap();
    let seg = segmentation(&run(), &source, &input).unwrap();
    let seg = write(directory.path(), "seg.dcm", &seg);
    let sr = report(&run(), &source, &segments, &[]).unwrap();
    let sr = write(directory.path(), "sr.dcm", &sr);
    for path in [&seg, &sr] {
        assert_eq!(dciodvfy(path, &[]), Vec::<String>::new());
    }
    let said = |value: serde_json::Value| value["patient"].as_str().unwrap().to_owned();
    [
        said(python("read_seg.py", &[&seg, &directory.path().join("m")])),
        said(python("read_sr.py", &[&sr])),
        dcmtk("dcmdump", &["-q", "+P", "PatientName"], &seg),
    ]
}

#[test]
fn a_name_in_latin_1_becomes_utf_8() {
    let [seg, sr, dump] = names(&[
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
        (tags::PATIENT_NAME, VR::PN, "Müller^Jörg^^Dr."),
    ]);
    assert_eq!(seg, "Müller^Jörg^^Dr.");
    assert_eq!(sr, seg);
    assert!(dump.contains("Müller^Jörg^^Dr."), "{dump}");
}

#[test]
fn a_japanese_name_keeps_its_three_component_groups() {
    let name = "Yamada^Tarou=山田^太郎=やまだ^たろう";
    let [seg, sr, dump] = names(&[
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::PATIENT_NAME, VR::PN, name),
    ]);
    assert_eq!(seg, name);
    assert_eq!(sr, name);
    assert!(dump.contains(name), "{dump}");
}

#[test]
fn mistakes_of_the_source_do_not_make_an_invalid_result() {
    let description = "d".repeat(80);
    names(&[
        (tags::PATIENT_AGE, VR::AS, "28"),
        (tags::PATIENT_WEIGHT, VR::DS, "61,5"),
        (tags::STUDY_DESCRIPTION, VR::LO, &description),
        (tags::PATIENT_BIRTH_TIME, VR::TM, "9:30"),
        (tags::LATERALITY, VR::CS, "left"),
        (tags::BODY_PART_EXAMINED, VR::CS, "head"),
        (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "CET"),
    ]);
}

#[test]
fn names_in_every_character_set_of_pydicoms_files_become_utf_8() {
    let files = python("charset_files.py", &[]);
    let files = files.as_array().unwrap();
    assert!(files.len() >= 12, "pydicom ships its character set files");
    for file in files {
        let (path, name) = (file[0].as_str().unwrap(), file[1].as_str().unwrap());
        let read = dicom_object::open_file(path).unwrap();
        let mut headers = synthetic(1, 4, 4);
        for tag in [tags::SPECIFIC_CHARACTER_SET, tags::PATIENT_NAME] {
            if let Some(element) = read.get(tag) {
                headers[0].put(element.clone());
            }
        }
        let object = report(&run(), &source(&headers), &[brain()], &[]).unwrap();
        let written = object.get(tags::PATIENT_NAME).unwrap().value();
        // pydicom drops empty component groups at the end; we repeat them.
        let written = written.to_str().unwrap();
        assert_eq!(written.trim_end_matches('='), name, "{path}");
    }
}

#[test]
fn the_content_time_is_told_in_the_time_zone_of_the_study() {
    let mut headers = synthetic(1, 4, 4);
    put(
        &mut headers[0],
        tags::TIMEZONE_OFFSET_FROM_UTC,
        VR::SH,
        "+0900",
    );
    let object = report(&run(), &source(&headers), &[brain()], &[]).unwrap();
    let text = |tag| object.get(tag).unwrap().value().to_str().unwrap();
    // 09:07:03 at +01:00.
    assert_eq!(text(tags::CONTENT_TIME), "170703.045");
    assert_eq!(text(tags::TIMEZONE_OFFSET_FROM_UTC), "+0900");
    assert_eq!(text(tags::OBSERVATION_DATE_TIME), "20261105170703.045+0900");
}
