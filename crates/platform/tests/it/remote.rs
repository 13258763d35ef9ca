//! Neighbours over mutual TLS: what they answer, and what one costs that does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::body::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use hilum_contracts::access::{Action, Role};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::{CorrelationId, InputSetId, RunId};
use hilum_contracts::imaging::{
    DataSetStream, Imaging, InstanceRef, Published, ResultInstance, ResultSet,
};
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use hilum_contracts::service::ServiceName;
use hilum_platform::auth;
use hilum_platform::http_client::HttpClient;
use hilum_platform::http_server::{Bounds, serve};
use hilum_platform::limits::{
    NEIGHBOUR_FAILURES, NEIGHBOUR_GONE, NEIGHBOUR_LOOK_EVERY, NEIGHBOUR_REST_MAX, NEIGHBOUR_TRIES,
};
use hilum_platform::remote::carried;
use hilum_platform::remote::imaging::{self, RemoteImaging};
use hilum_platform::remote::{Answering, Asking, Neighbour};
use hilum_testkit::{Asked, Authority};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::tenant;

/// What only a neighbour over the network shows of an Imaging.
struct Fixed;

#[async_trait]
impl Imaging for Fixed {
    async fn input_set(
        &self,
        _: &TenantScope,
        _: InputSetId,
    ) -> Result<Vec<InstanceRef>, ServiceError> {
        let text = "A newer revision has superseded it.";
        Err(ServiceError::new(ErrorCode::Conflict, text))
    }

    async fn data_set(
        &self,
        _: &TenantScope,
        sop_instance_uid: &str,
    ) -> Result<DataSetStream, ServiceError> {
        let breaks = sop_instance_uid == "breaks";
        let pieces = (0..64).map(move |number| match number {
            63 if breaks => Err(ServiceError::new(
                ErrorCode::Corrupt,
                "A chunk is not what was written.",
            )),
            number => Ok(Bytes::from(vec![number; 64 << 10])),
        });
        Ok(futures::stream::iter(pieces).boxed())
    }

    async fn instances(
        &self,
        scope: &TenantScope,
        uids: &[String],
    ) -> Result<Vec<InstanceRef>, ServiceError> {
        scope.require(Action::ViewStudies)?;
        let of = |uid: &String| InstanceRef {
            sop_class_uid: scope.tenant().to_string(),
            sop_instance_uid: uid.clone(),
            series_uid: scope.principal().to_string(),
            transfer_syntax_uid: String::new(),
            length: 1,
        };
        Ok(uids.iter().map(of).collect())
    }

    async fn publish_results(
        &self,
        _: &TenantScope,
        results: ResultSet,
    ) -> Result<Published, ServiceError> {
        let of = |one: ResultInstance| InstanceRef {
            sop_class_uid: results.key.clone(),
            sop_instance_uid: String::new(),
            series_uid: String::new(),
            transfer_syntax_uid: String::new(),
            length: one.data_set.len() as u64,
        };
        Ok(Published::Now(
            results.instances.into_iter().map(of).collect(),
        ))
    }
}

fn viewer() -> TenantScope {
    let acting = Acting {
        principal: Principal::Device("Müller".to_owned()),
        right: Right::Role(Role::Radiologist),
        limited_to: None,
        from: Some([192, 0, 2, 7].into()),
    };
    auth::admitted(&tenant(), acting)
}

async fn fixed() -> (Asked, RemoteImaging) {
    let name = ServiceName::Imaging;
    let asked = Asked::new(name, imaging::answer(Answering::new(name), Arc::new(Fixed))).await;
    let remote = RemoteImaging(asked.neighbour.clone());
    (asked, remote)
}

#[tokio::test]
async fn a_neighbour_sees_who_asks_and_its_refusals_arrive_as_they_are() {
    let (_asked, imaging) = fixed().await;
    let found = imaging
        .instances(&viewer(), &["1.2".to_owned()])
        .await
        .unwrap();
    assert_eq!(found[0].sop_class_uid, tenant().to_string());
    assert_eq!(found[0].series_uid, "device Müller");
    let limited = Acting {
        limited_to: Some([Action::StoreImages].into_iter().collect()),
        ..viewer().acting().clone()
    };
    let limited = auth::admitted(&tenant(), limited);
    let refused = imaging.instances(&limited, &[]).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Forbidden);
    let superseded = imaging
        .input_set(&viewer(), InputSetId::new())
        .await
        .unwrap_err();
    assert_eq!(superseded.code, ErrorCode::Conflict);
    assert_eq!(superseded.message, "A newer revision has superseded it.");
}

