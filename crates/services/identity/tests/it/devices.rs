//! Devices at the door of DICOM.

use hilum_contracts::identity::{DeviceAdmission, DeviceAsks, DeviceRejection, Identity as _};
use hilum_contracts::ids::TenantId;
use hilum_platform::config::{Device, UnknownDevices};

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
