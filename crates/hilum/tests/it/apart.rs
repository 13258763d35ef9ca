//! Each service in a process of its own: whichever door somebody comes to, and in
//! whatever order they start, it is one installation.

use hilum_testkit::{Api, As, Cluster, SERVICES, Series, Storescp, wait_until};
use serde_json::{Value, json};

fn cluster(settings: &str) -> Cluster {
    Cluster::new(env!("CARGO_BIN_EXE_hilum"), settings)
}

/// What a process knows of each service: whether it is ready.
fn readiness(api: Api) -> Vec<(String, bool)> {
    let status = api.get("/api/v1/status").json();
    let services = status["services"].as_array().cloned().unwrap_or_default();
    let of = |one: &Value| {
        let name = one["name"].as_str().unwrap_or_default().to_owned();
        (name, one["ready"] == true)
    };
    services.iter().map(of).collect()
}

/// How many studies a tenant finds.
fn found(api: Api, tenant: &str, query: &str) -> usize {
    let answer = api.get_for(tenant, query);
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json().as_array().map_or(0, Vec::len)
}

#[test]
fn every_door_answers_for_every_service() {
    let cluster = cluster("").started();
    let series = Series::sample();
    cluster.takes(&series);
    let study = format!("/dicomweb/studies?StudyInstanceUID={}", series.study_uid());
    for service in SERVICES {
        let api = cluster.api(service);
        wait_until(&format!("{service} finds every service ready"), 20, || {
            let ready = readiness(api);
            (ready.len() == 6 && ready.iter().all(|(_, ready)| *ready)).then_some(())
        });
        assert_eq!(found(api, "a", &study), 1, "{service}");
        // Another's data is not there, whichever process is asked.
        assert_eq!(found(api, "b", &study), 0, "{service}");
        for path in [
            "/api/v1/patients",
            "/api/v1/models",
            "/api/v1/deliveries",
            "/api/v1/people",
            "/api/v1/jobs",
            "/api/v1/dead-letters",
            "/api/v1/audit/entries",
            "/auth/state",
        ] {
            let answer = api.get_for("a", path);
            assert_eq!(answer.status, 200, "{service}, {path}: {}", answer.text());
        }
        // One document, wherever it is read.
        let document = api.get("/api/v1/openapi.json").json();
        let first = cluster.api("audit").get("/api/v1/openapi.json").json();
        assert_eq!(document["paths"], first["paths"], "{service}");
    }
}

#[test]
fn images_become_results_that_are_delivered_whoever_was_away_meanwhile() {
    let storescp = Storescp::up();
    let mut cluster = cluster("").delivering_to(storescp.address()).started();
    cluster.takes(&Series::another_study("1.2.3.9", &["PatientID=1"]));
    let delivered = |cluster: &Cluster, study: &str| {
        let api = cluster.api("imaging");
        wait_until(&format!("{study} is delivered"), 60, || {
            let all = api.items(&format!("/api/v1/deliveries?study_uid={study}"));
            (all.len() == 1 && all[0]["state"] == "delivered").then_some(())
        });
    };
    delivered(&cluster, "1.2.3.9");
    for (number, away) in ["patients", "inference", "integration", "identity", "audit"]
        .into_iter()
        .enumerate()
    {
        cluster.kill(away);
        let study = format!("1.2.3.{number}");
        cluster.takes(&Series::another_study(&study, &["PatientID=2"]));
        cluster.start(away);
        delivered(&cluster, &study);
    }
    for service in SERVICES {
        let log = cluster.log(service);
        assert!(!log.contains("panicked"), "{service}: {log}");
    }
    // Two instances of each study, and each once.
    assert_eq!(storescp.received().len(), 12);
    let erased = cluster
        .api("audit")
        .post("/api/v1/erasures", &json!({ "patient_id": "2" }));
    assert_eq!(erased.status, 200, "{}", erased.text());
    let services = erased.json()["services"].as_array().cloned().unwrap();
    assert_eq!(services.len(), 6);
    let left = "/dicomweb/studies?PatientID=2";
    assert_eq!(found(cluster.api("audit"), "a", left), 0);
}

