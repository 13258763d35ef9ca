//! Hilum with its objects in a bucket.

use hilum_testkit::{S3, Series, Storescp, wait_until};
use serde_json::json;

use crate::hilum;

#[test]
fn images_become_results_in_a_bucket_through_kills_of_it_and_of_hilum() {
    let (mut bucket, storescp) = (S3::up(), Storescp::up());
    let mut hilum = hilum()
        .with_fast_model()
        .delivering_to("pacs", "PACS", storescp.address())
        .with_setting("objects", bucket.setting())
        .start();
    for round in 0..3 {
        let study = format!("1.2.3.{round}");
        let series = Series::another_study(&study, &["PatientID=1"]);
        // Without its bucket nothing is taken, and everybody is told so.
        bucket.is_killed();
        let refused = hilum.receives(&series.files()[..1]);
        assert!(!refused.accepted, "{}", refused.output);
        // Refused: out of resources (PS3.4 §B.2.3): the sender sends again.
        assert!(
            refused.output.contains("Refused: OutOfResources"),
            "{}",
            refused.output
        );
        let refused = hilum.stow(&series.files()[..1]);
        // Insufficient Storage, and A700H of the instance (PS3.18 table I.2-2).
        assert_eq!(refused.status, 507, "{}", refused.text());
        assert!(refused.text().contains("42752"), "{}", refused.text());
        assert_eq!(hilum.api().get("/readyz").status, 503);
        bucket.comes_up();
        wait_until("it is ready", 20, || {
            (hilum.api().get("/readyz").status == 200).then_some(())
        });
        hilum.takes(&series);
        // In the middle of what follows from it.
        hilum = hilum.killed_and_restarted();
        hilum.run_becomes(&study, "succeeded");
        wait_until("it is delivered", 60, || {
            let all = hilum.deliveries(&study);
            (all.len() == 1 && all[0]["state"] == "delivered").then_some(())
        });
    }
    assert_eq!(storescp.received().len(), 6);
    assert!(!hilum.data().join("objects").exists());
    let erased = hilum
        .api()
        .post("/api/v1/erasures", &json!({ "patient_id": "1" }));
    assert_eq!(erased.status, 200, "{}", erased.text());
    assert!(!hilum.log().contains("panicked"), "{}", hilum.log());
    hilum.ends_sound();
}
