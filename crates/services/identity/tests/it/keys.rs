//! API keys at the door.

use hilum_contracts::access::{Action, Role};
use hilum_contracts::error::ErrorCode;
use hilum_contracts::identity::Identity as _;
use hilum_identity::NewKey;
use hilum_platform::auth;
use time::Duration;

use crate::world::{World, scope};

fn key(role: Role) -> NewKey {
    NewKey {
        name: "script".to_owned(),
        role,
        limited_to: None,
        expires_at: None,
    }
}

#[tokio::test]
async fn a_key_lets_its_program_in_within_its_role_and_limits() {
    let world = World::new().await;
    let mut limited = key(Role::Integration);
    limited.limited_to = Some(vec![Action::StoreImages]);
    limited.expires_at = Some(world.now() + Duration::hours(1));
    let made = world
        .service
        .create_key(&scope("a"), limited)
        .await
        .unwrap();
    let admitted = world
        .service
        .api_key(&made.bearer, None)
        .await
        .unwrap()
        .unwrap();
    let scope = auth::admitted(&admitted.tenant, admitted.acting);
    assert_eq!(scope.tenant().as_str(), "a");
    assert!(scope.may(Action::StoreImages));
    assert!(!scope.may(Action::ViewStudies));
    world.later(Duration::hours(1));
    assert!(
        world
            .service
            .api_key(&made.bearer, None)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_wrong_secret_or_form_is_nobody() {
    let world = World::new().await;
    let made = world
        .service
        .create_key(&scope("a"), key(Role::Integration))
        .await
        .unwrap();
    let other = world
        .service
        .create_key(&scope("b"), key(Role::Integration))
        .await
        .unwrap();
    let (id, secret) = (&made.bearer[..35], &other.bearer[35..]);
    for wrong in [
        "",
        "hk_",
        "secret",
        &made.bearer[..77],
        &format!("{id}{secret}"),
        &format!("{}x", made.bearer),
    ] {
        assert!(
            world.service.api_key(wrong, None).await.unwrap().is_none(),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn no_key_owns_a_tenant_and_nobody_but_who_may_makes_one() {
    let world = World::new().await;
    for role in [Role::Owner, Role::Operator, Role::Device] {
        let refused = world.service.create_key(&scope("a"), key(role)).await;
        assert_eq!(refused.err().unwrap().code, ErrorCode::Invalid);
    }
    let made = world
        .service
        .create_key(&scope("a"), key(Role::Radiologist))
        .await
        .unwrap();
    let who = world
        .service
        .api_key(&made.bearer, None)
        .await
        .unwrap()
        .unwrap();
    let reader = auth::admitted(&who.tenant, who.acting);
    let refused = world
        .service
        .create_key(&reader, key(Role::Radiologist))
        .await;
    assert_eq!(refused.err().unwrap().code, ErrorCode::Forbidden);
}
