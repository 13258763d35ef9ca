//! Whatever dies, and whenever: nothing acknowledged is lost, and a run leaves
//! exactly one result set.

use std::time::{Duration, Instant};

use hilum_testkit::{Series, wait_until};

use crate::hilum;

#[test]
fn a_server_killed_at_any_moment_of_a_run_leaves_one_result_set() {
    let mut hilum = hilum().with_fast_model().start();
    // Moments spread over quiet time, reading, computing and publishing.
    for (number, wait) in [100, 500, 900, 1_300, 1_700, 2_300].into_iter().enumerate() {
        let series = Series::another_study(&format!("1.2.3.{number}"), &[]);
        let study = series.study_uid().to_owned();
        hilum.takes(&series);
        std::thread::sleep(Duration::from_millis(wait));
        hilum = hilum.killed_and_restarted();
        let run = hilum.run_becomes(&study, "succeeded");
        assert_eq!(hilum.runs(&study).len(), 1, "killed after {wait} ms");
        assert_eq!(
            hilum.instances(&study, "SEG").len(),
            1,
            "killed after {wait} ms: {run}"
        );
        assert_eq!(
            hilum.instances(&study, "SR").len(),
            1,
            "killed after {wait} ms: {run}"
        );
        assert_eq!(hilum.instances(&study, "MR").len(), 20);
    }
    hilum.ends_sound();
}

#[test]
fn a_model_process_that_is_killed_is_tried_again() {
    let hilum = hilum().with_fast_model().start();
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes(&series);
    let process = wait_until("a model's process runs", 30, || {
        let computing = hilum
            .runs(study)
            .iter()
            .any(|run| run["state"] == "running");
        let process = hilum.model_processes().first().copied();
        process.filter(|_| computing)
    });
    hilum.kill_process(process);
    let run = hilum.run_becomes(study, "succeeded");
    assert_eq!(run["attempts"], 1, "one attempt was lost: {run}");
    assert_eq!(hilum.instances(study, "SEG").len(), 1);
    hilum.is_well();
}

#[test]
fn a_server_asked_to_stop_in_mid_run_hands_the_run_back() {
    let mut hilum = hilum().with_fast_model().start();
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes(&series);
    wait_until("the run is being computed", 30, || {
        hilum
            .runs(study)
            .iter()
            .any(|run| run["state"] == "running")
            .then_some(())
    });
    let asked = Instant::now();
    let status = hilum.terminated();
    assert!(status.success(), "{status}");
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    let hilum = hilum.restart();
    hilum.run_becomes(study, "succeeded");
    assert_eq!(hilum.instances(study, "SEG").len(), 1);
    hilum.ends_sound();
}

#[test]
fn a_broken_model_is_shown_and_harms_nothing_else() {
    let setup = hilum().with_fast_model();
    let broken = setup.models().join("broken");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("hilum-model.toml"), "format = 1\n[model]\n").unwrap();
    let good = setup.models().join("brain-mask-small");
    let network_gone = setup.models().join("network-gone");
    std::fs::create_dir_all(&network_gone).unwrap();
    let manifest = std::fs::read_to_string(good.join("hilum-model.toml")).unwrap();
    let manifest = manifest.replace("brain-mask-small", "network-gone");
    std::fs::write(network_gone.join("hilum-model.toml"), manifest).unwrap();
    let hilum = setup.start();

    let models = hilum.api().items("/api/v1/models");
    let broken: Vec<_> = models
        .iter()
        .filter(|model| model["state"] == "broken")
        .collect();
    assert_eq!(broken.len(), 2, "{models:?}");
    assert!(
        broken.iter().all(|model| model["problem"].is_string()),
        "{models:?}"
    );

    let series = Series::sample();
    hilum.takes(&series);
    hilum.run_becomes(series.study_uid(), "succeeded");
    hilum.is_well();
}
