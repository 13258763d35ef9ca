//! Texts of others: SQL, lines of a log, paths, HTML.

use std::path::Path;
use std::process::Command;

use hilum_testkit::{As, Hilum, Series, run};
use serde_json::{Value, json};

use super::{PASSWORD, browser};
use crate::hilum;

#[test]
fn identifiers_and_texts_from_outside_stay_data() {
    let hilum = hilum().start();
    let api = hilum.api();
    hilum.takes(&Series::sample());
    for uid in [
        "..%2f..%2fkeys%2fmaster.key",
        "%2e%2e",
        "1.2.3%00",
        "1'%20OR%20'1'='1",
        "%0d%0aX:%20y",
    ] {
        for path in [
            format!("/dicomweb/studies/{uid}"),
            format!("/dicomweb/studies/{uid}/metadata"),
            format!("/api/v1/studies/{uid}"),
            format!("/assets/{uid}"),
            format!("/viewer/{uid}"),
        ] {
            let answer = api.send("GET", &path, As::Operator("a"), None);
            let page = answer.kind.starts_with("text/html");
            assert!(
                page || [400, 404].contains(&answer.status),
                "{path}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    for text in [
        "' OR 1=1 --",
        "%'; DROP TABLE study; --",
        "\" OR \"\"=\"",
        "*) OR (1=1",
    ] {
        let query: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in [
            format!("/api/v1/studies?patient_name={query}"),
            format!("/api/v1/studies?accession={query}"),
            format!("/dicomweb/studies?PatientName={query}"),
            format!("/api/v1/patients?q={query}"),
            format!("/api/v1/people?q={query}"),
        ] {
            let answer = api.send("GET", &path, As::Operator("a"), None);
            assert!(
                [200, 204, 400].contains(&answer.status),
                "{path}: {}",
                answer.text()
            );
            let found = answer.json();
            let found = found["items"]
                .as_array()
                .or(found.as_array())
                .map_or(0, Vec::len);
            assert_eq!(found, 0, "{path}");
        }
    }
    assert_eq!(api.items("/api/v1/studies").len(), 1);
}

#[test]
fn nothing_that_comes_from_outside_forges_a_line_of_the_log() {
    let hilum = hilum().start();
    let forged = "x\"}\n{\"level\":\"ERROR\",\"message\":\"forged\"";
    let body = json!({ "email": forged, "password": PASSWORD });
    let refused = browser(&hilum, "/auth/sign-in", "", &body);
    assert!((400..500).contains(&refused.status));
    let body = json!({ "name": forged, "role": "auditor" });
    let _refused = hilum
        .api()
        .send("POST", "/api/v1/keys", As::Operator("a"), Some(&body));
    let _unknown = hilum.api().send(
        "GET",
        "/api/v1/studies/%0A%7B%22level%22",
        As::Operator("a"),
        None,
    );
    for line in hilum.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert_ne!(line["message"], "forged");
    }
}

/// Files and folders below a folder.
fn tree(folder: &Path) -> Vec<String> {
    let found = run(Command::new("find").arg(folder));
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_uid_that_is_a_path_names_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let hilum = hilum().start();
    hilum.takes(&Series::sample());
    for (index, uid) in [
        "../../../../escaped",
        "/escaped",
        "..",
        "1.2.3/../../escaped",
        "escaped\\0",
    ]
    .into_iter()
    .enumerate()
    {
        for tag in [
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "SOPInstanceUID",
            "PatientID",
        ] {
            let study = format!("1.2.3.5{index}");
            let hostile = Series::another_study(&study, &[]).changed(&[&format!("{tag}={uid}")]);
            let _taken_or_refused = hilum.stow(&hostile.files()[..1]).status;
        }
    }
    let to = folder.path().join("export");
    let (report, _) = hilum.command_json(&["export", to.to_str().unwrap(), "--all"]);
    assert!(report["files"].as_u64().unwrap() >= 20, "{report}");
    let above = hilum.data().parent().unwrap();
    for place in [above, folder.path()] {
        let found = tree(place);
        let escaped: Vec<_> = found
            .iter()
            .filter(|path| path.contains("escaped"))
            .collect();
        assert!(escaped.is_empty(), "{escaped:?}");
    }
    for ancestor in above.ancestors() {
        assert!(!ancestor.join("escaped").exists(), "{}", ancestor.display());
    }
    hilum.is_well();
    hilum.ends_sound();
}

/// The one instance of a modality, by the address that DICOMweb has for it.
fn address(hilum: &Hilum, study: &str, modality: &str) -> String {
    let instance = hilum.instances(study, modality).remove(0);
    let uid = |tag: &str| instance[tag]["Value"][0].as_str().unwrap();
    format!(
        "/dicomweb/studies/{study}/series/{}/instances/{}",
        uid("0020000E"),
        uid("00080018")
    )
}

#[test]
fn html_in_a_name_is_text_in_the_report_and_no_page_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let hilum = hilum().with_fast_model().start();
    // Without `=`, which ends a group of components in a name (PS3.5 §6.2.1).
    let html = "<script>alert(1)</script>";
    let study = "1.2.3.60";
    let changes = ["PatientName", "StudyDescription", "SeriesDescription"]
        .map(|name| format!("{name}={html}"));
    let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
    hilum.takes(&Series::another_study(study, &changes));
    hilum.run_becomes(study, "succeeded");
    let report = address(&hilum, study, "SR");
    let metadata = hilum.api().get(&format!("{report}/metadata")).json();
    assert_eq!(metadata[0]["00100010"]["Value"][0]["Alphabetic"], html);

    // Others' renderer of structured reports shows it as what it is.
    let whole = hilum
        .api()
        .get_as(&report, "application/dicom; transfer-syntax=*");
    let file = folder.path().join("report.dcm");
    let start = whole
        .body
        .windows(4)
        .position(|part| part == b"DICM")
        .unwrap()
        - 128;
    std::fs::write(&file, &whole.body[start..]).unwrap();
    let page = run(Command::new("dsr2html").arg(&file));
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script>"),
        "{page}"
    );

    // Nothing that holds a name is ever a page, whatever is asked for.
    for path in [
        report.clone(),
        format!("{report}/metadata"),
        format!("{report}/rendered"),
        format!("/dicomweb/studies?PatientName={}", "%3Cscript*"),
        format!("/api/v1/studies/{study}"),
        "/api/v1/studies".to_owned(),
        "/api/v1/runs".to_owned(),
        format!("/api/v1/studies/{}", "%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        "/api/v1/audit/export?format=csv".to_owned(),
    ] {
        let answer = hilum.api().get_as(&path, "text/html, */*;q=0.1");
        assert!(!answer.kind.contains("html"), "{path}: {}", answer.kind);
    }
}
