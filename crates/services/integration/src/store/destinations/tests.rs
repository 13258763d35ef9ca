//! Destinations come and go, and nothing of one passes to another.

use hilum_contracts::ids::{CorrelationId, RunId};
use hilum_contracts::imaging::{PatientIdentity, ResultsPublished, StudyFacts};
use hilum_platform::auth;
use hilum_platform::db::Db;

use super::*;
use crate::store::planning;

fn destination(id: &str, name: &str) -> Made {
    Made {
        id: id.to_owned(),
        name: name.to_owned(),
        paused: false,
        settings: serde_json::from_str(r#"{"kind": "mail", "address": "a@example.org"}"#).unwrap(),
        secret: Some(vec![1]),
        created_at: 1,
        changed_at: 1,
    }
}

async fn keeps(store: &Store, scope: &TenantScope, made: &Made) -> bool {
    let mut tx = store.db().begin(scope).await.unwrap();
    let kept = insert(&mut tx, scope, made, 2).await.unwrap();
    tx.commit().await.unwrap();
    kept
}

async fn plans(store: &Store, scope: &TenantScope, to: &str) {
    let results = ResultsPublished {
        run: RunId::new(),
        study_uid: "1.2".to_owned(),
        instances: Vec::new(),
        patient: PatientIdentity::default(),
        model: String::new(),
        study: StudyFacts::default(),
    };
    let new = planning::NewDelivery {
        results: &results,
        destination: to,
        correlation_id: CorrelationId::new(),
    };
    let mut tx = store.db().begin(scope).await.unwrap();
    planning::plan(&mut tx, scope, &new, 5).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_removed_leaves_its_name_to_deliveries_and_nothing_to_a_namesake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("integration.sqlite");
    let store = Store::new(Db::open(&path, crate::MIGRATIONS).await.unwrap());
    let scope = |name| auth::service(&TenantId::new(name).unwrap(), "integration");
    let (a, b) = (scope("a"), scope("b"));
    let first = destination("1", "pacs");
    assert!(keeps(&store, &a, &first).await);
    assert!(!keeps(&store, &a, &destination("2", "pacs")).await);
    assert!(keeps(&store, &b, &destination("3", "pacs")).await);
    assert!(keeps(&store, &a, &destination("4", "ris")).await);
    assert!(!keeps(&store, &a, &destination("5", "more than two")).await);
    assert!(store.destination(&b, "1").await.unwrap().is_none());

    assert_eq!(store.at_work(9, 10).await.unwrap(), []);
    plans(&store, &a, "1").await;
    let due = store.at_work(9, 10).await.unwrap();
    assert_eq!(due, [(a.tenant().clone(), "1".to_owned())]);
    assert_eq!(store.at_work(4, 10).await.unwrap(), []);

    let mut paused = first.clone();
    (paused.paused, paused.changed_at) = (true, 2);
    let mut tx = store.db().begin(&a).await.unwrap();
    let updated = update(&mut tx, &a, &paused, 1).await.unwrap();
    assert_eq!(updated, Updated::Done);
    // Who read it before that does not undo it.
    let stale = update(&mut tx, &a, &first, 1).await.unwrap();
    assert_eq!(stale, Updated::Changed);
    tx.commit().await.unwrap();
    assert_eq!(store.at_work(9, 10).await.unwrap(), []);
    let shown = store.newest_deliveries(&a, None, 9).await.unwrap();
    assert_eq!(shown[0].reason.as_deref(), Some(PAUSED));
    assert_eq!(shown[0].destination, "pacs");

    for (id, is) in [("3", None), ("4", Some("ris")), ("1", Some("pacs"))] {
        let mut tx = store.db().begin(&a).await.unwrap();
        let name = remove(&mut tx, &a, id, 3).await.unwrap();
        assert_eq!(name.as_deref(), is);
        tx.commit().await.unwrap();
    }
    assert!(keeps(&store, &a, &destination("6", "pacs")).await);
    let shown = store.newest_deliveries(&a, None, 9).await.unwrap();
    let of = (shown[0].state.as_str(), shown[0].reason.as_deref());
    assert_eq!(of, ("given-up", Some(REMOVED)));
    assert!(shown[0].destination_removed);
    let mut tx = store.db().begin(&a).await.unwrap();
    let again = planning::start_anew(&mut tx, &a, &shown[0].id, 9).await;
    assert_eq!(again.unwrap(), None);
    tx.commit().await.unwrap();
    assert_eq!(store.at_work(9, 10).await.unwrap(), []);
    let rows: Vec<(String, bool)> =
        db::query("SELECT id, secret IS NULL FROM destinations WHERE state = 'removed'")
            .fetch_all(store.db().read(Across::Jobs))
            .await
            .unwrap()
            .iter()
            .map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap()))
            .collect();
    // Of `ris` no delivery tells.
    assert_eq!(rows, [("1".to_owned(), true)]);
}
