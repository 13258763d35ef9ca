//! Tenants that live on two shards and move between them while they work.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hilum_testkit::{Api, Hilum, Series, Shards, Storescp, run, storescu, wait_until};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_hilum");

/// How many studies of this UID a tenant finds at a door.
fn found(api: Api, tenant: &str, study: &str) -> usize {
    let answer = api.get_for(
        tenant,
        &format!("/dicomweb/studies?StudyInstanceUID={study}"),
    );
    match answer.status {
        204 => 0,
        200 => answer.json().as_array().map_or(0, Vec::len),
        other => panic!("{study}: {other} {}", answer.text()),
    }
}

/// Where a tenant lives, as `hilum tenants list` says.
fn lives_on(shards: &Shards, tenant: &str) -> String {
    let (list, _) = shards.main.command_json(&["tenants", "list"]);
    let tenants = list["tenants"].as_array().cloned().unwrap_or_default();
    let one = tenants.iter().find(|one| one["name"] == tenant).unwrap();
    one["shard"].as_str().unwrap().to_owned()
}

/// `hilum tenants move`, killed at a step where one is named; whether it ended well.
fn moved(shards: &Shards, tenant: &str, arguments: &[&str], dies_at: &str) -> (bool, String) {
    let mut command = Command::new(BINARY);
    command.args(["tenants", "move", tenant]).args(arguments);
    command.args(shards.main.installation());
    let done = run(command.env("MOVE_DIES_AT", dies_at));
    let said = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (done.status.success(), said.concat())
}

fn moves(shards: &Shards, tenant: &str, to: &str) {
    let (well, said) = moved(shards, tenant, &["--to", to], "");
    assert!(well, "{said}");
    assert_eq!(lives_on(shards, tenant), to);
}

fn verifies(api: Api, tenant: &str) {
    let who = hilum_testkit::As::Operator(tenant);
    let answer = api.send("POST", "/api/v1/audit/verify", who, Some(&json!({})));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["intact"], true, "{tenant}: {}", answer.text());
}

/// Nothing panicked, and both archives are whole.
fn end_sound(shards: Shards) {
    let log = [shards.main.log(), shards.north.log()].concat();
    assert!(!log.contains("panicked"), "{log}");
    let Shards {
        main, north, place, ..
    } = shards;
    main.ends_sound();
    north.ends_sound();
    drop(place);
}

/// Results that are shown of a study, by modality.
fn results(hilum: &Hilum, study: &str) -> (usize, usize) {
    let of = |modality| hilum.instances(study, modality).len();
    (of("SEG"), of("SR"))
}

