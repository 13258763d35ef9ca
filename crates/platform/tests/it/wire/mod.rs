//! What neighbours say to each other stays readable: `fixtures/wire-0.1.json` is every
//! question and answer as release 0.1 writes them, `fixtures/events-0.1.json` every
//! event. A rolling upgrade has both releases on the wire, and both directions: fields
//! are only added, and unknown ones passed over.
//!
//! `HILUM_WRITE_FIXTURES=1` writes those of the version of this workspace, once, when
//! it is released. The ones of earlier releases are never changed.

mod asking;
mod values;
mod world;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::StreamExt as _;
use hilum_contracts::Event;
use hilum_contracts::event::Payload;
use hilum_contracts::imaging::{
    InputSetReady, InstancesDeleted, InstancesMoved, InstancesRejected, InstancesStored,
    ResultsPublished, StudyCorrected,
};
use hilum_contracts::inference::RunFinished;
use hilum_contracts::patients::ConflictResolved;
use hilum_contracts::service::ServiceName;
use hilum_platform::notices::{Notices, Topic};
use hilum_platform::remote::notices;
use hilum_testkit::Asked;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use asking::asks_everything;
use world::answering;

/// A question and its answer, as they are on the wire.
#[derive(Clone, Serialize, Deserialize)]
struct Exchange {
    scope: Value,
    question: Value,
    answer: Value,
}

/// By the path of the question.
type Exchanges = BTreeMap<String, Exchange>;

/// Objects with one of these as their only member are alternatives, not records: they
/// have one member in every release.
const ALTERNATIVES: [&str; 14] = [
    "person",
    "api-key",
    "device",
    "service",
    "role",
    "break-glass",
    "admitted",
    "rejected",
    "now",
    "before",
    "patient",
    "study",
    "patient-id",
    "subject",
];

/// Objects that are maps, from names or ids to texts.
const MAPS: [&str; 3] = ["details", "/ask/imaging/people", "/ask/imaging/keys"];

fn fixture(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(name)
}

fn kept<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

/// Bytes as the fixture has them: JSON, JSON before bytes, or bytes alone.
fn shown(body: &[u8]) -> Value {
    if let Ok(json) = serde_json::from_slice(body) {
        return json;
    }
    let packed = body.split_first_chunk().and_then(|(length, rest)| {
        let (head, data) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let head: Value = serde_json::from_slice(head).ok()?;
        Some(json!({ "packed": head, "data": STANDARD.encode(data) }))
    });
    packed.unwrap_or_else(|| json!({ "data": STANDARD.encode(body) }))
}

/// The bytes again.
fn bytes(shown: &Value) -> Vec<u8> {
    let data = |of: &Value| STANDARD.decode(of["data"].as_str().unwrap()).unwrap();
    match shown.as_object() {
        Some(object) if object.contains_key("packed") => {
            let head = serde_json::to_vec(&object["packed"]).unwrap();
            let mut packed = u32::try_from(head.len()).unwrap().to_be_bytes().to_vec();
            packed.extend(head);
            packed.extend(data(shown));
            packed
        }
        Some(object) if object.len() == 1 && object.contains_key("data") => data(shown),
        _ => serde_json::to_vec(shown).unwrap(),
    }
}

/// The same with a member more in every record, as a later release may send it.
fn with_more(value: &Value, name: &str) -> Value {
    match value {
        Value::Array(all) => all.iter().map(|one| with_more(one, name)).collect(),
        Value::Object(all) => {
            let alternative =
                all.len() == 1 && ALTERNATIVES.iter().any(|one| all.contains_key(*one));
            let map = MAPS.contains(&name);
            let bytes = all.contains_key("data") && !all.contains_key("specversion");
            let mut more: Map<_, _> = all
                .iter()
                .map(|(name, one)| (name.clone(), with_more(one, name)))
                .collect();
            if !alternative && !map && !bytes {
                more.insert("of_a_later_release".to_owned(), json!({ "a": [1] }));
            }
            Value::Object(more)
        }
        one => one.clone(),
    }
}

/// Whether `whole` says everything that `part` does.
fn says(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| says(whole, part))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(one, other)| says(one, other))
        }
        _ => whole == part,
    }
}

