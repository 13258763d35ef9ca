use std::time::Duration;

use hilum_contracts::CorrelationId;
use hilum_contracts::ids::TenantId;
use hilum_platform::db::{Across, Db};
use hilum_platform::jobs::{self, End, Job, NewJob};

use crate::{database, tenant};

const KIND: &str = "work";
const LEASE: Duration = Duration::from_secs(10);

async fn enqueue(db: &Db, subject: &str, now: i64) {
    enqueue_of(db, &tenant(), subject, now).await;
}

async fn enqueue_of(db: &Db, tenant: &TenantId, subject: &str, now: i64) {
    let mut tx = db.begin(Across::Nobody).await.unwrap();
    let job = NewJob {
        tenant,
        kind: KIND,
        subject,
        correlation_id: CorrelationId::new(),
        run_at: now,
    };
    jobs::enqueue(&mut tx, now, job).await.unwrap();
    tx.commit().await.unwrap();
}

async fn lease(db: &Db, owner: &str, now: i64) -> Option<Job> {
    jobs::lease(db, KIND, owner, now, LEASE).await.unwrap()
}

async fn finish(db: &Db, job: &Job, owner: &str, end: End<'_>) -> bool {
    let mut tx = db.begin(Across::Nobody).await.unwrap();
    let held = jobs::finish(&mut tx, job, owner, end).await.unwrap();
    tx.commit().await.unwrap();
    held
}

#[tokio::test]
async fn a_job_is_held_by_one_worker_at_a_time() {
    let (_dir, db) = database().await;
    enqueue(&db, "a", 0).await;
    assert!(lease(&db, "first", 0).await.is_some());
    assert!(lease(&db, "second", 9_999).await.is_none());
}

#[tokio::test]
async fn a_lease_that_ran_out_goes_to_the_next_worker_and_the_first_can_no_longer_finish() {
    let (_dir, db) = database().await;
    enqueue(&db, "a", 0).await;
    let first = lease(&db, "first", 0).await.unwrap();
    let second = lease(&db, "second", 10_000).await.unwrap();
    assert_eq!(second.attempts, 2);
    assert!(!finish(&db, &first, "first", End::Done).await);
    assert!(
        !jobs::heartbeat(&db, &first, "first", 10_000, LEASE)
            .await
            .unwrap()
    );
    assert!(finish(&db, &second, "second", End::Done).await);
}

#[tokio::test]
async fn a_retry_waits_and_a_hand_back_does_not_count() {
    let (_dir, db) = database().await;
    enqueue(&db, "a", 0).await;
    let job = lease(&db, "w", 0).await.unwrap();
    assert!(finish(&db, &job, "w", End::HandBack).await);
    let job = lease(&db, "w", 0).await.unwrap();
    assert_eq!(job.attempts, 1);
    assert!(finish(&db, &job, "w", End::Retry(500, "busy")).await);
    assert!(lease(&db, "w", 499).await.is_none());
    assert_eq!(lease(&db, "w", 500).await.unwrap().attempts, 2);
}

#[tokio::test]
async fn a_dead_job_starts_anew_when_it_is_asked_for_again_and_a_waiting_one_stays_single() {
    let (_dir, db) = database().await;
    enqueue(&db, "a", 0).await;
    enqueue(&db, "a", 0).await;
    let job = lease(&db, "w", 0).await.unwrap();
    assert!(lease(&db, "other", 0).await.is_none());
    assert!(finish(&db, &job, "w", End::Dead("broken")).await);
    assert!(lease(&db, "w", 99_999).await.is_none());
    enqueue(&db, "a", 100).await;
    assert_eq!(lease(&db, "w", 100).await.unwrap().attempts, 1);
}

