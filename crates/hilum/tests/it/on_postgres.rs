//! Hilum with its services' tables on PostgreSQL, behind PgBouncer.

use hilum_testkit::{Place, Series, Storescp, wait_until};
use serde_json::json;

use crate::hilum;

#[test]
fn images_become_results_on_postgresql_through_kills_and_are_erased() {
    let (place, storescp) = (Place::pooled(), Storescp::up());
    let database = place.database().unwrap();
    let owner = database.owner_url_file.unwrap();
    let setting = format!(
        "{{ url_file = {:?}, owner_url_file = {owner:?} }}",
        database.url_file
    );
    let mut hilum = hilum()
        .with_fast_model()
        .delivering_to("pacs", "PACS", storescp.address())
        .with_setting("database", setting)
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