fn scope_in(text: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// Today's services, and what goes to them and back.
fn listened_to() -> (Router, Arc<Mutex<Exchanges>>) {
    let heard = Arc::new(Mutex::new(Exchanges::new()));
    let listens = Arc::clone(&heard);
    let router = answering()
        .into_router()
        .layer(from_fn(move |request: Request, next: Next| {
            let heard = Arc::clone(&listens);
            async move {
                let path = request.uri().path().to_owned();
                let scope = request.headers().get("hilum-scope");
                let scope = scope.map_or(Value::Null, |scope| scope_in(scope.to_str().unwrap()));
                let (parts, body) = request.into_parts();
                let question = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let response = next
                    .run(Request::from_parts(parts, Body::from(question.clone())))
                    .await;
                let status = response.status();
                let answer = axum::body::to_bytes(response.into_body(), usize::MAX)
                    .await
                    .unwrap();
                let exchange = Exchange {
                    scope,
                    question: shown(&question),
                    answer: shown(&answer),
                };
                // A device is told to Identity twice: the first time counts.
                heard.lock().unwrap().entry(path).or_insert(exchange);
                (status, answer).into_response()
            }
        }));
    (router, heard)
}

#[tokio::test]
async fn what_is_said_today_says_what_the_last_release_said() {
    let (router, heard) = listened_to();
    let asked = Asked::with(ServiceName::Imaging, router).await;
    asks_everything(&asked.neighbour).await;
    let today = heard.lock().unwrap().clone();
    let name = "wire-0.1.json";
    if std::env::var_os("HILUM_WRITE_FIXTURES").is_some() {
        let text = serde_json::to_string_pretty(&today).unwrap();
        std::fs::write(fixture(name), text + "\n").unwrap();
    }
    for (path, then) in kept::<Exchanges>(name) {
        let now = today
            .get(&path)
            .unwrap_or_else(|| panic!("{path} is asked no more"));
        for (now, then) in [
            (&now.scope, &then.scope),
            (&now.question, &then.question),
            (&now.answer, &then.answer),
        ] {
            assert!(says(now, then), "{path}: {then} was said, and now {now}");
        }
    }
}

#[tokio::test]
async fn questions_of_another_release_are_understood() {
    let router = answering().into_router();
    for (path, then) in kept::<Exchanges>("wire-0.1.json") {
        let later = [then.question.clone(), with_more(&then.question, &path)];
        for (question, scope) in later
            .into_iter()
            .zip([then.scope.clone(), with_more(&then.scope, "")])
        {
            let mut request = Request::builder().method(Method::POST).uri(&path);
            if !scope.is_null() {
                let text = serde_json::to_vec(&scope).unwrap();
                request = request.header("hilum-scope", URL_SAFE_NO_PAD.encode(text));
            }
            let request = request.body(Body::from(bytes(&question))).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let answer = axum::body::to_bytes(response.into_body(), usize::MAX)
                .await
                .unwrap();
            let answer = shown(&answer);
            assert_eq!(status, StatusCode::OK, "{path} {question}: {answer}");
            assert!(says(&answer, &then.answer), "{path} {question}: {answer}");
        }
    }
}

#[tokio::test]
async fn answers_of_another_release_are_understood() {
    let today = Asked::new(ServiceName::Imaging, answering()).await;
    let heard = asks_everything(&today.neighbour).await;
    let kept: Exchanges = kept("wire-0.1.json");
    let later = kept.iter().map(|(path, then)| {
        let answer = with_more(&then.answer, path);
        (
            path.clone(),
            Exchange {
                answer,
                ..then.clone()
            },
        )
    });
    for exchanges in [kept.clone(), later.collect()] {
        let exchanges = Arc::new(exchanges);
        let router = Router::new().fallback(move |request: Request| {
            let exchanges = Arc::clone(&exchanges);
            async move {
                match exchanges.get(request.uri().path()) {
                    Some(then) => Response::new(Body::from(bytes(&then.answer))),
                    None => StatusCode::NOT_FOUND.into_response(),
                }
            }
        });
        let other = Asked::with(ServiceName::Imaging, router).await;
        assert_eq!(asks_everything(&other.neighbour).await, heard);
    }
}

#[tokio::test]
async fn a_notice_of_a_later_release_is_told_on_and_a_topic_of_it_passed_over() {
    let lines = "{\"tenant\":\"default\",\"topic\":\"of-a-later-release\"}\n\
        {\"tenant\":\"default\",\"topic\":\"runs\",\"study_uid\":\"1.2\",\"later\":{}}\n";
    let tells = move || async move {
        let told = futures::stream::iter([Ok::<_, Infallible>(lines)]);
        Body::from_stream(told.chain(futures::stream::pending()))
    };
    let router = Router::new().route("/ask/imaging/notices", post(tells));
    let other = Asked::with(ServiceName::Imaging, router).await;
    let (notices, stop) = (Notices::default(), CancellationToken::new());
    let mut told = notices.listen();
    let follows = notices::follow(other.neighbour.clone(), notices, stop.clone());
    let follows = tokio::spawn(follows);
    let notice = told.recv().await.unwrap();
    assert_eq!(notice.topic, Topic::Runs);
    assert_eq!(notice.study_uid.as_deref(), Some("1.2"));
    stop.cancel();
    follows.await.unwrap();
}

/// Reads an event's payload as its consumers do, and writes it again.
fn read_again<P: Payload>(event: &Event) -> Option<Value> {
    (event.kind == P::KIND).then(|| serde_json::to_value(event.payload::<P>().unwrap()).unwrap())
}

#[test]
fn events_of_another_release_are_understood() {
    let kept: Vec<Value> = kept("events-0.1.json");
    let mut kinds: Vec<_> = kept.iter().map(|one| one["type"].clone()).collect();
    kinds.dedup();
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    for then in &kept {
        for sent in [then.clone(), with_more(then, "")] {
            let event: Event = serde_json::from_value(sent.clone()).unwrap();
            assert!(says(
                &serde_json::to_value(&event).unwrap(),
                &json!({
                    "id": then["id"], "sequence": then["sequence"], "time": then["time"],
                    "correlationid": then["correlationid"], "traceparent": then["traceparent"],
                })
            ));
            let again = read_again::<InstancesStored>(&event)
                .or_else(|| read_again::<InstancesDeleted>(&event))
                .or_else(|| read_again::<InstancesRejected>(&event))
                .or_else(|| read_again::<InstancesMoved>(&event))
                .or_else(|| read_again::<StudyCorrected>(&event))
                .or_else(|| read_again::<InputSetReady>(&event))
                .or_else(|| read_again::<ResultsPublished>(&event))
                .or_else(|| read_again::<RunFinished>(&event))
                .or_else(|| read_again::<ConflictResolved>(&event));
            let again = again.unwrap_or_else(|| panic!("nobody reads {}", event.kind));
            assert!(says(&again, &then["data"]), "{again}");
        }
    }
}