#[test]
fn a_tenant_moves_to_another_shard_with_everything_and_back() {
    let storescp = Storescp::up();
    let shards = Shards::over_brokers(BINARY, Some(storescp.address()));
    let (main, north) = (&shards.main, &shards.north);
    let born = ["PatientID=1", "PatientBirthDate=19010101"];
    main.takes(&Series::another_study("1.2.3.1", &born));
    main.run_becomes("1.2.3.1", "succeeded");
    let other = Series::another_study("1.2.3.9", &["PatientID=1"]);
    assert!(main.receives_for("HILUM_B", other.files()).accepted);
    wait_until("its results are delivered", 60, || {
        let all = main.deliveries("1.2.3.1");
        (all.len() == 1 && all[0]["state"] == "delivered").then_some(())
    });
    let before = results(main, "1.2.3.1");

    moves(&shards, "a", "north");

    assert_eq!(shards.rows("hilum", "a"), 0);
    assert!(shards.rows("hilum", "b") > 0);
    assert_eq!(shards.rows("north", "b"), 0);
    // Whichever door somebody comes to.
    for api in [main.api(), north.api()] {
        assert_eq!(found(api, "a", "1.2.3.1"), 1);
        assert_eq!(found(api, "b", "1.2.3.9"), 1);
        assert_eq!(found(api, "b", "1.2.3.1"), 0);
        for tenant in ["a", "b"] {
            verifies(api, tenant);
        }
    }
    assert_eq!(results(main, "1.2.3.1"), before);
    // A device goes on sending to where it did.
    let series = Series::another_study("1.2.3.2", &["PatientID=2"]);
    assert!(main.receives(series.files()).accepted);
    assert!(north.receives(series.files()).accepted);
    north.run_becomes("1.2.3.2", "succeeded");
    assert_eq!(found(main.api(), "a", "1.2.3.2"), 1);
    let elsewhere = Series::another_study("1.2.3.3", &["PatientID=3"]);
    assert_eq!(main.stow(elsewhere.files()).status, 200);
    assert_eq!(found(north.api(), "a", "1.2.3.3"), 1);
    // What is known of the first patient came along: another birth date is a conflict.
    let changes = ["PatientID=1", "PatientBirthDate=19370313"];
    assert!(
        north
            .receives(Series::another_study("1.2.3.4", &changes).files())
            .accepted
    );
    wait_until("the conflict is found", 30, || {
        let open = main.api().items("/api/v1/patient-conflicts");
        (!open.is_empty()).then_some(())
    });
    assert_eq!(found(main.api(), "a", "1.2.3.4"), 1);
    wait_until("what followed of it is done", 90, || {
        let waits = main.api().items("/api/v1/jobs?state=waiting");
        waits.is_empty().then_some(())
    });

    moves(&shards, "a", "main");

    assert_eq!(shards.rows("north", "a"), 0);
    for study in ["1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4"] {
        assert_eq!(found(main.api(), "a", study), 1, "{study}");
        assert_eq!(found(north.api(), "a", study), 1, "{study}");
    }
    main.takes(&Series::another_study("1.2.3.5", &["PatientID=5"]));
    main.run_becomes("1.2.3.5", "succeeded");
    for tenant in ["a", "b"] {
        verifies(main.api(), tenant);
    }
    end_sound(shards);
}

/// What is asked all the while: by how many, and what was answered that should not be.
struct Load<'s> {
    shards: &'s Shards,
    over: AtomicBool,
    looked: AtomicUsize,
    refused: AtomicUsize,
    /// Studies that were acknowledged as a whole.
    acknowledged: Mutex<BTreeSet<String>>,
    wrong: Mutex<Vec<String>>,
}