#[tokio::test]
async fn data_sets_come_piece_by_piece_and_one_that_breaks_off_is_no_end() {
    let (_asked, imaging) = fixed().await;
    let stream = imaging.data_set(&viewer(), "whole").await.unwrap();
    let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
    let whole = pieces.concat();
    assert_eq!(whole.len(), 64 * (64 << 10));
    assert!(
        whole
            .chunks(64 << 10)
            .zip(0..)
            .all(|(chunk, number)| chunk.iter().all(|byte| *byte == number))
    );
    let stream = imaging.data_set(&viewer(), "breaks").await.unwrap();
    let broken: Result<Vec<Bytes>, _> = stream.try_collect().await;
    assert_eq!(broken.unwrap_err().code, ErrorCode::Unavailable);
}

#[tokio::test]
async fn results_arrive_whole() {
    let (_asked, imaging) = fixed().await;
    let instances = [0, 1, 5 << 20].map(|length| ResultInstance {
        data_set: Bytes::from(vec![7; length]),
    });
    let scope = viewer();
    let published = imaging.publish_results(
        &scope,
        ResultSet {
            run: RunId::new(),
            key: "input/model".to_owned(),
            study_uid: "1.2".to_owned(),
            model: "ct".to_owned(),
            correlation_id: CorrelationId::new(),
            instances: instances.into(),
        },
    );
    let Published::Now(instances) = published.await.unwrap() else {
        panic!("they were published before");
    };
    let lengths: Vec<u64> = instances.iter().map(|one| one.length).collect();
    assert_eq!(lengths, [0, 1, 5 << 20]);
    assert_eq!(instances[0].sop_class_uid, "input/model");
}

/// Answers `unavailable` so many times, and then how often it was asked.
async fn unavailable_at_first(times: u32) -> Asked {
    let asked = Arc::new(AtomicU32::new(0));
    let answering = Answering::new(ServiceName::Patients).on_any("count", move |()| {
        let asked = Arc::clone(&asked);
        async move {
            match asked.fetch_add(1, Ordering::SeqCst) {
                count if count < times => Err(ServiceError::new(ErrorCode::Unavailable, "busy")),
                count => Ok(count + 1),
            }
        }
    });
    Asked::new(ServiceName::Patients, answering).await
}

#[tokio::test]
async fn what_may_be_asked_twice_is_and_nothing_else() {
    let asked = unavailable_at_first(NEIGHBOUR_TRIES - 1).await;
    let ask = |asking| asked.neighbour.ask::<_, u32>(asking, "count", None, &());
    assert_eq!(
        ask(Asking::ONCE).await.unwrap_err().code,
        ErrorCode::Unavailable
    );
    assert_eq!(ask(Asking::REPEATABLE).await.unwrap(), NEIGHBOUR_TRIES);
    let asked = unavailable_at_first(u32::MAX).await;
    let ask = |asking| asked.neighbour.ask::<_, u32>(asking, "count", None, &());
    assert!(ask(Asking::REPEATABLE).await.is_err());
}

