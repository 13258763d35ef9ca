//! What senders do to a series: break off, repeat, come late, contradict
//! themselves, call wrongly.

use std::process::Command;
use std::time::Duration;

use hilum_contracts::access::Role;
use hilum_testkit::{Orthanc, Series, run, wait_until};
use serde_json::json;

use crate::hilum;
use crate::isolation::key;

#[test]
fn a_series_that_breaks_off_is_kept_and_waits_for_the_rest() {
    for end in ["abort", "vanish"] {
        let hilum = hilum().with_fast_model().start();
        let series = Series::sample();
        let study = series.study_uid();
        hilum.takes_from_broken_sender(&series.files()[..7], end);

        let set = hilum.input_set_becomes(study, "incomplete");
        assert_eq!(set["reason_code"], "association-aborted", "{end}");
        assert_eq!(hilum.instances(study, "MR").len(), 7, "{end}");
        std::thread::sleep(Duration::from_secs(1));
        assert!(hilum.runs(study).is_empty(), "{end}");

        hilum.takes(&series);
        let set = hilum.input_set_becomes(study, "ready");
        assert_eq!(set["instance_count"], 20, "{end}");
        assert_eq!(set["revision"], 1, "{end}");
    }
}

#[test]
fn a_series_of_which_something_was_refused_waits_for_it() {
    let hilum = hilum()
        .with_fast_model()
        .with_rules_for_a("quota_instances = 20")
        .start();
    // No model wants it: results would take room as well.
    let not_wanted = ["Modality=CT", "SOPClassUID=1.2.840.10008.5.1.4.1.1.2"];
    let other = Series::another_study("1.2.3.71", &not_wanted);
    assert!(hilum.receives(&other.files()[..3]).accepted);
    let series = Series::sample();
    let study = series.study_uid();
    let items: Vec<_> = series
        .files()
        .iter()
        .map(|file| json!({ "path": file, "part10": true }))
        .collect();
    // Its association is released in order: it knows what it has to send again.
    let statuses = hilum.receives_raw(&[], &items);
    assert_eq!(
        statuses,
        [vec![Some(0); 17], vec![Some(0xa700); 3]].concat()
    );
    // Events of what was stored may come after the end of the association.
    wait_until("what was taken is counted", 30, || {
        let set = hilum.input_set_becomes(study, "incomplete");
        (set["instance_count"] == 17).then_some(())
    });
    let stow = hilum.stow(&series.files()[16..]);
    assert_eq!(stow.status, 202, "{}", stow.text());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(hilum.input_set_becomes(study, "incomplete")["revision"], 1);
    assert!(hilum.runs(study).is_empty());

    let path = "/api/v1/studies/1.2.3.71";
    let reason = json!({ "reason": "room is needed" });
    assert_eq!(hilum.api().delete_with(path, &reason).status, 200);
    assert_eq!(hilum.stow(&series.files()[17..]).status, 200);
    let set = hilum.input_set_becomes(study, "ready");
    assert_eq!(
        (&set["instance_count"], &set["revision"]),
        (&json!(20), &json!(1))
    );
    hilum.run_becomes(study, "succeeded");
}

#[test]
fn a_person_accepts_what_broke_off_as_it_is() {
    let hilum = hilum().with_fast_model().start();
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes_from_broken_sender(series.files(), "abort");
    let set = hilum.input_set_becomes(study, "incomplete");
    let path = format!("/api/v1/input-sets/{}/accept", set["id"].as_str().unwrap());
    let answer = hilum.api().post(&path, &json!({}));
    assert_eq!(answer.status, 204, "{}", answer.text());
    let set = hilum.input_set_becomes(study, "ready");
    assert_eq!(set["reason_code"], "accepted-by-person");
    hilum.run_becomes(study, "succeeded");
}

