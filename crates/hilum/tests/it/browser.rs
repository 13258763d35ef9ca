//! The web application and the viewer in a real browser: what a person would
//! stumble over fails (see `web/e2e/`).

use std::process::Command;

use hilum_testkit::{Hilum, Series, Storescp, wait_until};

use crate::hilum;
use crate::hostile::deflated;

/// Walks one of the walks of `web/e2e`.
fn walks(hilum: &Hilum, walk: &str, names: &[(&str, &str)]) {
    let web = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    assert!(
        web.join("dist/index.html").is_file() && web.join("node_modules").is_dir(),
        "the web application is not built: run `make web`"
    );
    let output = Command::new("node")
        .arg(format!("e2e/{walk}"))
        .current_dir(web)
        .env("HILUM_URL", hilum.url())
        .env("HILUM_TOKEN", hilum.api().operator_token())
        .envs(names.iter().copied())
        .output()
        .expect("node runs (`make test-deps` installs it)");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_person_walks_through_the_application_and_sees_the_mask_in_the_viewer() {
    let hilum = hilum().with_shipped_models().start();
    let series = Series::sample();
    hilum.takes(&series);
    hilum.run_becomes(series.study_uid(), "succeeded");
    walks(&hilum, "run.mjs", &[("HILUM_STUDY", series.study_uid())]);
}

#[test]
fn a_person_presses_what_decides_and_what_tries_again() {
    let (given_up, failed) = ("1.2.3.61", "1.2.3.62");
    let mut pacs = Storescp::up_for_ct_only();
    let hilum = hilum()
        .with_fast_model()
        .with_setting("inflated_max_mb", 1)
        .delivering_to("pacs", "PACS", pacs.address())
        .start();

    // A destination that refuses what it is sent, until its settings change.
    hilum.takes(&Series::another_study(given_up, &["PatientID=61"]));
    wait_until("the delivery is given up", 60, || {
        let deliveries = hilum.deliveries(given_up);
        deliveries
            .into_iter()
            .find(|one| one["state"] == "given-up")
    });
    pacs.comes_up();

    // A model whose process is killed as often as a run is tried.
    hilum.takes(&Series::another_study(failed, &["PatientID=62"]));
    wait_until("the run has failed", 90, || {
        let run = hilum.runs(failed).into_iter().next()?;
        if run["state"] == "running" {
            let processes = hilum.model_processes();
            processes.iter().for_each(|pid| hilum.kill_process(*pid));
        }
        (run["state"] == "failed").then_some(())
    });

    // One patient born twice, and one image with two contents.
    let ct = ["Modality=CT", "SOPClassUID=1.2.840.10008.5.1.4.1.1.2"];
    for (study, born) in [("1.2.3.63", "19700101"), ("1.2.3.64", "19800202")] {
        let born = format!("PatientBirthDate={born}");
        let series = Series::another_study(study, &[&ct[..], &["PatientID=63", &born]].concat());
        let sent = hilum.receives(&series.files()[..1]);
        assert!(sent.accepted, "{}", sent.output);
        if study == "1.2.3.64" {
            let sent = hilum.receives(&series.with_other_pixels().files()[..1]);
            assert!(sent.accepted, "{}", sent.output);
        }
    }
    wait_until("both conflicts are open", 30, || {
        ["patient-conflicts", "instance-conflicts"]
            .iter()
            .all(|kind| hilum.api().items(&format!("/api/v1/{kind}")).len() == 1)
            .then_some(())
    });

    // What a limit refused that is higher now.
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(hilum.stow(&[deflated(folder.path())]).status, 409);
    let hilum = hilum.restarted_with("inflated_max_mb", 1024);

    walks(
        &hilum,
        "press.mjs",
        &[("HILUM_FAILED", failed), ("HILUM_GIVEN_UP", given_up)],
    );
    for list in ["patient-conflicts", "instance-conflicts", "quarantine"] {
        let items = hilum.api().items(&format!("/api/v1/{list}"));
        assert!(items.is_empty(), "{list}: {items:?}");
    }
    assert_eq!(pacs.received().len(), 4, "results of both studies");
    hilum.ends_sound();
}

#[test]
fn a_person_corrects_deletes_and_moves_series_and_merges_studies_and_patients() {
    let hilum = hilum().start();
    let corrected = Series::another_study("1.2.3.66", &["PatientID=66"]);
    hilum.takes(&corrected);
    let two = Series::another_study("1.2.3.67", &["PatientID=67"]);
    hilum.takes(&two);
    let second = Series::another_study(
        "1.2.3.67",
        &["PatientID=67", "SeriesInstanceUID=1.2.3.67.2"],
    );
    hilum.takes(&second);
    let surviving = Series::another_study("1.2.3.70", &["PatientID=70", "PatientName=Roe^Jane"]);
    hilum.takes(&surviving);
    walks(
        &hilum,
        "manage.mjs",
        &[
            ("HILUM_STUDY", "1.2.3.66"),
            ("HILUM_DELETED", "1.2.3.67"),
            ("HILUM_SURVIVING", "1.2.3.70"),
        ],
    );
    hilum.ends_sound();
}