#[tokio::test]
async fn who_asks_for_another_job_no_longer_works_on_the_one_it_holds() {
    let (_dir, db) = database().await;
    enqueue(&db, "a", 0).await;
    let job = lease(&db, "w", 0).await.unwrap();
    // The database did not answer when it wanted to say how that ended.
    assert!(lease(&db, "other", 1).await.is_none());
    let again = lease(&db, "w", 1).await.unwrap();
    assert_eq!((again.id, again.attempts), (job.id, 2));
}

#[tokio::test]
async fn what_a_job_needs_and_is_not_there_yet_is_no_attempt() {
    let (_dir, db) = database().await;
    enqueue(&db, "a", 0).await;
    for at in [0, 100, 200] {
        let job = lease(&db, "w", at).await.unwrap();
        assert_eq!(job.attempts, 1);
        let end = End::NotYet(at + 100, "imaging does not answer");
        assert!(finish(&db, &job, "w", end).await);
        assert!(lease(&db, "w", at + 99).await.is_none());
    }
}

#[tokio::test]
async fn a_process_frees_what_it_held_before_and_nothing_of_others() {
    let place = hilum_testkit::Place::postgres();
    let at = |folder: &str| {
        let folder = place.path().join(folder);
        let home = hilum_platform::db::Home::of(&folder, place.database().as_ref()).unwrap();
        async move { home.open("service", &[]).await.unwrap() }
    };
    let (first, other) = (at("first").await, at("other").await);
    for (subject, db) in [("a", &first), ("b", &other)] {
        enqueue(db, subject, 0).await;
        lease(db, &jobs::owner(db), 0).await.unwrap();
    }
    let again = at("first").await;
    assert_eq!(jobs::reclaim(&again).await.unwrap(), 1);
    assert_eq!(lease(&again, "w", 0).await.unwrap().subject, "a");
    assert!(lease(&again, "w2", 0).await.is_none());
}

#[tokio::test]
async fn after_a_restart_every_lease_of_embedded_storage_is_free() {
    let place = hilum_testkit::Place::embedded();
    let db = place.home().open("service", &[]).await.unwrap();
    enqueue(&db, "a", 0).await;
    lease(&db, "gone", 0).await.unwrap();
    assert_eq!(jobs::reclaim(&db).await.unwrap(), 1);
    assert!(lease(&db, "new", 0).await.is_some());
}

#[tokio::test]
async fn who_has_many_jobs_waits_behind_those_who_have_few() {
    let (_dir, db) = database().await;
    let tenant = |name: &str| TenantId::new(name).unwrap();
    for number in 0..30 {
        enqueue_of(&db, &tenant("noisy"), &number.to_string(), number).await;
    }
    let mut order = Vec::new();
    for turn in 0..10 {
        // Two come later, one of them while the first is being served.
        if turn == 2 {
            enqueue_of(&db, &tenant("quiet"), "q", 100).await;
        }
        if turn == 4 {
            enqueue_of(&db, &tenant("other"), "o1", 100).await;
            enqueue_of(&db, &tenant("other"), "o2", 100).await;
        }
        let job = lease(&db, "w", 1_000).await.unwrap();
        order.push(format!("{} {}", job.tenant, job.subject));
        assert!(finish(&db, &job, "w", End::Done).await);
    }
    let expected = [
        "noisy 0", "noisy 1", "quiet q", "noisy 2", "other o1", "noisy 3", "other o2", "noisy 4",
        "noisy 5", "noisy 6",
    ];
    assert_eq!(order, expected);
    // What is not due yet is nobody's turn.
    enqueue_of(&db, &tenant("quiet"), "later", 5_000).await;
    assert_eq!(lease(&db, "w", 1_000).await.unwrap().subject, "7");
}

#[test]
fn back_off_doubles_up_to_its_limit() {
    let wait = |attempts| jobs::backoff(attempts, Duration::from_secs(2), Duration::from_secs(60));
    assert_eq!((wait(1), wait(2), wait(3)), (2_000, 4_000, 8_000));
    assert_eq!(wait(40), 60_000);
}
