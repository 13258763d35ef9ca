//! Devices at the door of DICOM.

use axum::http::{Method, StatusCode};
use hilum_contracts::identity::{DeviceAdmission, DeviceAsks, DeviceRejection, Identity as _};
use hilum_contracts::ids::TenantId;
use hilum_platform::config::{Device, UnknownDevices};
use serde_json::{Value, json};

use crate::world::World;

fn asks(called: &str, calling: &str, peer: &str) -> DeviceAsks {
    DeviceAsks {
        called: called.to_owned(),
        calling: calling.to_owned(),
        peer: peer.parse().unwrap(),
        certificate_sha256: None,
    }
}

fn device(tenant: &str, ae_title: &str, address: Option<&str>) -> Device {
    Device {
        ae_title: ae_title.to_owned(),
        tenant: TenantId::new(tenant).unwrap(),
        address: address.map(ToOwned::to_owned),
        certificate_sha256: None,
        issuer: Some("clinic".to_owned()),
        quiet_seconds: Some(7.0),
        fallback_charset: None,
    }
}

#[tokio::test]
async fn a_device_is_known_by_its_title_and_address_in_the_tenant_that_is_called() {
    let world = World::with(|config| {
        config.devices = vec![device("a", "MR1", Some("192.0.2.0/24"))];
    })
    .await;
    let ask = |called, calling, peer| {
        let asks = asks(called, calling, peer);
        let service = world.service.clone();
        async move { service.device(&asks).await.unwrap() }
    };
    let DeviceAdmission::Admitted(mr1) = ask("TENANT_A", "MR1", "192.0.2.7").await else {
        panic!("it is known");
    };
    assert_eq!(mr1.tenant.as_str(), "a");
    assert_eq!(mr1.issuer.as_deref(), Some("clinic"));
    assert_eq!(mr1.quiet_seconds, Some(7.0));
    let unknown = DeviceAdmission::Rejected(DeviceRejection::CallingUnknown);
    assert_eq!(ask("TENANT_A", "MR1", "198.51.100.7").await, unknown);
    assert_eq!(ask("TENANT_A", "MR2", "192.0.2.7").await, unknown);
    assert_eq!(ask("TENANT_B", "MR1", "192.0.2.7").await, unknown);
    assert_eq!(
        ask("NOBODY", "MR1", "192.0.2.7").await,
        DeviceAdmission::Rejected(DeviceRejection::CalledUnknown)
    );
    assert_eq!(DeviceRejection::CallingUnknown.reason(), 3);
    assert_eq!(DeviceRejection::CalledUnknown.reason(), 7);
}

#[tokio::test]
async fn a_laptop_admits_what_calls_from_itself_and_an_open_door_does_not() {
    let here = asks("TENANT_A", "STORESCU", "127.0.0.1");
    let laptop = World::new().await;
    assert!(matches!(
        laptop.service.device(&here).await.unwrap(),
        DeviceAdmission::Admitted(_)
    ));
    let mapped = asks("TENANT_A", "STORESCU", "::ffff:127.0.0.1");
    assert!(matches!(
        laptop.service.device(&mapped).await.unwrap(),
        DeviceAdmission::Admitted(_)
    ));
    let strict = World::with(|config| {
        config.identity.unknown_devices = Some(UnknownDevices::Reject);
    })
    .await;
    let open = World::with(|config| config.dicom = "0.0.0.0:11112".parse().unwrap()).await;
    for world in [strict, open] {
        assert_eq!(
            world.service.device(&here).await.unwrap(),
            DeviceAdmission::Rejected(DeviceRejection::CallingUnknown)
        );
    }
}