#[test]
fn nobody_gets_in_by_saying_that_a_neighbour_let_them_in() {
    let cluster = cluster("").started();
    for service in ["imaging", "patients"] {
        let api = cluster.api(service);
        // {"tenant":"a","acting":{…,"right":{"role":"operator"}}} in base64url.
        let scope = "eyJ0ZW5hbnQiOiJhIiwiYWN0aW5nIjp7InByaW5jaXBhbCI6ImxvY2FsLW9wZXJhdG9yIiwicmlnaHQiOnsicm9sZSI6Im9wZXJhdG9yIn19fQ";
        let caller = "{\"address\":\"127.0.0.1\",\"secure\":true}";
        let headers = [("hilum-scope", scope), ("hilum-caller", caller)];
        for path in ["/dicomweb/studies", "/api/v1/patients", "/api/v1/people"] {
            let answer = api.get_with(path, &headers);
            assert_eq!(answer.status, 401, "{service}, {path}: {}", answer.text());
        }
        // No key comes out of this door: what is not an address of its own is the web
        // application's.
        let wanted = json!({ "tenant": "a", "purpose": "x" });
        let answer = api.send("POST", "/ask/imaging/derive", As::Nobody, Some(&wanted));
        assert!(
            answer.status == 404 || answer.kind.starts_with("text/html"),
            "{service}: {}",
            answer.kind
        );
    }
}

#[test]
fn an_api_key_goes_on_when_identity_is_dead_and_ends_when_it_is_back() {
    let mut cluster = cluster("").started();
    let made = cluster.api("patients").post(
        "/api/v1/keys",
        &json!({"name": "viewer", "role": "integration"}),
    );
    assert_eq!(made.status, 200, "{}", made.text());
    let (key, id) = (made.json()["key"].clone(), made.json()["id"].clone());
    let (key, id) = (key.as_str().unwrap(), id.as_str().unwrap());
    let ask = |cluster: &Cluster| {
        let api = cluster.api("imaging");
        api.send("GET", "/dicomweb/studies", As::Key(key), None)
            .status
    };
    assert_eq!(ask(&cluster), 200);
    cluster.kill("identity");
    assert_eq!(ask(&cluster), 200);
    // Images come in: who may send is known without asking.
    cluster.takes(&Series::sample());
    // And by a process that starts while Identity is away.
    cluster.kill("imaging");
    cluster.start("imaging");
    let series = Series::sample().with_other_pixels();
    cluster.takes(&series);
    cluster.start("identity");
    let path = format!("/api/v1/keys/{id}");
    wait_until("the key is revoked", 20, || {
        (cluster.api("identity").delete(&path).status < 300).then_some(())
    });
    wait_until("nobody takes the key any more", 20, || {
        (ask(&cluster) == 401).then_some(())
    });
}

#[test]
fn a_service_that_is_dead_or_frozen_is_told_of_and_comes_back() {
    let mut cluster = cluster("").started();
    let told = |api: Api, service: &str, ready: bool| {
        wait_until(
            &format!("{service} is told to be ready: {ready}"),
            30,
            || {
                let all = readiness(api);
                all.contains(&(service.to_owned(), ready)).then_some(())
            },
        );
    };
    cluster.kill("patients");
    told(cluster.api("imaging"), "patients", false);
    let answer = cluster.api("imaging").get("/api/v1/patients");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.retry_after.is_some());
    assert_eq!(answer.json()["code"], "unavailable");
    cluster.start("patients");
    told(cluster.api("imaging"), "patients", true);
    assert_eq!(cluster.api("imaging").get("/api/v1/patients").status, 200);

    cluster.freeze("patients");
    // What is passed on to it does not wait for as long as it stands still.
    let answer = cluster.api("imaging").get("/api/v1/patients");
    assert_eq!(answer.status, 503, "{}", answer.text());
    told(cluster.api("imaging"), "patients", false);
    cluster.thaw("patients");
    told(cluster.api("imaging"), "patients", true);
}
