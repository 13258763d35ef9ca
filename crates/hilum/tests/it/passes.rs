//! Who was let in goes on without Identity, also at a process that has just started,
//! and who was ended does not; whatever becomes of the cache between the processes.

use hilum_testkit::{Api, As, Cluster, Redis, wait_until};
use serde_json::{Value, json};

use crate::attacks::PASSWORD;

fn cluster(redis: &Redis) -> Cluster {
    let settings = format!("cache = {}\n", redis.setting());
    Cluster::new(env!("CARGO_BIN_EXE_hilum"), &settings).started()
}

/// An API key of a tenant, and its id.
fn key(cluster: &Cluster, tenant: &str) -> (String, String) {
    let body = json!({"name": "viewer", "role": "integration"});
    let api = cluster.api("identity");
    let made = api.send("POST", "/api/v1/keys", As::Operator(tenant), Some(&body));
    assert_eq!(made.status, 200, "{}", made.text());
    let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
    (text("key"), text("id"))
}

fn revoked(cluster: &Cluster, id: &str) {
    let path = format!("/api/v1/keys/{id}");
    assert!(cluster.api("identity").delete(&path).status < 300);
}

/// The cookie of a person of tenant `a` who signed in.
fn person(cluster: &Cluster, email: &str) -> String {
    let api = cluster.api("identity");
    let body = json!({"email": email, "role": "radiologist"});
    let path = "/api/v1/invitations";
    let invited = api.send("POST", path, As::Operator("a"), Some(&body));
    let link = invited.json()["link"].as_str().unwrap().to_owned();
    let (_, token) = link.rsplit_once(['#', '/']).unwrap();
    let body = json!({"token": token, "name": "Anna Berg", "password": PASSWORD});
    let path = "/auth/invitation/accept";
    let accepted = api.send("POST", path, As::Browser(""), Some(&body));
    assert!(accepted.status < 300, "{}", accepted.text());
    accepted.cookies
}

/// What the studies are answered with at a door.
fn asked(api: Api, who: As<'_>) -> u16 {
    api.send("GET", "/dicomweb/studies", who, None).status
}