impl<'s> Load<'s> {
    fn new(shards: &'s Shards) -> Self {
        Self {
            shards,
            over: AtomicBool::new(false),
            looked: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Looks at a study of the tenant at both doors: nothing may fail.
    fn reads(&self, study: &str, instance: &str) {
        while self.goes_on() {
            for api in [self.shards.main.api(), self.shards.north.api()] {
                for path in [
                    format!("/dicomweb/studies?StudyInstanceUID={study}"),
                    format!("/dicomweb/studies/{study}/metadata"),
                    instance.to_owned(),
                    format!("/api/v1/runs?study_uid={study}"),
                ] {
                    let answer = api.get_for("a", &path);
                    if answer.status != 200 {
                        let text = format!("{path}: {} {}", answer.status, answer.text());
                        self.wrong.lock().unwrap().push(text);
                    }
                    self.looked.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }

    /// Sends studies by STOW-RS at one door, each until it is taken.
    fn stows(&self, door: &Hilum, studies: &[Series]) {
        for series in studies {
            loop {
                let answer = door.stow(&series.files()[..4]);
                match answer.status {
                    200 => break,
                    // Taken in part, or not now: it is sent again.
                    202 | 503 | 507 => self.refused.fetch_add(1, Ordering::SeqCst),
                    other => {
                        let text = format!("STOW-RS: {other} {}", answer.text());
                        self.wrong.lock().unwrap().push(text);
                        return;
                    }
                };
                std::thread::sleep(Duration::from_millis(200));
            }
            self.acknowledges(series);
        }
    }

    /// Sends studies by C-STORE, each other one to the other shard, until it is taken.
    fn stores(&self, studies: &[Series]) {
        let doors = [self.shards.main.dicom(), self.shards.north.dicom()];
        for (series, door) in studies.iter().zip(doors.iter().cycle()) {
            loop {
                let sent = run(storescu(*door, "HILUM_A", &[]).args(series.files()));
                if sent.status.success() {
                    break;
                }
                self.refused.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(200));
            }
            self.acknowledges(series);
        }
    }

    fn acknowledges(&self, series: &Series) {
        let mut all = self.acknowledged.lock().unwrap();
        all.insert(series.study_uid().to_owned());
    }
}

fn studies(from: &str, count: usize) -> Vec<Series> {
    let of = |nth| Series::another_study(&format!("1.2.{from}.{nth}"), &["PatientID=7"]);
    (0..count).map(of).collect()
}

#[test]
fn who_reads_does_not_notice_the_move_and_what_is_sent_meanwhile_is_all_there() {
    let shards = Shards::up(BINARY, None);
    let series = Series::another_study("1.2.3.1", &["PatientID=1"]);
    shards.main.takes(&series);
    shards.main.run_becomes("1.2.3.1", "succeeded");
    let list = format!(
        "/dicomweb/studies/{}/instances?Modality=MR",
        series.study_uid()
    );
    let row = shards.main.api().get_for("a", &list).json()[0].clone();
    let uid = |tag: &str| row[tag]["Value"][0].as_str().unwrap().to_owned();
    let instance = format!(
        "/dicomweb/studies/1.2.3.1/series/{}/instances/{}/frames/1",
        uid("0020000E"),
        uid("00080018")
    );
    let (stowed, elsewhere, stored) = (studies("5", 12), studies("6", 12), studies("7", 6));
    let load = Load::new(&shards);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| load.reads("1.2.3.1", &instance));
        }
        let senders = [
            threads.spawn(|| load.stows(&shards.main, &stowed)),
            threads.spawn(|| load.stows(&shards.north, &elsewhere)),
            threads.spawn(|| load.stores(&stored)),
        ];
        std::thread::sleep(Duration::from_secs(1));
        moves(&shards, "a", "north");
        moves(&shards, "a", "main");
        moves(&shards, "a", "north");
        for sender in senders {
            sender.join().unwrap();
        }
        load.over.store(true, Ordering::SeqCst);
    });
    let wrong = load.wrong.lock().unwrap().clone();
    assert!(
        wrong.is_empty(),
        "{} of {:?}: {wrong:#?}",
        wrong.len(),
        load.looked
    );
    let all = load.acknowledged.lock().unwrap().clone();
    assert_eq!(all.len(), 30);
    for study in &all {
        for api in [shards.main.api(), shards.north.api()] {
            assert_eq!(found(api, "a", study), 1, "{study}");
        }
        let instances = shards.north.instances(study, "MR").len();
        let whole = if study.starts_with("1.2.7.") { 20 } else { 4 };
        assert_eq!(instances, whole, "{study}");
    }
    assert_eq!(shards.rows("hilum", "a"), 0);
    // What follows of them is done once, wherever it began. Of one whose sender was refused
    // in the middle, a person or another sending decides.
    for series in &stored {
        let study = series.study_uid();
        let states = || -> Vec<String> {
            let sets = shards.north.input_sets(study);
            let of_images = sets.iter().filter(|set| set["modality"] != "SEG");
            let state = |set: &Value| set["state"].as_str().unwrap_or_default().to_owned();
            of_images.map(state).collect()
        };
        wait_until(&format!("{study} is ready or incomplete"), 60, || {
            let states = states();
            states
                .iter()
                .all(|state| state != "receiving")
                .then_some(())
        });
        if states() == ["ready"] {
            shards.north.run_becomes(study, "succeeded");
            assert_eq!(results(&shards.north, study), (1, 1), "{study}");
        }
    }
    for tenant in ["a", "b"] {
        verifies(shards.north.api(), tenant);
    }
    end_sound(shards);
}

/// The steps of a move at which its command may be killed.
const STEPS: [&str; 18] = [
    "announced",
    "opened",
    "cleared",
    "begun",
    "copied",
    "looked-up",
    "caught-up",
    "held",
    "rested",
    "closed",
    "carried",
    "compared",
    "switched",
    "known",
    "arrived",
    "left",
    "deleted",
    "done",
];