#[tokio::test]
async fn a_neighbour_that_says_nothing_costs_its_deadline_and_then_nothing() {
    let (folder, silent) = (
        tempfile::tempdir().unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let at = format!("https://{}", silent.local_addr().unwrap());
    let authority = Authority::new(folder.path());
    let own = authority.vouches_for("own");
    let client = HttpClient::new(Some(&authority.certificate()), Some(&own)).unwrap();
    let neighbour = Neighbour::new(ServiceName::Audit, at.parse().unwrap(), client);
    let within = Duration::from_millis(200);
    let ask = || neighbour.ask::<_, u32>(Asking::ONCE.within(within), "count", None, &());
    for _ in 0..NEIGHBOUR_FAILURES {
        let begun = Instant::now();
        assert_eq!(ask().await.unwrap_err().code, ErrorCode::Unavailable);
        assert!(begun.elapsed() >= within, "it was not waited for");
    }
    let begun = Instant::now();
    assert_eq!(ask().await.unwrap_err().code, ErrorCode::Unavailable);
    assert!(begun.elapsed() < within, "it was asked again at once");
    // After a rest it is.
    tokio::time::sleep(NEIGHBOUR_REST_MAX).await;
    let begun = Instant::now();
    assert!(ask().await.is_err());
    assert!(begun.elapsed() >= within, "it was not asked after the rest");
}

#[tokio::test]
async fn a_request_is_passed_on_for_as_long_as_the_neighbour_says_that_it_is_there() {
    let takes_long = || async {
        tokio::time::sleep(NEIGHBOUR_LOOK_EVERY + Duration::from_secs(1)).await;
        "done"
    };
    let answering = Answering::new(ServiceName::Patients)
        .on_any("ready", |()| async { Ok(()) })
        .into_router()
        .route("/api/v1/patients", axum::routing::get(takes_long));
    let asked = Asked::with(ServiceName::Patients, answering).await;
    let request = |at: &http::Uri| {
        let uri = format!("{at}api/v1/patients");
        http::Request::get(uri)
            .body(axum::body::Body::empty())
            .unwrap()
    };
    let within = Duration::from_secs(60);
    let there = asked
        .neighbour
        .pass_on(request(asked.neighbour.at()), within, || ());
    // One that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at: http::Uri = format!("https://{}", silent.local_addr().unwrap())
        .parse()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let client = HttpClient::new(Some(&authority.certificate()), None).unwrap();
    let gone = Neighbour::new(ServiceName::Patients, at.clone(), client);
    let (there, gone) = tokio::join!(there, gone.pass_on(request(&at), within, || ()));
    assert_eq!(there.unwrap().status(), 200);
    assert_eq!(gone.unwrap_err().code, ErrorCode::Unavailable);
}

#[tokio::test]
async fn what_could_not_be_sent_waits_until_somebody_is_there_and_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let client = HttpClient::new(Some(&authority.certificate()), None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let at = format!("http://{address}").parse().unwrap();
    let neighbour = Neighbour::new(ServiceName::Patients, at, client);
    let pieces = (0..64_u8).map(|number| Ok::<_, std::io::Error>(vec![number; 1_000]));
    let request = http::Request::post(format!("http://{address}/"))
        .body(axum::body::Body::from_stream(futures::stream::iter(pieces)))
        .unwrap();
    let mut waits = 0;
    let asking = neighbour.pass_on(request, Duration::from_secs(60), || waits += 1);
    let stop = CancellationToken::new();
    let comes = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let listener = TcpListener::bind(address).await.unwrap();
        let length = |body: Bytes| async move { body.len().to_string() };
        let router = axum::Router::new().route("/", axum::routing::post(length));
        let (bounds, stop) = (Bounds::of_neighbours(), stop.clone());
        tokio::spawn(serve(listener, router, None, bounds, stop));
    };
    let (answer, ()) = tokio::join!(asking, comes);
    let body = axum::body::to_bytes(axum::body::Body::new(answer.unwrap()), 100).await;
    assert_eq!(body.unwrap(), "64000");
    assert!(waits > 0);
    stop.cancel();
}

#[tokio::test]
async fn who_stays_away_is_waited_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let client = HttpClient::new(Some(&authority.certificate()), None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let neighbour = Neighbour::new(ServiceName::Patients, at.parse().unwrap(), client);
    let asking = Asking::ONCE.within(NEIGHBOUR_GONE * 2);
    let ask = || neighbour.ask::<_, u32>(asking, "count", None, &());
    let begun = Instant::now();
    assert_eq!(ask().await.unwrap_err().code, ErrorCode::Unavailable);
    assert!(begun.elapsed() >= NEIGHBOUR_GONE, "it was not waited for");
    let begun = Instant::now();
    assert_eq!(ask().await.unwrap_err().code, ErrorCode::Unavailable);
    assert!(begun.elapsed() < NEIGHBOUR_GONE, "it was waited for again");
}

#[tokio::test]
async fn a_connection_is_carried_with_who_called_and_goes_on_after_its_door_has_stopped() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let client = HttpClient::new(Some(&authority.certificate()), None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let neighbour = Neighbour::new(ServiceName::Imaging, at.parse().unwrap(), client);
    let (router, mut carried) = carried::door();
    let stop = CancellationToken::new();
    let bounds = Bounds::of_neighbours();
    let door = tokio::spawn(serve(listener, router, None, bounds, stop.clone()));
    let peer = "192.0.2.7:11112".parse().unwrap();
    let certificate: Vec<u8> = (0..=255).collect();
    let carry = carried::carry(&neighbour, peer, Some(&certificate));
    let (here, there) = tokio::join!(carry, carried.recv());
    let (mut here, mut there) = (here.unwrap(), there.unwrap());
    assert_eq!((there.peer, there.certificate), (peer, Some(certificate)));

    stop.cancel();
    door.await.unwrap();
    let long = vec![7; 300_000];
    let sends = async {
        here.write_all(&long).await.unwrap();
        here.flush().await.unwrap();
    };
    let mut came = vec![0; 300_000];
    let (_, read) = tokio::join!(sends, there.stream.read_exact(&mut came));
    read.unwrap();
    assert_eq!(came, long);
    there.stream.write_all(b"bye").await.unwrap();
    there.stream.shutdown().await.unwrap();
    let mut answer = String::new();
    here.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "bye");
}

