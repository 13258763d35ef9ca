//! Bad input gets the standard's own answer, is kept where a person can see
//! it, and leaves everything else unharmed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hilum_testkit::{Hilum, Series, hostile_cases, python, run};
use serde_json::{Value, json};

use crate::hilum;
use crate::operation::many_frames;

/// Cannot understand (PS3.4 §B.2.3): C000 to CFFF.
fn is_cannot_understand(status: Option<u16>) -> bool {
    status.is_some_and(|status| status & 0xf000 == 0xc000)
}

fn quarantine(hilum: &Hilum) -> Vec<Value> {
    hilum.api().items("/api/v1/quarantine")
}

#[test]
fn what_is_no_instance_is_refused_and_kept_in_quarantine() {
    let hilum = hilum().start();
    let cases = hostile_cases();
    let refused: Vec<Value> = cases.that("refused");
    let statuses = hilum.receives_raw(&[], &refused);
    for (case, status) in refused.iter().zip(&statuses) {
        assert!(
            is_cannot_understand(*status),
            "{}: {status:?}",
            case["name"]
        );
    }
    let kept = quarantine(&hilum);
    assert_eq!(kept.len(), refused.len(), "{kept:?}");
    for item in &kept {
        assert!(!item["reason"].as_str().unwrap().is_empty());
        assert_eq!(item["source"], "dimse:PYNETDICOM");
    }
    assert!(hilum.api().items("/api/v1/studies").is_empty());

    // What is refused still is refused again; a person can remove it.
    for item in &kept {
        let path = format!("/api/v1/quarantine/{}", item["id"]);
        let again = hilum.api().post(&format!("{path}/redrive"), &json!({}));
        assert_eq!(again.status, 409, "{}", again.text());
        assert_eq!(hilum.api().delete(&path).status, 204);
    }
    assert!(quarantine(&hilum).is_empty());
    hilum.takes(&Series::sample());
    hilum.is_well();
    hilum.ends_sound();
}

#[test]
fn what_is_odd_or_lies_is_stored_and_only_its_pixels_are_refused() {
    let hilum = hilum().start();
    let cases = hostile_cases();
    let odd = cases.that("flag");
    let lies = cases.that("undecodable");
    let all: Vec<Value> = odd.iter().chain(&lies).cloned().collect();
    let statuses = hilum.receives_raw(&[], &all);
    for (case, status) in all.iter().zip(&statuses) {
        assert_eq!(*status, Some(0), "{}", case["name"]);
    }
    for case in &all {
        let uid = case["sop_instance"].as_str().unwrap();
        let instance = format!("/dicomweb/studies/1.2.3.100/series/{uid}.1/instances/{uid}");
        let metadata = hilum.api().get(&format!("{instance}/metadata"));
        assert_eq!(metadata.status, 200, "{}", case["name"]);
        let rendered = hilum
            .api()
            .get_as(&format!("{instance}/rendered"), "image/jpeg");
        if case["undecodable"] == true {
            assert!(
                (400..500).contains(&rendered.status) && rendered.json()["detail"].is_string(),
                "{}: {} {}",
                case["name"],
                rendered.status,
                rendered.kind
            );
        }
    }
    // A person sees what is odd.
    let study = hilum.api().get("/api/v1/studies/1.2.3.100").json();
    for case in &odd {
        let uid = format!("{}.1", case["sop_instance"].as_str().unwrap());
        let series = study["series"].as_array().unwrap();
        let series = series.iter().find(|one| one["series_uid"] == uid.as_str());
        let oddities = series.unwrap()["oddities"].as_array().unwrap();
        assert!(!oddities.is_empty(), "{}", case["name"]);
    }
    hilum.is_well();
    hilum.ends_sound();
}

