//! Hilum with its tables and its index on PostgreSQL, behind PgBouncer.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use hilum_testkit::{Place, Series, Setup, Storescp, python, run, wait_until};
use serde_json::{Value, json};

use crate::hilum;

/// A Hilum with the fast model and its databases there.
fn on(place: &Place) -> Setup {
    let database = place.database().unwrap();
    let owner = database.owner_url_file.unwrap();
    let setting = format!(
        "{{ url_file = {:?}, owner_url_file = {owner:?} }}",
        database.url_file
    );
    hilum().with_fast_model().with_setting("database", setting)
}

/// Sends files over one association, prints what was answered, and releases it when it
/// is told to.
const HOLDS_AN_ASSOCIATION: &str = r#"
import sys
from pydicom import dcmread
from pynetdicom import AE

images = [dcmread(path) for path in sys.argv[2:]]
entity = AE("PYNETDICOM")
entity.add_requested_context(images[0].SOPClassUID, images[0].file_meta.TransferSyntaxUID)
association = entity.associate("127.0.0.1", int(sys.argv[1]), ae_title="HILUM_A")
print({association.send_c_store(image).Status for image in images}, flush=True)
sys.stdin.readline()
association.release()
"#;

#[test]
fn a_series_is_worked_on_although_the_database_was_away_when_its_sender_ended() {
    let place = Place::over_relays();
    let hilum = on(&place).start();
    let series = Series::sample();
    let mut sender = python()
        .args(["-c", HOLDS_AN_ASSOCIATION])
        .arg(hilum.dicom().port().to_string())
        .args(series.files())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = String::new();
    let said = sender.stdout.take().unwrap();
    BufReader::new(said).read_line(&mut answered).unwrap();
    assert_eq!(answered.trim(), "{0}");
    place.way_to_pooler().cuts_off();
    drop(sender.stdin.take());
    assert!(sender.wait().unwrap().success());
    wait_until("its end is to be recorded later", 30, || {
        hilum.log().contains("recorded later").then_some(())
    });
    assert_eq!(hilum.api().get("/readyz").status, 503);
    place.way_to_pooler().carries_on();
    wait_until("it is ready", 20, || {
        (hilum.api().get("/readyz").status == 200).then_some(())
    });
    hilum.run_becomes(series.study_uid(), "succeeded");
}

#[test]
fn images_become_results_on_postgresql_through_kills_and_are_erased() {
    let (place, storescp) = (Place::pooled(), Storescp::up());
    let mut hilum = on(&place)
        .delivering_to("pacs", "PACS", storescp.address())
        .start();
    for round in 0..3 {
        let study = format!("1.2.3.{round}");
        hilum.takes(&Series::another_study(&study, &["PatientID=1"]));
        // In the middle of what follows from it.
        hilum = hilum.killed_and_restarted();
        hilum.run_becomes(&study, "succeeded");
        wait_until("it is delivered", 60, || {
            let all = hilum.deliveries(&study);
            (all.len() == 1 && all[0]["state"] == "delivered").then_some(())
        });
    }
    assert_eq!(storescp.received().len(), 6);
    for path in [
        "/api/v1/patients",
        "/api/v1/people",
        "/api/v1/jobs?state=waiting",
        "/api/v1/keys",
    ] {
        let answer = hilum.api().get_for("b", path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.json()["items"], json!([]), "{path}");
    }
    let verified = hilum.api().post("/api/v1/audit/verify", &json!({}));
    assert_eq!(verified.status, 200, "{}", verified.text());
    let erased = hilum
        .api()
        .post("/api/v1/erasures", &json!({ "patient_id": "1" }));
    assert_eq!(erased.status, 200, "{}", erased.text());
    assert!(hilum.runs("1.2.3.0").is_empty());
    for schema in ["patients", "inference", "integration", "imaging"] {
        assert!(!hilum.data().join(format!("{schema}.sqlite")).exists());
    }
    let log = hilum.log();
    assert!(
        !log.contains("panicked") && !log.contains("\"database\""),
        "{log}"
    );
    hilum.ends_sound();
}

#[test]
fn tables_are_made_as_a_step_of_their_own_and_a_start_without_their_owner_checks_them() {
    let place = Place::postgres();
    let database = place.database().unwrap();
    let application = format!("url_file = {:?}", database.url_file);
    let owner = database.owner_url_file.unwrap();
    let file = place.path().join("hilum.toml");
    let binary = env!("CARGO_BIN_EXE_hilum");
    let command = |name: &str, setting: &str| {
        std::fs::write(&file, format!("database = {{ {setting} }}\n")).unwrap();
        let mut command = Command::new(binary);
        command.arg(name).arg("--config").arg(&file);
        command.arg("--data").arg(place.path().join("data"));
        command
    };
    let serve = |setting: &str| {
        let mut command = command("serve", setting);
        command.args(["--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"]);
        run(&mut command)
    };
    let refused = serve(&application);
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("run `hilum migrate`"), "{text}");
    let ownerless = run(&mut command("migrate", &application));
    let text = String::from_utf8_lossy(&ownerless.stderr).into_owned();
    assert!(
        !ownerless.status.success() && text.contains("owner_url_file"),
        "{text}"
    );

    // Two that are started at once, and one behind them.
    let with_owner = format!("{application}, owner_url_file = {owner:?}");
    let started = [(), ()].map(|()| {
        let mut migrate = command("migrate", &with_owner);
        migrate.arg("--json").stdout(Stdio::piped());
        migrate.spawn().unwrap()
    });
    let taken = started.map(|child| steps(&child.wait_with_output().unwrap()));
    for (one, other) in taken[0].iter().zip(&taken[1]) {
        // Of several schemas of a service each may have made some.
        assert!(one + other > 0, "{taken:?}");
    }
    let again = steps(&run(command("migrate", &with_owner).arg("--json")));
    assert_eq!(again, [0; 6]);

    let hilum = hilum()
        .with_setting("database", format!("{{ {application} }}"))
        .start();
    assert_eq!(
        steps(&run(command("migrate", &with_owner).arg("--json"))),
        [0; 6]
    );
    hilum.takes(&Series::sample());
    let data = hilum.data().to_str().unwrap();
    let ready = hilum.command(&["ready", "--data", data]);
    assert!(ready.status.success());
    assert_eq!(String::from_utf8_lossy(&ready.stdout), "ready\n");
    let nobody = hilum.command(&["ready", "--data", "/nonexistent"]);
    let text = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(
        !nobody.status.success() && text.contains("nobody serves"),
        "{text}"
    );
    hilum.ends_sound();
}

/// How many steps `hilum migrate --json` took for each service.
fn steps(done: &Output) -> Vec<usize> {
    assert!(done.status.success(), "{done:?}");
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let services = told["services"].as_array().unwrap();
    services
        .iter()
        .map(|one| one["steps"].as_array().unwrap().len())
        .collect()
}