#[tokio::test]
async fn a_door_takes_associations_of_neighbours_only_and_none_when_nobody_serves_them() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let client = HttpClient::new(Some(&authority.certificate()), None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let neighbour = Neighbour::new(ServiceName::Imaging, at.parse().unwrap(), client.clone());
    let (router, carried) = carried::door();
    let (stop, bounds) = (CancellationToken::new(), Bounds::of_neighbours());
    tokio::spawn(serve(listener, router, None, bounds, stop.clone()));
    let plain = http::Request::get(format!("{at}/carry/association"));
    let plain = plain.body(axum::body::Body::empty()).unwrap();
    let answer = client.send(plain, Duration::from_secs(10)).await.unwrap();
    assert_eq!(answer.status, 400);

    drop(carried);
    let peer = "192.0.2.7:11112".parse().unwrap();
    let refused = carried::carry(&neighbour, peer, None).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    stop.cancel();
}

#[tokio::test]
async fn whom_the_authority_does_not_vouch_for_is_not_heard() {
    let asked = unavailable_at_first(0).await;
    let ask = |client: HttpClient| {
        let at = asked.neighbour.at().clone();
        let neighbour = Neighbour::new(ServiceName::Patients, at, client);
        async move {
            neighbour
                .ask::<_, u32>(Asking::ONCE, "count", None, &())
                .await
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let stranger = Authority::new(folder.path()).vouches_for("stranger");
    for own in [None, Some(&stranger)] {
        let client = HttpClient::new(Some(&asked.authority()), own).unwrap();
        let refused = ask(client).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unavailable);
    }
    // And who asks is not deceived by a neighbour of another authority.
    let other = tempfile::tempdir().unwrap();
    let elsewhere = Authority::new(other.path());
    let client = HttpClient::new(Some(&elsewhere.certificate()), None).unwrap();
    assert_eq!(ask(client).await.unwrap_err().code, ErrorCode::Unavailable);
    assert_eq!(
        asked
            .neighbour
            .ask::<_, u32>(Asking::ONCE, "count", None, &())
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn a_certificate_that_was_renewed_is_shown_without_a_new_start() {
    let (asked, _) = fixed().await;
    let folder = tempfile::tempdir().unwrap();
    let own = Authority::new(folder.path()).vouches_for("own");
    let client = HttpClient::new(Some(&asked.authority()), Some(&own)).unwrap();
    let ask = async || {
        // Of its own each time: one that was refused is given a rest.
        let at = asked.neighbour.at().clone();
        let way = Neighbour::new(ServiceName::Imaging, at, client.clone());
        RemoteImaging(way).instances(&viewer(), &[]).await
    };
    assert_eq!(ask().await.unwrap_err().code, ErrorCode::Unavailable);
    let vouched = asked.authority().with_file_name("asks");
    // The key comes later: until then the old pair is shown.
    std::fs::copy(vouched.with_extension("pem"), &own.certificate).unwrap();
    assert_eq!(ask().await.unwrap_err().code, ErrorCode::Unavailable);
    std::fs::copy(vouched.with_extension("key"), &own.key).unwrap();
    assert_eq!(ask().await.unwrap(), []);
}

#[tokio::test]
async fn a_question_that_is_none_is_refused_and_harms_nothing() {
    let (asked, imaging) = fixed().await;
    for (what, body) in [
        ("instances", "[1"),
        ("instances", "{}"),
        ("publish-results", ""),
        ("data-set", "7"),
    ] {
        let body = Bytes::from(body.to_owned());
        let refused = asked
            .neighbour
            .ask_bytes(Asking::ONCE, what, Some(&viewer()), body)
            .await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::Invalid, "{what}");
    }
    let scopeless = asked
        .neighbour
        .ask_bytes(Asking::ONCE, "instances", None, "[]".into())
        .await;
    assert_eq!(scopeless.unwrap_err().code, ErrorCode::Unauthenticated);
    assert!(imaging.instances(&viewer(), &[]).await.unwrap().is_empty());
}
