//! The web application and the viewer in a real browser: what a person would
//! stumble over fails (see `web/e2e/`).

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hilum_testkit::{Hilum, Series, Storescp, wait_until};

use crate::hilum;
use crate::hostile::deflated;

/// Walks one of the walks of `web/e2e`, and tells what it printed.
fn walks(hilum: &Hilum, walk: &str, names: &[(&str, &str)]) -> String {
    let token = hilum.api().operator_token();
    let named = [&[("HILUM_TOKEN", token.as_str())], names].concat();
    walks_at(&hilum.url(), walk, &named)
}

fn walks_at(url: &str, walk: &str, names: &[(&str, &str)]) -> String {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    assert!(
        web.join("dist/index.html").is_file() && web.join("node_modules").is_dir(),
        "the web application is not built: run `make web`"
    );
    let output = Command::new("node")
        .arg(format!("e2e/{walk}"))
        .current_dir(web)
        .env("HILUM_URL", url)
        .envs(names.iter().copied())
        .output()
        .expect("node runs (`make test-deps` installs it)");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

/// `hilum serve` as a person starts it, on a folder that is not there yet.
struct Started {
    child: Child,
    url: String,
    set_up_link: String,
}

impl Started {
    fn on(data: &Path) -> Self {
        let models: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../models"]
            .iter()
            .collect();
        let mut child = Command::new(env!("CARGO_BIN_EXE_hilum"))
            .args(["serve", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            .arg("--models")
            .arg(models)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the hilum binary starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut printed = |name: &str| {
            let line = lines.find(|line| line.starts_with(name));
            let line = line.unwrap_or_else(|| panic!("hilum serve prints no line {name}"));
            line[name.len()..].trim().to_owned()
        };
        let (url, set_up_link) = (printed("Web"), printed("Set up"));
        Self {
            child,
            url,
            set_up_link,
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
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

#[test]
fn a_person_goes_from_the_set_up_link_to_the_first_result() {
    let folder = tempfile::tempdir().unwrap();
    let hilum = Started::on(&folder.path().join("data"));
    let series = Series::another_study("1.2.3.71", &["PatientID=71"]);
    let samples = series.slice(0).parent().unwrap();
    let printed = walks_at(
        &hilum.url,
        "first-study.mjs",
        &[
            ("HILUM_SET_UP", &hilum.set_up_link),
            ("HILUM_SAMPLES", samples.to_str().unwrap()),
            ("HILUM_RESULT", "yes"),
        ],
    );
    println!("{printed}");
}

#[test]
fn a_person_administers_and_each_role_sees_what_it_may() {
    let pacs = Storescp::up();
    let hilum = hilum()
        .with_setting("deliveries", "{ networks = [\"127.0.0.0/8\"] }")
        .start();
    let html = "<img src=x onerror=window.stumbled=1>";
    let named = Series::another_study(
        "1.2.3.72",
        &[
            &format!("PatientName={html}"),
            &format!("StudyDescription={html}"),
            &format!("SeriesDescription={html}"),
            "PatientID=<b>72</b>",
        ],
    );
    hilum.takes(&named);
    let image = Series::another_study("1.2.3.73", &["PatientID=73"]);
    walks(
        &hilum,
        "administration.mjs",
        &[
            ("HILUM_STUDY", "1.2.3.72"),
            ("HILUM_DICOM", &hilum.dicom().to_string()),
            ("HILUM_IMAGE", image.slice(0).to_str().unwrap()),
            ("HILUM_PACS", &pacs.address().to_string()),
        ],
    );
    hilum.ends_sound();
}
