//! Whatever dies, and whenever: nothing acknowledged is lost, and a run leaves
//! exactly one result set.

use std::time::{Duration, Instant};

use hilum_testkit::{Series, wait_until};

use crate::hilum;

/// Longer than a run of the fast model takes, quiet time and start included.
const WHOLE_RUN_MS: u64 = 4_000;

/// Kills the server at random moments of so many runs, every third time again
/// while it recovers.
fn kills_at_random(runs: usize) {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut hilum = hilum().with_fast_model().start();
    for number in 0..runs {
        let series = Series::another_study(&format!("1.2.3.{number}"), &[]);
        let study = series.study_uid().to_owned();
        hilum.takes(&series);
        let mut waits = vec![random.u64(..WHOLE_RUN_MS)];
        if number % 3 == 2 {
            waits.push(random.u64(..WHOLE_RUN_MS));
        }
        for wait in &waits {
            std::thread::sleep(Duration::from_millis(*wait));
            hilum = hilum.killed_and_restarted();
        }
        let killed = format!("seed {seed}, run {number}, killed after {waits:?} ms");
        let run = hilum.run_becomes(&study, "succeeded");
        assert_eq!(hilum.runs(&study).len(), 1, "{killed}");
        for (modality, count) in [("SEG", 1), ("SR", 1), ("MR", 20)] {
            let found = hilum.instances(&study, modality).len();
            assert_eq!(found, count, "{modality}, {killed}: {run}");
        }
    }
    hilum.ends_sound();
}

#[test]
fn a_server_killed_at_random_moments_of_a_run_leaves_one_result_set() {
    kills_at_random(6);
}

#[test]
#[ignore = "long: two minutes of runs and kills"]
fn a_server_killed_at_many_random_moments_leaves_one_result_set_each() {
    kills_at_random(24);
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
