//! Traces, as a collector gets them.

use std::collections::BTreeSet;

use hilum_testkit::{Collector, RabbitMq, Series, Storescp, Traced, Webhook, wait_until};

use crate::hilum;

fn named<'a>(spans: &'a [Traced], name: &str) -> Vec<&'a Traced> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[test]
fn one_trace_leads_from_an_association_over_the_queue_to_the_last_delivery() {
    let (broker, pacs) = (RabbitMq::up(), Storescp::up());
    let (mut collector, mut webhook) = (Collector::down(), Webhook::down());
    webhook.comes_up(204);
    let told = format!(
        "webhook = \"{}\"\nsecret_file = \"{}\"",
        webhook.url(),
        webhook.secret_file().display()
    );
    let hilum = hilum()
        .with_fast_model()
        .with_setting("bus", format!("{{ amqp = \"{}\" }}", broker.amqp()))
        .with_setting("telemetry", format!("{{ otlp = \"{}\" }}", collector.url()))
        .delivering_to("pacs", "PACS", pacs.address())
        .delivering("ris", &told)
        .start();
    // A collector that is away changes nothing.
    hilum.takes(&Series::another_study("1.2.3.1", &["PatientID=1"]));
    hilum.run_becomes("1.2.3.1", "succeeded");

    collector.comes_up();
    let identity = ["PatientID=TRACEME-1", "PatientName=Traced^Terence"];
    hilum.takes(&Series::another_study("1.2.3.2", &identity));
    let run = hilum.run_becomes("1.2.3.2", "succeeded");
    wait_until("both deliveries are done", 60, || {
        let deliveries = hilum.deliveries("1.2.3.2");
        let done = |of: &serde_json::Value| of["state"] == "delivered";
        (deliveries.len() == 2 && deliveries.iter().all(done)).then_some(())
    });
    let spans = wait_until("its spans came", 30, || {
        let spans = collector.spans();
        let last = |of: &&Traced| {
            of.attributes
                .get("hilum.kind")
                .is_some_and(|kind| kind.contains("ris"))
        };
        let trace = spans.iter().rfind(last)?.trace.clone();
        let trace: Vec<_> = spans.into_iter().filter(|of| of.trace == trace).collect();
        let first = named(&trace, "association");
        first.first()?;
        Some(trace)
    });

    // The trace is the correlation id that people see, and has one beginning.
    let first: Vec<_> = spans.iter().filter(|of| of.parent.is_empty()).collect();
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0].name, "association");
    let id = &first[0].attributes["hilum.correlation_id"];
    assert_eq!(id.replace('-', ""), first[0].trace);
    let ids: BTreeSet<_> = spans.iter().map(|of| of.id.as_str()).collect();
    for span in &spans {
        let known = span.parent.is_empty() || ids.contains(span.parent.as_str());
        assert!(known, "what caused it did not come: {span:?}");
    }
    assert!(!named(&spans, "commit").is_empty());
    assert!(!named(&spans, "results").is_empty());
    assert!(!named(&spans, "step").is_empty());
    let consumers: BTreeSet<_> = named(&spans, "consume")
        .iter()
        .map(|of| of.attributes["hilum.consumer"].as_str())
        .collect();
    assert_eq!(consumers.len(), 4, "{consumers:?}");
    let jobs = named(&spans, "job");
    let of_run = |of: &&&Traced| run["id"] == of.attributes["hilum.subject"].as_str();
    assert!(jobs.iter().any(|of| of_run(&of)), "{jobs:?}");
    assert_eq!(jobs.len(), 3, "a run and two deliveries: {jobs:?}");
    // Each other server is told which part of the trace asks it.
    let asked = webhook.told();
    let traceparent = asked.last().unwrap()["traceparent"].as_str().unwrap();
    assert!(
        traceparent.starts_with(&format!("00-{}-", first[0].trace)),
        "{traceparent}"
    );

    for span in collector.spans() {
        let all = format!("{span:?}");
        for trace in ["TRACEME", "Traced^", "Terence"] {
            assert!(!all.contains(trace), "{all}");
        }
    }
    // A request belongs to the trace of who asks.
    let theirs = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{theirs}-00f067aa0ba902b7-01");
    assert_eq!(
        hilum
            .api()
            .get_within(&traceparent, "/api/v1/studies")
            .status,
        200
    );
    wait_until("the request is in its trace", 30, || {
        let spans = collector.spans();
        let of_it = spans.iter().find(|of| of.trace == theirs)?;
        assert_eq!(of_it.name, "GET /api/v1/studies");
        assert_eq!(of_it.parent, "00f067aa0ba902b7");
        Some(())
    });
    // What a request brings has a trace of its own, which says which request it was.
    let stored = Series::another_study("1.2.3.3", &["PatientID=3"]);
    assert_eq!(hilum.stow(stored.files()).status, 200);
    wait_until("the stored is linked to its request", 30, || {
        let spans = collector.spans();
        let stored = spans.iter().find(|of| of.name == "store request")?;
        let request = spans
            .iter()
            .find(|of| of.name == "POST /dicomweb/studies")?;
        assert_eq!(stored.links, std::slice::from_ref(&request.trace));
        Some(())
    });
    hilum.ends_sound();
}