fn ready(api: Api) -> String {
    let answer = api.get("/readyz");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

fn metrics(api: Api) -> String {
    api.get("/metrics").text()
}

/// Admissions in Redis.
fn admissions(redis: &Redis, count: usize) -> Vec<String> {
    wait_until(&format!("{count} passes are kept"), 20, || {
        let keys = redis.keys("hilum:admission:");
        (keys.len() == count).then_some(keys)
    })
}

#[test]
fn a_process_that_has_just_started_needs_no_identity_for_who_goes_on_and_refuses_who_ended() {
    let redis = Redis::up();
    let mut cluster = cluster(&redis);
    let ((goes_on, _), (ends, ends_id)) = (key(&cluster, "a"), key(&cluster, "a"));
    let (stays, leaves) = (
        person(&cluster, "anna@example.org"),
        person(&cluster, "otto@example.org"),
    );
    let all = [
        As::Key(&goes_on),
        As::Key(&ends),
        As::Browser(&stays),
        As::Browser(&leaves),
    ];
    for who in all {
        assert_eq!(asked(cluster.api("patients"), who), 200, "{who:?}");
    }
    for name in admissions(&redis, 4) {
        let value = redis.cli(&["--no-raw", "GET", &name]);
        assert!(!value.contains("signature"), "{value}");
        for secret in [&goes_on, &ends, &stays, &leaves] {
            assert!(!name.contains(secret.as_str()));
        }
    }
    // It is away, and hears of nothing that ends.
    cluster.kill("integration");
    revoked(&cluster, &ends_id);
    let out = "/auth/sign-out";
    let left = cluster
        .api("identity")
        .send("POST", out, As::Browser(&leaves), None);
    assert!(left.status < 300, "{}", left.text());
    for who in [As::Key(&ends), As::Browser(&leaves)] {
        wait_until("nobody lets them in any more", 10, || {
            (asked(cluster.api("patients"), who) == 401).then_some(())
        });
    }
    cluster.kill("identity");
    let holds = |cluster: &Cluster, service: &str| {
        let api = cluster.api(service);
        assert_eq!(asked(api, As::Key(&goes_on)), 200, "{service}");
        assert_eq!(asked(api, As::Browser(&stays)), 200, "{service}");
        assert_eq!(asked(api, As::Key(&ends)), 503, "{service}");
        assert_eq!(asked(api, As::Browser(&leaves)), 503, "{service}");
    };
    holds(&cluster, "patients");
    // What ended meanwhile it finds in the cache, and keeps for its next start.
    cluster.start("integration");
    holds(&cluster, "integration");
    assert_eq!(redis.cli(&["DEL", "hilum:passes:passes"]), "1");
    cluster.kill("integration");
    cluster.start("integration");
    holds(&cluster, "integration");
    // Another who starts without either knows of nobody, and lets nobody in.
    assert_eq!(redis.cli(&["FLUSHALL"]), "OK");
    cluster.kill("integration");
    cluster.start("integration");
    let api = cluster.api("integration");
    assert_eq!(asked(api, As::Key(&goes_on)), 503);
    cluster.start("identity");
    wait_until("identity is asked again", 20, || {
        (asked(api, As::Key(&goes_on)) == 200).then_some(())
    });
    assert_eq!(asked(api, As::Key(&ends)), 401);
}

#[test]
fn a_cache_that_is_frozen_lost_or_back_stops_nobody_and_lets_nobody_in() {
    let mut redis = Redis::up();
    let mut cluster = cluster(&redis);
    let (goes_on, _) = key(&cluster, "a");
    let works = |cluster: &Cluster| {
        let (one, id) = key(cluster, "a");
        for service in ["imaging", "patients", "audit"] {
            for who in [As::Key(&goes_on), As::Key(&one)] {
                assert_eq!(asked(cluster.api(service), who), 200, "{service}");
            }
        }
        revoked(cluster, &id);
        for service in ["imaging", "patients", "audit"] {
            wait_until(&format!("{service} refuses the key"), 10, || {
                (asked(cluster.api(service), As::Key(&one)) == 401).then_some(())
            });
        }
    };
    let told = |cluster: &Cluster, away: bool| {
        let api = cluster.api("patients");
        wait_until(&format!("the cache is told to be away: {away}"), 20, || {
            let _unknown = asked(api, As::Key("hk_nobody"));
            (ready(api).contains("shared cache") == away).then_some(())
        });
    };
    works(&cluster);
    assert_eq!(ready(cluster.api("patients")), "ready\n");
    redis.freezes();
    works(&cluster);
    told(&cluster, true);
    works(&cluster);
    redis.goes_on();
    told(&cluster, false);
    redis.is_killed();
    works(&cluster);
    told(&cluster, true);
    let doctor = |cluster: &Cluster| {
        let told = cluster.command("patients", &["doctor", "--json"]);
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        let checks = told["checks"].as_array().cloned().unwrap();
        let cache = checks.into_iter().find(|one| one["what"] == "cache");
        cache.unwrap()
    };
    let found = doctor(&cluster);
    assert_eq!(found["finding"], "warning", "{found}");
    // A process starts without it.
    cluster.kill("audit");
    cluster.start("audit");
    works(&cluster);
    redis.comes_up();
    told(&cluster, false);
    works(&cluster);
    let found = doctor(&cluster);
    assert_eq!(found["finding"], "good", "{found}");
}

#[test]
fn what_somebody_wrote_into_the_cache_lets_nobody_in() {
    let redis = Redis::up();
    let mut cluster = cluster(&redis);
    let ((of_a, _), (of_b, _)) = (key(&cluster, "a"), key(&cluster, "b"));
    for key in [&of_a, &of_b] {
        assert_eq!(asked(cluster.api("patients"), As::Key(key)), 200);
    }
    let names = admissions(&redis, 2);
    let api = |cluster: &mut Cluster| {
        cluster.kill("integration");
        cluster.start("integration");
        cluster.api("integration")
    };
    // Each in the other's place.
    let swap = [
        ("RENAME", &names[0], "aside"),
        ("RENAME", &names[1], names[0].as_str()),
    ];
    for (command, from, to) in swap {
        assert_eq!(redis.cli(&[command, from, to]), "OK");
    }
    assert_eq!(redis.cli(&["RENAME", "aside", &names[1]]), "OK");
    cluster.kill("identity");
    let door = api(&mut cluster);
    assert_eq!(asked(door, As::Key(&of_a)), 503);
    assert_eq!(asked(door, As::Key(&of_b)), 503);
    let refused = "{purpose=\"admission\",layer=\"redis\",outcome=\"refused\"}";
    let figures = metrics(door);
    let figure = figures.lines().find(|line| line.contains(refused));
    assert!(
        figure.is_some_and(|line| !line.ends_with(" 0")),
        "{figures}"
    );
    // Words, too many of them, and what is no text at all.
    let long = "x".repeat(1 << 16);
    for words in ["words", &long] {
        assert_eq!(redis.cli(&["SET", &names[0], words]), "OK");
        assert_eq!(redis.cli(&["SET", "hilum:passes:passes", words]), "OK");
    }
    assert_eq!(redis.cli(&["DEL", &names[1]]), "1");
    assert_eq!(redis.cli(&["LPUSH", &names[1], "words"]), "1");
    let door = api(&mut cluster);
    assert_eq!(asked(door, As::Key(&of_a)), 503);
    assert_eq!(asked(door, As::Key(&of_b)), 503);
    assert_eq!(asked(door, As::Key("hk_nobody")), 503);
    // With Identity it is as if nothing had been there.
    cluster.start("identity");
    for key in [&of_a, &of_b] {
        wait_until("identity lets them in", 20, || {
            (asked(door, As::Key(key)) == 200).then_some(())
        });
    }
    assert_eq!(asked(door, As::Key("hk_nobody")), 401);
}
