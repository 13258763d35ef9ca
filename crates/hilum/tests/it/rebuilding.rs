//! The index is lost, and is made again from objects and keys alone.

use hilum_testkit::{Hilum, Series};
use serde_json::{Value, json};

use crate::hilum;

/// Everything that can be asked about two tenants, and the answers.
fn answers(hilum: &Hilum, studies: &[(&str, &str)]) -> Vec<(String, Value)> {
    let mut paths = Vec::new();
    for tenant in ["a", "b"] {
        for path in [
            "/dicomweb/studies?includefield=all",
            "/dicomweb/series?includefield=all",
            "/dicomweb/instances?includefield=all",
            "/dicomweb/studies?PatientID=*&ModalitiesInStudy=MR",
            "/api/v1/studies",
            "/api/v1/instance-conflicts",
            "/api/v1/quarantine",
            "/api/v1/deletions",
            "/api/v1/holds",
            "/api/v1/storage",
        ] {
            paths.push((tenant, path.to_owned()));
        }
    }
    for (tenant, study) in studies {
        paths.push((tenant, format!("/dicomweb/studies/{study}/metadata")));
        paths.push((tenant, format!("/api/v1/studies/{study}")));
    }
    paths
        .into_iter()
        .map(|(tenant, path)| {
            let answer = hilum.api().get_for(tenant, &path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            // Where the server is and how long its files are differs from start to start.
            let text = answer.text().replace(&hilum.url(), "");
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            if let Some(fields) = answer.as_object_mut() {
                fields.remove("index_bytes");
                fields.remove("key_bytes");
            }
            // Conflicts and quarantined items are numbered by rows, and a note is
            // written milliseconds before the deletion that it tells of.
            let items = answer.get_mut("items").and_then(Value::as_array_mut);
            for item in items.into_iter().flatten() {
                if let Some(fields) = item.as_object_mut() {
                    fields
                        .retain(|name, value| name != "at" && (name != "id" || !value.is_number()));
                }
            }
            (format!("{tenant} {path}"), answer)
        })
        .collect()
}

#[test]
fn an_index_made_from_objects_and_keys_answers_as_the_lost_one_did() {
    let hilum = hilum().with_fast_model().start();
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes(&series);
    hilum.run_becomes(study, "succeeded");
    // Another encoding of one slice, another content of one, something broken.
    let words = series.changed(&["StudyDescription=OTHER WORDS"]);
    let pixels = series.with_other_pixels();
    for files in [&words.files()[..1], &pixels.files()[1..2]] {
        assert!(hilum.receives(files).accepted);
    }
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(series.slice(3)).unwrap();
    let broken = folder.path().join("broken");
    std::fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    let _refused = hilum.stow(&[&broken]);
    // Another tenant: the same study, and one of its own.
    let other = Series::another_study("1.2.3.81", &["PatientID=81"]);
    for series in [&series, &other] {
        assert!(hilum.receives_for("HILUM_B", series.files()).accepted);
    }
    let studies = [("a", study), ("b", study), ("b", "1.2.3.81")];
    assert_eq!(hilum.api().items("/api/v1/instance-conflicts").len(), 1);
    assert_eq!(hilum.api().items("/api/v1/quarantine").len(), 1);
    for (_, study) in &studies[1..] {
        hilum_testkit::wait_until("the input set is ready", 30, || {
            let path = format!("/api/v1/studies/{study}");
            let answer = hilum.api().get_for("b", &path).json();
            (answer["series"][0]["input_sets"][0]["state"] == "ready").then_some(())
        });
    }
    // What was decided is noted beside the objects.
    let slice = hilum.instances(study, "MR").remove(7);
    let uid = |tag: &str| slice[tag]["Value"][0].as_str().unwrap().to_owned();
    let path = format!(
        "/api/v1/studies/{study}/series/{}/instances/{}",
        uid("0020000E"),
        uid("00080018")
    );
    let reason = json!({ "reason": "blurred" });
    assert_eq!(hilum.api().delete_with(&path, &reason).status, 200);
    let hold = ["hold", "place", "--study", study, "--reason", "a claim"];
    let (answer, well) = hilum.command_json(&hold);
    assert!(well, "{answer}");
    let before = answers(&hilum, &studies);

    let mut hilum = hilum;
    assert!(hilum.terminated().success());
    for end in ["", "-wal", "-shm"] {
        let _none = std::fs::remove_file(hilum.data().join(format!("archive.sqlite{end}")));
    }
    let (report, well) = hilum.command_json(&["verify", "--rebuild-index"]);
    assert!(well, "{report}");
    assert_eq!(report["fault_count"], 0);
    assert_eq!(report["rebuilt"]["quarantined"], 1, "{report}");
    assert_eq!(report["rebuilt"]["kept_old"], false);
    let path = format!("/api/v1/studies/{study}");

    let hilum = hilum.restart();
    for (before, after) in before.into_iter().zip(answers(&hilum, &studies)) {
        assert_eq!(before, after);
    }
    // Nothing starts anew, what comes again is known, what was deleted stays
    // away, and what is held is not deleted.
    let _refused = hilum.receives(series.files());
    assert_eq!(hilum.runs(study).len(), 1);
    assert_eq!(hilum.instances(study, "MR").len(), 19);
    assert_eq!(hilum.api().delete_with(&path, &reason).status, 409);
    hilum.ends_sound();
}

#[test]
fn an_index_is_made_again_beside_the_old_one_and_says_what_is_damaged() {
    let mut hilum = hilum().start();
    hilum.takes(&Series::another_study("1.2.3.82", &["PatientID=GONE-82"]));
    let patient = json!({ "patient_id": "GONE-82", "issuer": null });
    let erased = hilum.api().post("/api/v1/erasures", &patient);
    assert_eq!(erased.status, 200, "{}", erased.text());
    let certificates = hilum.api().items("/api/v1/erasures");
    assert_eq!(certificates.len(), 1);
    hilum.takes(&Series::sample());
    assert!(hilum.terminated().success());
    let mut objects = Vec::new();
    let mut folders = vec![hilum.data().join("objects")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                objects.push(path);
            }
        }
    }
    let object = &objects[0];
    let mut bytes = std::fs::read(object).unwrap();
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    std::fs::write(object, bytes).unwrap();
    let (report, well) = hilum.command_json(&["verify", "--rebuild-index"]);
    assert!(!well, "an object was cut off: {report}");
    assert_eq!(report["rebuilt"]["kept_old"], true);
    assert_eq!(report["rebuilt"]["fault_count"], 1);
    assert_eq!(report["rebuilt"]["faults"][0]["fault"], json!("corrupt"));
    assert!(hilum.data().join("archive.sqlite.before").is_file());
    // What no object tells comes from the old index.
    let hilum = hilum.restart();
    assert_eq!(hilum.api().items("/api/v1/erasures"), certificates);
}