#[test]
fn what_a_limit_refused_is_taken_in_when_the_limit_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = deflated(folder.path());
    let hilum = hilum().with_setting("inflated_max_mb", 1).start();
    let sent = hilum.stow(&[&file]);
    assert_eq!(sent.status, 409, "{}", sent.text());
    let item = quarantine(&hilum).remove(0);
    assert_eq!(item["reason_code"], "over-limit", "{item}");
    let redrive = format!("/api/v1/quarantine/{}/redrive", item["id"]);
    let again = hilum.api().post(&redrive, &json!({}));
    assert_eq!(again.status, 409, "{}", again.text());
    assert_eq!(quarantine(&hilum).len(), 1, "it stays where it is");

    let hilum = hilum.restarted_with("inflated_max_mb", 16);
    let again = hilum.api().post(&redrive, &json!({}));
    assert_eq!(again.status, 204, "{}", again.text());
    assert!(quarantine(&hilum).is_empty());
    assert_eq!(hilum.instances("1.2.3.16", "OT").len(), 1);
    let gone = hilum.api().post(&redrive, &json!({}));
    assert_eq!(gone.status, 404, "{}", gone.text());
    hilum.ends_sound();
}

/// An image of two megabytes whose data set is deflated (PS3.5 §A.5) to less.
pub(crate) fn deflated(folder: &Path) -> PathBuf {
    let image = many_frames(folder, "1.2.3.16", 16);
    let file = folder.join("deflated.dcm");
    let output = run(Command::new("dcmconv").arg("+td").arg(image).arg(&file));
    assert!(
        output.status.success(),
        "dcmconv: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(file.metadata().unwrap().len() < 100_000);
    file
}

#[test]
fn logs_and_metrics_hold_nothing_of_a_patient() {
    let hilum = hilum().with_fast_model().start();
    let cases = hostile_cases();
    let _statuses = hilum.receives_raw(&[], &cases.all());
    let series = Series::another_study(
        "1.2.3.5",
        &[
            "PatientName=HILUMMARKER^NAME",
            "PatientID=HILUMMARKERID",
            "AccessionNumber=HILUMMARKERAC",
        ],
    );
    hilum.takes(&series);
    hilum.run_becomes("1.2.3.5", "succeeded");
    let metrics = hilum.api().get("/metrics").text();
    for (place, text) in [("log", hilum.log()), ("metrics", metrics)] {
        assert!(
            !text.contains("HILUMMARKER"),
            "the {place} names a patient: {text}"
        );
    }
}

#[test]
fn an_instance_of_another_study_than_the_request_names_is_refused_by_its_uids() {
    let hilum = hilum().start();
    let mut body = b"--part\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    body.extend_from_slice(&std::fs::read(Series::sample().slice(1)).unwrap());
    body.extend_from_slice(b"\r\n--part--\r\n");
    let kind = "multipart/related; type=\"application/dicom\"; boundary=part";
    let answer = hilum
        .api()
        .post_bytes("/dicomweb/studies/1.2.3", kind, body);
    assert_eq!(answer.status, 409, "{}", answer.text());
    let answer = answer.json();
    let failed = &answer["00081198"]["Value"][0];
    assert_eq!(failed["00081150"]["Value"][0], "1.2.840.10008.5.1.4.1.1.4");
    assert!(failed["00081155"]["Value"][0].is_string(), "{answer}");
    assert_eq!(failed["00081197"]["Value"][0], 0xa900);
    assert!(answer.get("0008119A").is_none(), "{answer}");
    assert_eq!(hilum.api().items("/api/v1/studies").len(), 0);
}

#[test]
fn a_stow_body_that_never_ends_or_has_no_boundary_is_answered() {
    let hilum = hilum().start();
    let kind = "multipart/related; type=\"application/dicom\"; boundary=part";
    let no_boundary = hilum
        .api()
        .post_bytes("/dicomweb/studies", kind, vec![b'x'; 5_000_000]);
    assert_eq!(no_boundary.status, 400, "{}", no_boundary.text());

    let slice = std::fs::read(Series::sample().slice(1)).unwrap();
    let mut body = b"--part\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    body.extend_from_slice(&slice);
    body.extend_from_slice(b"\r\n--part\r\nContent-Type: application/dicom\r\n\r\n");
    body.extend_from_slice(&slice[..5_000]);
    let no_end = hilum
        .api()
        .post_bytes("/dicomweb/studies", kind, body.clone());
    assert_eq!(no_end.status, 202, "{}", no_end.text());
    assert_eq!(
        no_end.json()["00081199"]["Value"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        no_end.json()["0008119A"]["Value"].as_array().unwrap().len(),
        1
    );
    // What a broken body brought is never taken for complete.
    hilum.input_set_becomes(Series::sample().study_uid(), "incomplete");

    // A client that stops in the middle leaves others unharmed.
    let mut client = TcpStream::connect(hilum.api().0).unwrap();
    let token = hilum.api().operator_token();
    let head = format!(
        "POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\nContent-Length: 99999999\r\n\r\n"
    );
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(&body).unwrap();
    hilum.takes(&Series::sample());
    drop(client);
    hilum.is_well();
}

/// An A-ASSOCIATE-RQ for Verification (PS3.8 §9.3.2).
fn associate_request() -> Vec<u8> {
    fn item(kind: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[kind, 0], &length[..], value].concat()
    }
    let context = [
        &[1, 0, 0, 0][..],
        &item(0x30, b"1.2.840.10008.1.1"),
        &item(0x40, b"1.2.840.10008.1.2"),
    ]
    .concat();
    let user = [item(0x51, &16_384_u32.to_be_bytes()), item(0x52, b"1.2.3")].concat();
    let body = [
        &[0, 1, 0, 0][..],
        b"HILUM_A         ",
        b"HOSTILE         ",
        &[0; 32],
        &item(0x10, b"1.2.840.10008.3.1.1.1"),
        &item(0x20, &context),
        &item(0x50, &user),
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1, 0], &length[..], &body].concat()
}

