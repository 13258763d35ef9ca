//! Hilum with its services' tables on PostgreSQL, behind PgBouncer.

use hilum_testkit::{Place, Series, Setup, Storescp, wait_until};
use serde_json::json;

use crate::hilum;

/// A Hilum with the fast model and its services' tables there.
fn on(place: &Place) -> Setup {
    let database = place.database().unwrap();
    let owner = database.owner_url_file.unwrap();
    let setting = format!(
        "{{ url_file = {:?}, owner_url_file = {owner:?} }}",
        database.url_file
    );
    hilum().with_fast_model().with_setting("database", setting)
}

#[test]
fn a_series_is_worked_on_although_the_database_was_away_when_its_sender_ended() {
    let place = Place::over_relays();
    let hilum = on(&place).start();
    let series = Series::sample();
    place.way_to_pooler().cuts_off();
    let stored = hilum.stow(series.files());
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert!(
        hilum.log().contains("recorded later"),
        "the database was asked for nothing"
    );
    place.way_to_pooler().carries_on();
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