#[test]
fn a_late_image_starts_a_new_revision_and_supersedes_the_old_run() {
    let hilum = hilum().with_fast_model().start();
    let series = Series::sample();
    let study = series.study_uid();
    let sent = hilum.receives(&series.files()[..19]);
    assert!(sent.accepted, "{}", sent.output);
    hilum.run_becomes(study, "succeeded");

    let sent = hilum.receives(&series.files()[19..]);
    assert!(sent.accepted, "{}", sent.output);
    let old = hilum.run_becomes(study, "superseded");
    let new = hilum.run_becomes(study, "succeeded");
    assert_eq!(
        (&old["input_revision"], &new["input_revision"]),
        (&json!(1), &json!(2))
    );
    let sets = hilum.input_sets(study);
    let states: Vec<_> = sets.iter().map(|set| &set["state"]).collect();
    assert_eq!(states, ["superseded", "ready"]);
    assert_eq!(sets[1]["instance_count"], 20);
}

#[test]
fn a_result_that_comes_back_starts_nothing() {
    let hilum = hilum().with_fast_model().start();
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes(&series);
    hilum.run_becomes(study, "succeeded");

    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for modality in ["SEG", "SR"] {
        let instance = hilum.instances(study, modality).remove(0);
        let uid = |tag: &str| instance[tag]["Value"][0].as_str().unwrap().to_owned();
        let path = format!(
            "/dicomweb/studies/{study}/series/{}/instances/{}",
            uid("0020000E"),
            uid("00080018")
        );
        let multipart = hilum
            .api()
            .get_as(&path, "multipart/related; type=\"application/dicom\"");
        assert_eq!(multipart.status, 200);
        let file = folder.path().join(modality);
        std::fs::write(&file, only_part(&multipart.body)).unwrap();
        files.push(file);
    }
    // storescu encodes anew, pynetdicom sends the bytes as they are.
    let sent = hilum.receives(&files);
    assert!(sent.accepted, "{}", sent.output);
    let items: Vec<_> = files
        .iter()
        .map(|file| json!({ "path": file, "part10": true }))
        .collect();
    assert_eq!(hilum.receives_raw(&[], &items), [Some(0), Some(0)]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(hilum.runs(study).len(), 1);
    assert_eq!(hilum.instances(study, "SEG").len(), 1);
    assert!(hilum.api().items("/api/v1/instance-conflicts").is_empty());
}

/// The body of a multipart answer's only part.
fn only_part(body: &[u8]) -> &[u8] {
    let body = body.strip_prefix(b"\r\n").unwrap_or(body);
    let boundary_end = body
        .windows(2)
        .position(|bytes| bytes == b"\r\n")
        .expect("a boundary");
    let boundary = &body[..boundary_end];
    let start = body
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("headers")
        + 4;
    let end = body[start..]
        .windows(boundary.len())
        .rposition(|bytes| bytes == boundary)
        .expect("an end")
        + start;
    &body[start..end - 2]
}

#[test]
fn the_same_image_twice_is_one_and_another_content_is_a_conflict() {
    let hilum = hilum().start();
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes(&series);
    hilum.takes(&series);
    assert_eq!(hilum.instances(study, "MR").len(), 20);
    assert!(hilum.api().items("/api/v1/instance-conflicts").is_empty());

    // Other words beside the same pixels are a variant: the first is served,
    // both are kept, and nobody is asked.
    let other = series.changed(&["StudyDescription=OTHER WORDS"]);
    let sent = hilum.receives(&other.files()[..1]);
    assert!(sent.accepted, "{}", sent.output);
    wait_until("the pixels were compared", 30, || {
        let conflicts = hilum.api().items("/api/v1/instance-conflicts");
        conflicts.is_empty().then_some(())
    });

    let other = series.with_other_pixels();
    let sent = hilum.receives(&other.files()[..1]);
    assert!(sent.accepted, "{}", sent.output);
    let conflicts = hilum.api().items("/api/v1/instance-conflicts");
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    let uid = conflicts[0]["sop_instance_uid"].as_str().unwrap();
    let metadata = hilum
        .api()
        .get(&format!("/dicomweb/studies/{study}/metadata"));
    let served = metadata
        .json()
        .as_array()
        .unwrap()
        .iter()
        .find(|instance| instance["00080018"]["Value"][0] == uid)
        .cloned()
        .unwrap();
    assert_eq!(
        served["00081030"]["Value"][0], "BRAIN",
        "the first one is served"
    );
    hilum.ends_sound();
}

#[test]
fn tenants_see_nothing_of_each_other_and_unknown_titles_are_rejected() {
    let hilum = hilum().start();
    let series = Series::sample();
    let sent = hilum.receives_for("SOMEBODY", series.files());
    assert!(
        !sent.accepted && sent.output.contains("Called AE Title Not Recognized"),
        "{}",
        sent.output
    );

    let theirs = Series::another_study("1.2.3.4", &[]);
    let sent = hilum.receives_for("HILUM_B", theirs.files());
    assert!(sent.accepted, "{}", sent.output);
    // HTTP serves the first tenant.
    let api = hilum.api();
    assert!(api.items("/api/v1/studies").is_empty());
    for path in [
        "/api/v1/studies/1.2.3.4",
        "/dicomweb/studies/1.2.3.4",
        "/dicomweb/studies/1.2.3.4/metadata",
    ] {
        assert_eq!(api.get(path).status, 404, "{path}");
    }
    // The same study may be both's, and stays apart.
    hilum.takes(&Series::another_study("1.2.3.4", &[]));
    assert_eq!(hilum.instances("1.2.3.4", "MR").len(), 20);
    hilum.ends_sound();
}

#[test]
fn a_study_that_no_model_wants_is_stored() {
    let hilum = hilum().with_fast_model().start();
    let series = Series::another_study(
        "1.2.3.9",
        &["Modality=CT", "SOPClassUID=1.2.840.10008.5.1.4.1.1.2"],
    );
    hilum.takes(&series);
    hilum.input_set_becomes("1.2.3.9", "ready");
    std::thread::sleep(Duration::from_secs(1));
    assert!(hilum.runs("1.2.3.9").is_empty());
    assert_eq!(hilum.instances("1.2.3.9", "CT").len(), 20);
}

#[test]
fn dicom_storescu_sends_in_one_association_and_in_several_at_once() {
    let hilum = hilum().with_fast_model().start();
    for (study, associations) in [("1.2.3.21", 0), ("1.2.3.24", 4)] {
        let series = Series::another_study(study, &[]);
        let sent = hilum.receives_from_dicom_storescu(series.files(), associations);
        assert!(sent.accepted, "{}", sent.output);
        assert_eq!(hilum.instances(study, "MR").len(), 20);
        let set = hilum.input_set_becomes(study, "ready");
        assert_eq!(set["instance_count"], 20);
        assert_eq!(set["revision"], 1, "{set}");
        hilum.run_becomes(study, "succeeded");
    }
    hilum.ends_sound();
}

#[test]
fn an_echo_is_answered() {
    let hilum = hilum().start();
    let output = run(Command::new("echoscu")
        .args(["-v", "-aec", "HILUM_A"])
        .arg(hilum.dicom().ip().to_string())
        .arg(hilum.dicom().port().to_string()));
    assert!(output.status.success());
}

#[test]
fn orthanc_sends_by_dicom_and_by_dicomweb_with_the_settings_that_are_shown() {
    let hilum = hilum().start();
    let (at, key) = (hilum.dicom(), key(&hilum, "a", Role::Integration));
    // As `web/src/lib/snippets.ts` writes them.
    let orthanc = Orthanc::up_with(&json!({
        "DicomModalities": { "hilum": ["HILUM_A", at.ip(), at.port()] },
        "DicomWeb": { "Servers": { "hilum": {
            "Url": format!("{}/dicomweb/", hilum.url()),
            "HttpHeaders": { "Authorization": format!("Bearer {key}") },
        } } },
    }));
    for study in ["1.2.3.81", "1.2.3.82"] {
        let series = Series::another_study(study, &[]);
        let known = orthanc.takes(&series.files()[..3]);
        let (path, body) = match study {
            "1.2.3.81" => ("/modalities/hilum/store", json!([known])),
            _ => (
                "/dicom-web/servers/hilum/stow",
                json!({ "Resources": [known] }),
            ),
        };
        let sent = orthanc.api().post(path, &body);
        assert_eq!(sent.status, 200, "{path}: {}", sent.text());
        assert_eq!(hilum.instances(study, "MR").len(), 3, "{path}");
    }
    hilum.ends_sound();
}