/// Reads one PDU: its type.
fn next_pdu(client: &mut TcpStream) -> u8 {
    let mut head = [0; 6];
    client.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let mut body = vec![0; usize::try_from(length).unwrap()];
    client.read_exact(&mut body).unwrap();
    head[0]
}

#[test]
fn a_pdu_longer_than_negotiated_aborts_its_association_only() {
    const ASSOCIATE_AC: u8 = 2;
    const ABORT: u8 = 7;
    let hilum = hilum().start();
    for associated in [false, true] {
        let mut client = TcpStream::connect(hilum.dicom()).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        if associated {
            client.write_all(&associate_request()).unwrap();
            assert_eq!(next_pdu(&mut client), ASSOCIATE_AC);
        }
        let kind = if associated { 4 } else { 1 };
        client
            .write_all(&[kind, 0, 0xff, 0xff, 0xff, 0xff, 0, 1, 2, 3])
            .unwrap();
        assert_eq!(next_pdu(&mut client), ABORT);
        hilum.takes(&Series::sample());
    }
    hilum.is_well();
}

/// Every file of pydicom's own test set.
fn pydicom_files() -> Vec<PathBuf> {
    let list = run(python().args([
        "-c",
        "import json, pathlib, pydicom.data as d; \
         files = pathlib.Path(d.__file__).parent.joinpath('test_files').rglob('*'); \
         print(json.dumps([str(f) for f in files if f.is_file()]))",
    ]));
    serde_json::from_slice(&list.stdout).unwrap()
}

#[test]
fn every_file_of_pydicom_is_taken_or_refused_and_what_is_taken_comes_back() {
    let hilum = hilum().start();
    let files = pydicom_files();
    assert!(files.len() > 50, "pydicom's test set: {}", files.len());
    let taken = files.iter().filter(|file| stows(&hilum, file)).count();
    assert!(taken > 40, "{taken} of {} files were taken", files.len());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/python/come_back.py");
    let output = run(python()
        .arg(script)
        .arg(hilum.dicom().to_string())
        .arg(hilum.api().0.to_string())
        .args(&files)
        .env("HILUM_TOKEN", hilum.api().operator_token()));
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    hilum.is_well();
    hilum.ends_sound();
}

fn stows(hilum: &Hilum, file: &Path) -> bool {
    let answer = hilum.stow(&[file]);
    assert!(
        [200, 202, 409, 400].contains(&answer.status),
        "{}: {} {}",
        file.display(),
        answer.status,
        answer.text()
    );
    answer.status == 200
}
