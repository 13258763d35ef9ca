//! The database of a service.

use hilum_platform::db::{self, Across, Db, Migration};

const TABLE: &[Migration] = &[Migration {
    version: 1,
    sql: "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    postgres: "",
}];

#[tokio::test]
async fn a_log_that_is_written_on_and_on_stays_short() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service.sqlite");
    let db = Db::open(&path, TABLE).await.unwrap();
    let log = dir.path().join("service.sqlite-wal");
    let written = 20_000_u64;
    for _ in 0..written / 4 {
        let mut tx = db.begin(Across::Nobody).await.unwrap();
        // Four pages or more.
        db::query("INSERT INTO note (text) VALUES ($1)")
            .bind("x".repeat(12_000))
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let held = std::fs::metadata(&log).unwrap().len();
    assert!(held < written * 4_096 / 3, "{held} bytes");
    db.close().await;
    let again = Db::open(&path, TABLE).await.unwrap();
    let notes: i64 = db::query_scalar("SELECT count(*) FROM note")
        .fetch_one(again.read(Across::Nobody))
        .await
        .unwrap();
    assert_eq!(notes.unsigned_abs(), written / 4);
}