#[test]
fn a_move_that_is_killed_at_any_step_ends_in_one_of_two_whole_states() {
    let shards = Shards::up(BINARY, None);
    let (main, north) = (&shards.main, &shards.north);
    let first = Series::another_study("1.2.3.0", &["PatientID=1"]);
    main.takes(&first);
    main.run_becomes("1.2.3.0", "succeeded");
    let mut sent = vec!["1.2.3.0".to_owned()];
    for (nth, dies_at) in STEPS.into_iter().enumerate() {
        let (from, to) = match lives_on(&shards, "a").as_str() {
            "main" => ("hilum", "north"),
            _ => ("north", "main"),
        };
        let (well, said) = moved(&shards, "a", &["--to", to], dies_at);
        assert!(!well, "{dies_at}: {said}");
        // Everything is there to be read meanwhile, but for the moments in which not even
        // a look can be recorded.
        if !(9..14).contains(&nth) {
            assert_eq!(found(main.api(), "a", "1.2.3.0"), 1, "{dies_at}");
        }
        // Every third is given up instead, where it still can be.
        let after = match nth % 3 {
            0 => moved(&shards, "a", &["--abandon"], ""),
            _ => moved(&shards, "a", &["--to", to], ""),
        };
        assert!(after.0, "{dies_at}: {}", after.1);
        let lives = lives_on(&shards, "a");
        let left = match lives.as_str() {
            "main" => "north",
            _ => "hilum",
        };
        assert_eq!(shards.rows(left, "a"), 0, "{dies_at}");
        if nth % 3 != 0 {
            assert_eq!((lives.as_str(), left), (to, from), "{dies_at}");
        }
        // It takes changes again, once.
        let study = format!("1.2.4.{nth}");
        let series = Series::another_study(&study, &["PatientID=1"]);
        let taken = main.stow(&series.files()[..2]);
        assert_eq!(taken.status, 200, "{dies_at}: {}", taken.text());
        sent.push(study);
        for study in &sent {
            for api in [main.api(), north.api()] {
                assert_eq!(found(api, "a", study), 1, "{dies_at}: {study}");
            }
        }
    }
    verifies(main.api(), "a");
    end_sound(shards);
}

#[test]
fn a_move_whose_command_was_killed_is_ended_without_anybody() {
    let shards = Shards::up(BINARY, None);
    let main = &shards.main;
    let first = Series::another_study("1.2.3.0", &["PatientID=1"]);
    main.takes(&first);
    // Held still with Identity's word for one shard, and then for the other.
    for (nth, dies_at, lives) in [
        (1, "copied", "main"),
        (2, "closed", "main"),
        (3, "compared", "main"),
        (4, "switched", "north"),
    ] {
        let (well, said) = moved(&shards, "a", &["--to", "north"], dies_at);
        assert!(!well, "{dies_at}: {said}");
        let series = Series::another_study(&format!("1.2.4.{nth}"), &["PatientID=1"]);
        wait_until(&format!("{dies_at}: it takes changes"), 30, || {
            (main.stow(&series.files()[..2]).status == 200).then_some(())
        });
        wait_until(&format!("{dies_at}: nobody moves it"), 30, || {
            let (list, _) = main.command_json(&["tenants", "list"]);
            let all = list["tenants"].as_array().cloned().unwrap_or_default();
            let one = all.into_iter().find(|one| one["name"] == "a")?;
            (one["moving_to"].is_null() && one["moved_from"].is_null()).then_some(())
        });
        assert_eq!(lives_on(&shards, "a"), lives, "{dies_at}");
        let left = if lives == "main" { "north" } else { "hilum" };
        assert_eq!(shards.rows(left, "a"), 0, "{dies_at}");
        for api in [main.api(), shards.north.api()] {
            assert_eq!(found(api, "a", "1.2.3.0"), 1, "{dies_at}");
            assert_eq!(found(api, "a", series.study_uid()), 1, "{dies_at}");
        }
    }
    verifies(main.api(), "a");
    end_sound(shards);
}
