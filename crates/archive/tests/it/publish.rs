//! A result set is published once, whole, whoever comes first.

use hilum_archive::{PublishOutcome, ResultKey, StoreOutcome};
use hilum_contracts::Event;
use hilum_contracts::ids::{CorrelationId, RunId, TenantId};
use hilum_contracts::imaging::ResultsPublished;
use hilum_platform::events::OutboxSource;

use crate::support::{TestArchive, instance, noise};

fn event() -> Event {
    let published = ResultsPublished {
        run: RunId::new(),
        study_uid: "1.2.1".into(),
        instances: vec![],
        patient: hilum_contracts::imaging::PatientIdentity::default(),
        model: String::new(),
        study: hilum_contracts::imaging::StudyFacts::default(),
    };
    let tenant = TenantId::new("default").unwrap();
    let now = hilum_platform::clock::from_millis(0);
    Event::new(tenant, CorrelationId::new(), now, "run", 1, &published).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_publications_under_one_key_exactly_one_is_kept() {
    let test = TestArchive::new().await;
    let mut tasks = Vec::new();
    for attempt in 0..6_u32 {
        let (archive, scope) = (test.archive.clone(), test.scope.clone());
        tasks.push(tokio::spawn(async move {
            let mut set = vec![
                instance(1, attempt, 1, noise(u64::from(attempt), 100_000)),
                instance(1, attempt, 2, noise(u64::from(attempt) + 100, 3_000)),
            ];
            set[1].correlation = set[0].correlation;
            let key = ResultKey("set-1".into());
            archive
                .publish(&scope, key, set, vec![event()])
                .await
                .unwrap()
        }));
    }
    let mut first = 0;
    for task in tasks {
        match task.await.unwrap() {
            PublishOutcome::Published => first += 1,
            PublishOutcome::AlreadyPublished { instances } => assert_eq!(instances.len(), 2),
        }
    }
    assert_eq!(first, 1);
    let study = test
        .archive
        .study(&test.scope, "1.2.1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((study.series, study.instances), (1, 2));
    let events = test.archive.unsent(100).await.unwrap();
    let published = events
        .iter()
        .filter(|(_, event)| event.subject == "run")
        .count();
    assert_eq!((published, events.len()), (1, 2));
    test.archive.sweep().await.unwrap();
    assert_eq!(test.objects().len(), 1);

    let test = test.reopen().await;
    let key = ResultKey("set-1".into());
    let known = test
        .archive
        .published(&test.scope, &key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(known.len(), 2);
    assert!(
        test.archive
            .lookup(&test.scope, &known[0])
            .await
            .unwrap()
            .is_some()
    );
    let late = vec![instance(7, 7, 7, noise(7, 10))];
    let late = test
        .archive
        .publish(&test.scope, key, late, vec![])
        .await
        .unwrap();
    assert_eq!(late, PublishOutcome::AlreadyPublished { instances: known });
}

#[tokio::test]
async fn results_that_a_pacs_sends_back_are_duplicates() {
    let test = TestArchive::new().await;
    let set = vec![instance(1, 1, 1, noise(1, 500))];
    test.archive
        .publish(&test.scope, ResultKey("k".into()), set.clone(), vec![])
        .await
        .unwrap();
    let back = test
        .archive
        .store(&test.scope, set[0].clone())
        .await
        .unwrap();
    assert_eq!(back, StoreOutcome::Duplicate);
}
