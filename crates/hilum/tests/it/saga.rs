//! Input set → models → results → deliveries: what each step leaves behind when what
//! it stands on is taken back while it is under way.

use std::time::Duration;

use hilum_testkit::{Hilum, Series, Storescp, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::hilum;

/// Stops what computes a study's run in the middle of it; whoever holds it lets it
/// go on.
struct Held<'a> {
    hilum: &'a Hilum,
    process: Pid,
}

impl<'a> Held<'a> {
    fn run_of(hilum: &'a Hilum, study: &str) -> Self {
        let process = wait_until("a model computes", 60, || {
            let runs = hilum.runs(study);
            let computes = runs.iter().any(|run| run["state"] == "running");
            let process = hilum.model_processes().first().copied();
            process.filter(|_| computes)
        });
        let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
        kill_process(process, Signal::STOP).unwrap();
        Self { hilum, process }
    }

    fn goes_on(self) -> &'a Hilum {
        kill_process(self.process, Signal::CONT).unwrap();
        self.hilum
    }
}

fn delivering_to(pacs: &Storescp) -> Hilum {
    let setup = hilum().with_fast_model();
    setup.delivering_to("pacs", "PACS", pacs.address()).start()
}

fn delete(hilum: &Hilum, study: &str) {
    let path = format!("/api/v1/studies/{study}");
    let reason = json!({ "reason": "sent by mistake" });
    let answer = hilum.api().delete_with(&path, &reason);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The run has ended, and how.
fn ended(hilum: &Hilum, study: &str) -> Vec<Value> {
    wait_until("the run has ended", 60, || {
        let runs = hilum.runs(study);
        let is_over =
            |run: &Value| !["waiting", "running"].contains(&run["state"].as_str().unwrap());
        runs.iter().all(is_over).then_some(runs)
    })
}

#[test]
fn what_was_deleted_while_a_model_computed_it_has_no_results_and_nobody_gets_any() {
    let pacs = Storescp::up();
    let hilum = delivering_to(&pacs);
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes(&series);
    let held = Held::run_of(&hilum, study);
    delete(&hilum, study);
    held.goes_on();
    let runs = ended(&hilum, study);
    assert!(
        runs.iter().all(|run| run["state"] != "succeeded"),
        "{runs:?}"
    );
    for modality in ["MR", "SEG", "SR"] {
        assert!(
            hilum.instances(study, modality).is_empty(),
            "{modality}: {runs:?}"
        );
    }
    assert!(hilum.deliveries(study).is_empty());
    assert!(pacs.received().is_empty());
    let jobs = hilum.api().items("/api/v1/jobs");
    assert!(jobs.is_empty(), "{jobs:?}");
    hilum.ends_sound();
}

#[test]
fn what_was_deleted_before_it_was_delivered_is_not_delivered() {
    let mut pacs = Storescp::down();
    let hilum = delivering_to(&pacs);
    let (gone, stays) = (Series::sample(), Series::another_study("1.2.3.80", &[]));
    hilum.takes(&gone);
    hilum.takes(&stays);
    for study in [gone.study_uid(), "1.2.3.80"] {
        hilum.run_becomes(study, "succeeded");
        wait_until("a delivery waits", 30, || {
            let tried = |one: &Value| one["attempts"].as_i64() >= Some(1);
            hilum.deliveries(study).iter().any(tried).then_some(())
        });
    }
    delete(&hilum, gone.study_uid());
    pacs.comes_up();
    wait_until("what stays is delivered", 60, || {
        let is = |one: &Value| one["state"] == "delivered";
        hilum.deliveries("1.2.3.80").iter().all(is).then_some(())
    });
    let left = wait_until("the other is given up", 60, || {
        let left = hilum.deliveries(gone.study_uid());
        let waits = |one: &Value| ["waiting", "sending"].contains(&one["state"].as_str().unwrap());
        (!left.iter().any(waits)).then_some(left)
    });
    assert!(
        left.iter().all(|one| one["state"] != "delivered"),
        "{left:?}"
    );
    assert_eq!(pacs.received().len(), 2, "{left:?}");
    // Nobody is asked to look after what somebody deleted.
    let jobs = hilum.api().items("/api/v1/jobs");
    assert!(jobs.is_empty(), "{jobs:?}");
    hilum.ends_sound();
}

#[test]
fn what_grew_while_a_model_computed_it_is_delivered_as_it_is_in_the_end() {
    let pacs = Storescp::up();
    let hilum = delivering_to(&pacs);
    let series = Series::sample();
    let study = series.study_uid();
    assert!(hilum.receives(&series.files()[..19]).accepted);
    let held = Held::run_of(&hilum, study);
    assert!(hilum.receives(&series.files()[19..]).accepted);
    wait_until("the new revision is ready", 30, || {
        let sets = hilum.input_sets(study);
        let is = |set: &Value| set["revision"] == 2 && set["state"] == "ready";
        sets.iter().any(is).then_some(())
    });
    held.goes_on();
    hilum.run_becomes(study, "succeeded");
    let runs = ended(&hilum, study);
    wait_until("everything is delivered", 60, || {
        let all = hilum.deliveries(study);
        let is = |one: &Value| one["state"] == "delivered";
        (!all.is_empty() && all.iter().all(is)).then_some(())
    });
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(hilum.instances(study, "SEG").len(), 1, "{runs:?}");
    assert_eq!(hilum.instances(study, "SR").len(), 1, "{runs:?}");
    hilum.ends_sound();
}
