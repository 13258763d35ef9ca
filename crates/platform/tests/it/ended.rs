//! The end of a tenant in a service's database.

use hilum_contracts::event::Payload;
use hilum_contracts::ids::TenantId;
use hilum_contracts::{CorrelationId, Event};
use hilum_platform::clock::from_millis;
use hilum_platform::db::{self, Across, Db, Migration};
use hilum_platform::events;
use hilum_platform::jobs::{self, NewJob};
use hilum_testkit::Place;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "CREATE TABLE parents (id TEXT PRIMARY KEY, tenant TEXT NOT NULL);
          CREATE TABLE children (
              tenant TEXT NOT NULL, parent TEXT NOT NULL REFERENCES parents (id), note TEXT);
          CREATE TABLE parts (parent TEXT NOT NULL REFERENCES parents (id));",
    postgres: "CREATE TABLE parents (id TEXT PRIMARY KEY, tenant TEXT NOT NULL);
          CREATE TABLE children (tenant TEXT NOT NULL,
              parent TEXT NOT NULL REFERENCES parents (id) DEFERRABLE, note TEXT);
          CREATE TABLE parts (parent TEXT NOT NULL REFERENCES parents (id) DEFERRABLE);",
}];

#[derive(serde::Serialize, serde::Deserialize)]
struct Happened {
    of: String,
}

impl Payload for Happened {
    const KIND: &'static str = "test.happened.v1";
    const SOURCE: &'static str = "test";
}

fn named(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

async fn add(db: &Db, tenant: &str, id: &str) -> Result<(), hilum_platform::db::DbError> {
    let mut tx = db.begin(Across::Nobody).await?;
    for sql in [
        "INSERT INTO parents (tenant, id) VALUES ($1, $2)",
        "INSERT INTO children (tenant, parent, note) VALUES ($1, $2, 'Zyxwvutian')",
    ] {
        let query = db::query(sql).bind(tenant).bind(id);
        query.execute(&mut *tx).await?;
    }
    db::query("INSERT INTO parts (parent) VALUES ($1)")
        .bind(id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

async fn tell(db: &Db, tenant: &str) {
    let told = Happened {
        of: "Zyxwvutian".to_owned(),
    };
    let (id, at) = (CorrelationId::new(), from_millis(1));
    let event = Event::new(named(tenant), id, at, "a", 1, &told).unwrap();
    let mut tx = db.begin(Across::Nobody).await.unwrap();
    events::append(&mut tx, &event).await.unwrap();
    tx.commit().await.unwrap();
}

async fn count(db: &Db, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    db::query_scalar(db::AssertSqlSafe(sql))
        .fetch_one(db.read(Across::Nobody))
        .await
        .unwrap()
}

#[tokio::test]
async fn every_row_of_an_ended_tenant_goes_and_none_comes_any_more() {
    let place = Place::new();
    let db = place.home().open("service", MIGRATIONS).await.unwrap();
    for (tenant, id) in [("north", "1"), ("north", "2"), ("south", "3")] {
        add(&db, tenant, id).await.unwrap();
        tell(&db, tenant).await;
    }
    let own = ["DELETE FROM parts WHERE parent IN (SELECT id FROM parents WHERE tenant = $1)"];
    let rows = db.end_tenant(&named("north"), &own).await.unwrap();
    assert_eq!(rows, 8);
    assert_eq!(db.end_tenant(&named("north"), &own).await.unwrap(), 0);
    for db in [db, place.home().open("service", MIGRATIONS).await.unwrap()] {
        for table in ["parents", "children", "parts", "outbox"] {
            assert_eq!(count(&db, table).await, 1, "{table}");
        }
        assert!(add(&db, "north", "4").await.is_err());
        tell(&db, "north").await;
        assert_eq!(count(&db, "outbox").await, 1);
        let mut tx = db.begin(Across::Nobody).await.unwrap();
        let tenant = named("north");
        let job = NewJob {
            tenant: &tenant,
            kind: "work",
            subject: "a",
            correlation_id: CorrelationId::new(),
            run_at: 0,
        };
        assert!(jobs::enqueue(&mut tx, 0, job).await.is_err());
        drop(tx);
        assert!(db.is_ended(&tenant).await.unwrap());
        assert!(!db.is_ended(&named("south")).await.unwrap());
    }
}
