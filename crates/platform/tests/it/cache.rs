//! The cache between processes, on a real Redis, whatever becomes of it.

use std::future::Future;
use std::time::Duration;

use hilum_platform::cache::{Purpose, Shared};
use hilum_platform::config::Cache;
use hilum_platform::limits::CACHE_WITHIN;
use hilum_platform::tls;
use hilum_testkit::Redis;

const SMALL: Purpose = Purpose {
    name: "small",
    bytes: 8,
    within: CACHE_WITHIN,
};
const LIFE: Duration = Duration::from_secs(60);

fn shared(redis: &Redis) -> Shared {
    Shared::open(&Cache {
        url_file: redis.url_file(),
        ca_file: None,
    })
    .unwrap()
}

/// Asks until it is true: who was left alone is asked again after a while.
async fn becomes<F: Future<Output = bool>>(what: &str, mut asked: impl FnMut() -> F) {
    for _ in 0..400 {
        if asked().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain: {what}");
}

async fn takes(shared: &Shared, bytes: &[u8]) {
    becomes("it takes a value", || {
        shared.put(SMALL, "name", bytes, LIFE)
    })
    .await;
    becomes("it has the value", || async {
        shared.get(SMALL, "name").await.as_deref() == Some(bytes)
    })
    .await;
}

#[tokio::test]
async fn what_one_process_keeps_another_finds_until_it_ends() {
    let redis = Redis::up();
    let (one, other) = (shared(&redis), shared(&redis));
    takes(&one, b"words").await;
    becomes("another finds it", || async {
        other.get(SMALL, "name").await.as_deref() == Some(b"words")
    })
    .await;
    let elsewhere = Purpose {
        name: "elsewhere",
        ..SMALL
    };
    assert_eq!(other.get(elsewhere, "name").await, None);
    assert_eq!(other.get(SMALL, "another").await, None);
    let life: u64 = redis.cli(&["PTTL", "hilum:small:name"]).parse().unwrap();
    assert!((1..=60_000).contains(&life), "{life}");
    assert!(other.answers());
    assert_eq!(other.ping().await, Ok(()));
}

#[tokio::test]
async fn what_is_too_long_or_of_another_kind_is_nothing_and_keeps_nobody_away() {
    let redis = Redis::up();
    let shared = shared(&redis);
    takes(&shared, b"12345678").await;
    assert!(!shared.put(SMALL, "name", b"123456789", LIFE).await);
    for _ in 0..10 {
        assert_eq!(redis.cli(&["SET", "hilum:small:name", "123456789"]), "OK");
        assert_eq!(shared.get(SMALL, "name").await, None);
        assert_eq!(redis.cli(&["DEL", "hilum:small:name"]), "1");
        assert_eq!(redis.cli(&["LPUSH", "hilum:small:name", "1"]), "1");
        assert_eq!(shared.get(SMALL, "name").await, None);
    }
    assert!(shared.answers());
    takes(&shared, b"words").await;
}

/// The relay has a runtime of its own, which can't be waited for in another.
#[test]
fn who_asks_one_that_is_frozen_slow_cut_off_or_lost_has_nothing_and_goes_on() {
    let redis = Redis::over_relay();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(goes_on_without(redis));
}

async fn goes_on_without(mut redis: Redis) {
    let shared = shared(&redis);
    takes(&shared, b"before").await;
    for way in ["frozen", "slow", "cut off", "lost"] {
        match way {
            "frozen" => redis.freezes(),
            "slow" => redis.way().slows_by(Duration::from_secs(2)),
            "cut off" => redis.way().cuts_off(),
            _ => redis.is_killed(),
        }
        // Whoever asks is answered, each time: nobody waits for it.
        for _ in 0..20 {
            assert_eq!(shared.get(SMALL, "name").await, None, "{way}");
            shared.put(SMALL, "name", b"lost", LIFE).await;
        }
        assert!(!shared.answers(), "{way}");
        assert!(shared.ping().await.is_err(), "{way}");
        match way {
            "frozen" => redis.goes_on(),
            "lost" => redis.comes_up(),
            _ => redis.way().carries_on(),
        }
        takes(&shared, b"after").await;
        assert!(shared.answers(), "{way}");
    }
}

#[tokio::test]
async fn over_tls_it_has_to_be_the_one_that_it_says() {
    tls::install_provider();
    let redis = Redis::up();
    let folder = tempfile::tempdir().unwrap();
    let url_file = folder.path().join("url");
    std::fs::write(&url_file, redis.url_over_tls()).unwrap();
    let open = |ca_file| {
        Shared::open(&Cache {
            url_file: url_file.clone(),
            ca_file,
        })
        .unwrap()
    };
    takes(&open(Some(redis.ca_file())), b"words").await;
    assert!(open(None).ping().await.is_err());
}

#[tokio::test]
async fn one_that_does_not_let_us_in_is_told_of() {
    let redis = Redis::up();
    let folder = tempfile::tempdir().unwrap();
    let url_file = folder.path().join("url");
    std::fs::write(&url_file, redis.url().replace(":word", ":another")).unwrap();
    let shared = Shared::open(&Cache {
        url_file,
        ca_file: None,
    })
    .unwrap();
    assert!(shared.ping().await.is_err());
    assert_eq!(shared.get(SMALL, "name").await, None);
}
