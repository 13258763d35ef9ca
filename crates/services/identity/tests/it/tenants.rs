//! Tenants of the configuration and of the database.

use hilum_contracts::access::Role;
use hilum_contracts::erasure::EndsTenants as _;
use hilum_contracts::erasure::Forgets as _;
use hilum_contracts::error::ErrorCode;
use hilum_contracts::identity::{DeviceAdmission, DeviceAsks, DeviceRejection, Identity as _};
use hilum_contracts::ids::TenantId;
use hilum_identity::{NewKey, NewTenant};

use crate::world::{World, scope, tenant};

fn new(display_name: &str) -> NewTenant {
    NewTenant {
        display_name: display_name.to_owned(),
        name: None,
        ae_title: None,
    }
}

#[tokio::test]
async fn a_tenant_that_is_made_while_serving_is_there_at_once_and_after_a_start() {
    let world = World::new().await;
    let made = world
        .service
        .create_tenant(&scope("a"), new("Zürich Süd"))
        .await
        .unwrap();
    assert_eq!(made.name.as_str(), "zurich-sud");
    assert_eq!(made.ae_title, "ZURICH_SUD");
    assert!(world.directory.known().tenant(&made.name).is_some());
    let second = world
        .service
        .create_tenant(&scope("a"), new("Zürich Süd"))
        .await
        .unwrap();
    assert_eq!(second.name.as_str(), "zurich-sud-2");
    let taken = NewTenant {
        name: Some(TenantId::new("a").unwrap()),
        ae_title: Some("OTHER".to_owned()),
        ..new("Other")
    };
    let refused = world.service.create_tenant(&scope("a"), taken).await;
    assert_eq!(refused.err().unwrap().code, ErrorCode::Conflict);
    let world = world.reopened(|_| {}).await;
    assert!(
        world
            .directory
            .known()
            .tenant_called("ZURICH_SUD")
            .is_some()
    );
}

#[tokio::test]
async fn the_configuration_wins_for_what_it_names() {
    let world = World::new().await;
    let world = world
        .reopened(|config| {
            config.tenants = vec![tenant("c", "TENANT_A"), tenant("b", "NEW_B")];
            config.tenants[1].archive.quota_bytes = Some(5);
        })
        .await;
    let known = world.directory.known();
    assert_eq!(known.tenant_called("TENANT_A").unwrap().name.as_str(), "c");
    let b = known.tenant_called("NEW_B").unwrap();
    assert_eq!(b.archive.quota_bytes, Some(5));
    assert_eq!(
        known.tenants().len(),
        2,
        "nobody had joined the one that went"
    );
}

#[tokio::test]
async fn of_a_tenant_that_is_being_ended_nobody_gets_in_and_its_name_stays_taken() {
    let world = World::new().await;
    let (ending, staying) = (scope("a"), scope("b"));
    let made = |scope| {
        let new = NewKey {
            name: "a program".to_owned(),
            role: Role::Integration,
            limited_to: None,
            expires_at: None,
        };
        world.service.create_key(scope, new)
    };
    let key = made(&ending).await.unwrap();
    let other = made(&staying).await.unwrap();
    let asks = DeviceAsks {
        called: "TENANT_A".to_owned(),
        calling: "SCANNER".to_owned(),
        peer: [127, 0, 0, 1].into(),
        certificate_sha256: None,
    };
    let comes_in = async |world: &World| {
        let key = world.service.api_key(&key.bearer, None).await.unwrap();
        let device = world.service.device(&asks).await.unwrap();
        (key.is_some(), device)
    };
    let before = comes_in(&world).await;
    assert!(before.0 && matches!(before.1, DeviceAdmission::Admitted(_)));

    world.service.begin_ending(&ending, 2).await.unwrap();
    let shut = (
        false,
        DeviceAdmission::Rejected(DeviceRejection::CalledUnknown),
    );
    assert_eq!(comes_in(&world).await, shut);
    assert!(world.directory.known().tenant(ending.tenant()).is_none());
    let again = world.service.begin_ending(&ending, 0).await;
    assert_eq!(again.err().unwrap().code, ErrorCode::NotFound);
    let taken = NewTenant {
        name: Some(ending.tenant().clone()),
        ae_title: Some("OTHER".to_owned()),
        ..new("Other")
    };
    let refused = world.service.create_tenant(&staying, taken).await;
    assert_eq!(refused.err().unwrap().code, ErrorCode::Conflict);

    // Also when the configuration names it still.
    let world = world.reopened(|_| {}).await;
    assert_eq!(comes_in(&world).await, shut);
    let known = world.service.ended_tenants().await.unwrap();
    assert_eq!((known[0].holds, known[0].api_keys), (2, 1));
    assert!(known[0].ended_at.is_none());
    // The first holdings stand: later ones are of what is left.
    let kept = world.service.keep_holdings(&ending, "{\"n\":1}").await;
    assert_eq!(kept.unwrap().holdings.unwrap(), "{\"n\":1}");
    let kept = world.service.keep_holdings(&ending, "{}").await.unwrap();
    assert_eq!(kept.holdings.unwrap(), "{\"n\":1}");
    world.service.forget_tenant(&ending).await.unwrap();
    world
        .service
        .certify_ending(&ending, "{}", "00")
        .await
        .unwrap();
    let known = world.service.ended_tenants().await.unwrap();
    assert!(known[0].ended_at.is_some() && known[0].certificate.is_some());
    let other = world.service.api_key(&other.bearer, None).await.unwrap();
    assert!(other.is_some());
}
