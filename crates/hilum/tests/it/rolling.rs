//! Each process is replaced by one of another release, one after the other, and back,
//! while people and devices go on working: no request fails.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hilum_contracts::access::Role;
use hilum_testkit::{Answer, Api, As, Balancer, Cluster, Place, S3, Series, wait_until};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_hilum");

/// Names the binary of the release before; without it both are of this one.
const PREVIOUS: &str = "PREVIOUS_BINARY";

/// What is looked at by who reads images, who runs the house, and who audits.
const OF_IMAGES: &[&str] = &[
    "/dicomweb/studies?StudyInstanceUID=1.2.3.1",
    "/dicomweb/studies/1.2.3.1/metadata",
    "/dicomweb/studies/1.2.3.1",
    "/api/v1/runs?study_uid=1.2.3.1",
    "/api/v1/models",
];
const OF_THE_HOUSE: &[&str] = &[
    "/api/v1/people",
    "/api/v1/devices",
    "/api/v1/patients",
    "/api/v1/deliveries",
];
const OF_EVERYBODY: &[&str] = &["/api/v1/audit/entries"];

/// What goes on all the while, and what of it failed.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    /// How many of a kind went well, and how long the longest took.
    done: Mutex<BTreeMap<String, (usize, Duration)>>,
    failed: Mutex<Vec<String>>,
}

/// An answer, if it has this status.
fn with_status(status: u16, answer: Answer) -> Result<Answer, String> {
    match answer.status == status {
        true => Ok(answer),
        false => Err(format!("{} {}", answer.status, answer.text())),
    }
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    fn does<T>(&self, what: &str, it: impl FnOnce() -> Result<T, String>) -> Option<T> {
        let began = Instant::now();
        match it() {
            Ok(done) => {
                let mut all = self.done.lock().unwrap();
                let (count, longest) = all.entry(what.to_owned()).or_default();
                *count += 1;
                *longest = began.elapsed().max(*longest);
                Some(done)
            }
            Err(said) => {
                self.failed.lock().unwrap().push(format!("{what}: {said}"));
                None
            }
        }
    }

    fn reads(&self, api: Api, key: &str, paths: &[&str]) {
        for path in paths.iter().cycle().take_while(|_| self.goes_on()) {
            self.does(&format!("GET {path}"), || {
                with_status(200, api.send("GET", path, As::Key(key), None))
            });
        }
    }

    fn changes(&self, api: Api, key: &str) {
        let body = json!({ "name": "of the moment", "role": Role::Integration.name() });
        let send = |method, path: &str, body| api.send(method, path, As::Key(key), body);
        while self.goes_on() {
            let made = self.does("POST a key", || {
                with_status(200, send("POST", "/api/v1/keys", Some(&body)))
            });
            let Some(made) = made else { continue };
            let path = format!("/api/v1/keys/{}", made.json()["id"].as_str().unwrap());
            self.does("DELETE a key", || {
                with_status(204, send("DELETE", &path, None))
            });
        }
    }

    fn stows(&self, api: Api, studies: &[Series]) {
        for series in studies.iter().cycle().take_while(|_| self.goes_on()) {
            self.does("STOW-RS", || {
                with_status(200, api.stow(&series.files()[..4]))
            });
        }
    }

    fn stores(&self, balancer: &Balancer, studies: &[Series]) {
        for series in studies.iter().cycle().take_while(|_| self.goes_on()) {
            self.does("C-STORE", || {
                let sent = balancer.sends("HILUM_A", series.files());
                sent.accepted.then_some(()).ok_or(sent.output)
            });
        }
    }
}

/// Ends the load, also when the test fails.
struct Ends<'l>(&'l Load);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

fn studies(from: &str, count: usize) -> Vec<Series> {
    let of = |nth| Series::another_study(&format!("1.2.{from}.{nth}"), &["PatientID=7"]);
    (0..count).map(of).collect()
}

fn key(cluster: &Cluster, role: Role) -> String {
    let (api, body) = (
        cluster.api("identity"),
        json!({ "name": role.name(), "role": role.name() }),
    );
    let made = api.send("POST", "/api/v1/keys", As::Operator("a"), Some(&body));
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["key"].as_str().unwrap().to_owned()
}

/// Replaces every process by one of `binary`, one after the other.
fn replace_all(cluster: &mut Cluster, binary: &str) {
    cluster.runs_from(binary);
    for service in ["audit", "patients", "inference", "integration", "identity"] {
        cluster.terminate(service);
        cluster.start(service);
    }
    let spare = cluster.stands_by("imaging");
    cluster.terminate("imaging");
    cluster.is_followed_by(spare);
}

fn has_one_result(api: Api, key: &str, study: &str) {
    wait_until(&format!("{study} has its result"), 90, || {
        let path = format!("/api/v1/runs?study_uid={study}");
        let runs = api.send("GET", &path, As::Key(key), None).json();
        let is = |run: &&Value| run["state"] == "succeeded";
        (runs["items"].as_array()?.iter().filter(is).count() == 1).then_some(())
    });
}

#[test]
fn every_process_is_replaced_and_no_request_fails() {
    let (place, bucket) = (Place::pooled(), S3::up());
    let database = place.database().unwrap();
    let settings = format!(
        "leaving_seconds = 2\n\
         database = {{ url_file = {:?}, owner_url_file = {:?} }}\nobjects = {}",
        database.url_file,
        database.owner_url_file.unwrap(),
        bucket.setting()
    );
    let previous = std::env::var(PREVIOUS).unwrap_or_else(|_| BINARY.to_owned());
    let mut cluster = Cluster::behind_balancer(&previous, &settings).started();
    let balancer = cluster.balancer.take().unwrap();
    let api = balancer.api();
    let first = Series::another_study("1.2.3.1", &["PatientID=1"]);
    cluster.takes(&first);
    let roles = [Role::Integration, Role::Administrator, Role::Auditor];
    let [integration, administrator, auditor] = roles.map(|role| key(&cluster, role));
    has_one_result(api, &integration, "1.2.3.1");
    api.knows_operator(&integration);

    let (stowed, stored) = (studies("5", 6), studies("6", 4));
    let load = Load::default();
    std::thread::scope(|threads| {
        let _ends = Ends(&load);
        for (key, paths) in [
            (&integration, OF_IMAGES),
            (&administrator, OF_THE_HOUSE),
            (&auditor, OF_EVERYBODY),
        ] {
            threads.spawn(|| load.reads(api, key, paths));
        }
        threads.spawn(|| load.changes(api, &administrator));
        threads.spawn(|| load.stows(api, &stowed));
        threads.spawn(|| load.stores(&balancer, &stored));
        std::thread::sleep(Duration::from_secs(2));
        replace_all(&mut cluster, BINARY);
        if previous != BINARY {
            replace_all(&mut cluster, &previous);
        }
        std::thread::sleep(Duration::from_secs(2));
    });
    let done = load.done.lock().unwrap();
    eprintln!("{done:#?}");
    let failed = load.failed.lock().unwrap();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    for series in &stowed {
        let path = format!("/dicomweb/studies/{}/instances", series.study_uid());
        let found = api.send("GET", &path, As::Key(&integration), None).json();
        assert_eq!(found.as_array().map(Vec::len), Some(4), "{path}");
    }
    for series in stored.iter().chain([&first]) {
        has_one_result(api, &integration, series.study_uid());
    }
    cluster.terminate("imaging");
    let verified = cluster.command("imaging", &["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}
