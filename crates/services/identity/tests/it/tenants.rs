//! Tenants of the configuration and of the database.

use hilum_contracts::error::ErrorCode;
use hilum_contracts::ids::TenantId;
use hilum_identity::NewTenant;

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
