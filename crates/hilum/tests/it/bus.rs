//! Hilum with a RabbitMQ between its services.

use hilum_testkit::{Hilum, RabbitMq, Series, wait_until};
use serde_json::json;

use crate::hilum;

/// A figure of `/metrics`, of all its labels together; 0 where there is none.
fn figure(hilum: &Hilum, name: &str) -> f64 {
    let text = hilum.api().get("/metrics").text();
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn images_become_results_over_the_bus_whatever_happens_to_it_and_are_erased_behind_it() {
    let mut broker = RabbitMq::up();
    let hilum = hilum()
        .with_fast_model()
        .with_setting("bus", format!("{{ amqp = \"{}\" }}", broker.amqp()))
        .start();
    let study = |uid: &str, id: &str| Series::another_study(uid, &[&format!("PatientID={id}")]);
    hilum.takes(&study("1.2.3.1", "1"));
    hilum.run_becomes("1.2.3.1", "succeeded");
    assert!(figure(&hilum, "hilum_bus_confirmed_total") > 0.0);
    assert!(figure(&hilum, "hilum_bus_consumed_total") > 0.0);
    wait_until("the bus is there", 30, || {
        (figure(&hilum, "hilum_bus_connected") == 1.0).then_some(())
    });
    assert_eq!(hilum.api().get("/readyz").text(), "ready\n");

    // Images are taken without it; what follows from them follows later.
    broker.is_killed();
    hilum.takes(&study("1.2.3.2", "2"));
    wait_until("it is missed", 60, || {
        let told = hilum.api().get("/readyz");
        assert_eq!(told.status, 200);
        told.text().contains("events wait").then_some(())
    });
    assert_eq!(figure(&hilum, "hilum_bus_connected"), 0.0);
    // Without it nobody knows whether an event about the patient is on its way.
    let erase = || {
        hilum
            .api()
            .post("/api/v1/erasures", &json!({ "patient_id": "1" }))
    };
    assert_eq!(erase().status, 503);
    assert!(hilum.api().items("/api/v1/erasures").is_empty());

    broker.comes_up();
    hilum.run_becomes("1.2.3.2", "succeeded");
    let erased = erase();
    assert_eq!(erased.status, 200, "{}", erased.text());
    assert_eq!(hilum.api().items("/api/v1/erasures").len(), 1);
    assert_eq!(figure(&hilum, "hilum_bus_dead_letters"), 0.0);
    assert!(hilum.api().items("/api/v1/dead-letters").is_empty());
    hilum.ends_sound();
}