#[tokio::test]
async fn an_unknown_device_is_shown_and_admitted_with_one_click() {
    let world = World::with(|config| {
        config.identity.unknown_devices = Some(UnknownDevices::Reject);
        config.devices = vec![device("a", "CT1", Some("192.0.2.7"))];
    })
    .await;
    let unknown = asks("TENANT_B", "CT1\u{7}x", "192.0.2.7");
    for _ in 0..3 {
        world.service.device(&unknown).await.unwrap();
    }
    let ct1 = asks("TENANT_B", "CT1", "192.0.2.7");
    world.service.device(&ct1).await.unwrap();
    let list = |tenant: &'static str| {
        world.operator(tenant, Method::GET, "/api/v1/devices/unknown", Value::Null)
    };
    assert_eq!(list("a").await.body["items"], json!([]), "it called b");
    let items = list("b").await.body["items"].clone();
    assert_eq!(items[0]["ae_title"], "CT1");
    assert_eq!(items[1]["ae_title"], "CT1?x");
    assert_eq!(items[1]["count"], 3);
    let admit = format!(
        "/api/v1/devices/unknown/{}/admit",
        items[0]["id"].as_str().unwrap()
    );
    let elsewhere = world.operator("a", Method::POST, &admit, Value::Null).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
    let admitted = world.operator("b", Method::POST, &admit, Value::Null).await;
    assert_eq!(admitted.status, StatusCode::OK, "{}", admitted.body);
    assert_eq!(admitted.body["address"], "192.0.2.7");
    assert_eq!(list("b").await.body["items"].as_array().unwrap().len(), 1);
    let DeviceAdmission::Admitted(there) = world.service.device(&ct1).await.unwrap() else {
        panic!("it was admitted");
    };
    assert_eq!(there.tenant.as_str(), "b");
    // The device of the other tenant at the same address stays what it was.
    let called_a = asks("TENANT_A", "CT1", "192.0.2.7");
    let DeviceAdmission::Admitted(there) = world.service.device(&called_a).await.unwrap() else {
        panic!("it is known");
    };
    assert_eq!(there.tenant.as_str(), "a");
    assert_eq!(there.issuer.as_deref(), Some("clinic"));
}

#[tokio::test]
async fn the_list_of_unknown_devices_is_bounded() {
    let world = World::with(|config| {
        config.identity.unknown_devices = Some(UnknownDevices::Reject);
    })
    .await;
    for at in 0..220 {
        let stranger = asks("TENANT_A", &format!("STRANGER{at}"), "198.51.100.7");
        world.service.device(&stranger).await.unwrap();
        world.later(time::Duration::seconds(1));
    }
    let path = "/api/v1/devices/unknown";
    let list = world
        .operator("a", Method::GET, path, Value::Null)
        .await
        .body;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 200);
    assert_eq!(items[0]["ae_title"], "STRANGER219");
}

#[tokio::test]
async fn devices_are_added_changed_and_removed() {
    let world = World::with(|config| {
        config.dicom = "0.0.0.0:11112".parse().unwrap();
        config.devices = vec![device("a", "MR1", Some("192.0.2.7"))];
    })
    .await;
    let ask = |method, path: String, body: Value| {
        let world = &world;
        async move { world.operator("a", method, &path, body).await }
    };
    let all = || "/api/v1/devices".to_owned();
    let alone = ask(Method::POST, all(), json!({"ae_title": "CT1"})).await;
    assert_eq!(
        alone.status,
        StatusCode::BAD_REQUEST,
        "a title proves nothing"
    );
    let body = json!({"ae_title": "CT1", "certificate_sha256": "AB:".repeat(31) + "AB"});
    let added = ask(Method::POST, all(), body.clone()).await;
    assert_eq!(added.status, StatusCode::OK, "{}", added.body);
    assert_eq!(added.body["certificate_sha256"], "ab".repeat(32));
    let twice = ask(Method::POST, all(), body).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let mut ct1 = asks("TENANT_A", "CT1", "203.0.113.9");
    ct1.certificate_sha256 = Some([0xab; 32]);
    assert!(matches!(
        world.service.device(&ct1).await.unwrap(),
        DeviceAdmission::Admitted(_)
    ));
    let one = format!("{}/{}", all(), added.body["id"].as_str().unwrap());
    let neither = json!({"certificate_sha256": null});
    let refused = ask(Method::PATCH, one.clone(), neither).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let moved =
        json!({"certificate_sha256": null, "address": "203.0.113.0/24", "quiet_seconds": 9});
    let moved = ask(Method::PATCH, one.clone(), moved).await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.body);
    let known = world.directory.known();
    let a = TenantId::new("a").unwrap();
    assert_eq!(known.device(&a, "CT1").unwrap().quiet_seconds, Some(9.0));
    ct1.certificate_sha256 = None;
    let DeviceAdmission::Admitted(there) = world.service.device(&ct1).await.unwrap() else {
        panic!("it is known by its network");
    };
    assert_eq!(there.quiet_seconds, Some(9.0));
    let list = ask(Method::GET, all(), Value::Null).await.body;
    let configured = list["items"].as_array().unwrap().iter();
    let mr1 = configured
        .clone()
        .find(|item| item["ae_title"] == "MR1")
        .unwrap();
    assert_eq!(mr1["configured"], true);
    let path = format!("{}/{}", all(), mr1["id"].as_str().unwrap());
    let refused = ask(Method::DELETE, path, Value::Null).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let removed = ask(Method::DELETE, one, Value::Null).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert!(matches!(
        world.service.device(&ct1).await.unwrap(),
        DeviceAdmission::Rejected(_)
    ));
}
