//! The platform as services use it, on a real database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod audit;
mod broker;
mod cache;
mod certificates;
mod db;
mod ended;
mod events;
mod http_server;
mod jobs;
mod joined;
mod postgres;
mod remote;
mod tls;
mod wire;

use hilum_contracts::ids::TenantId;
use hilum_platform::db::{Db, Migration};
use hilum_testkit::Place;

/// A service's database in a folder of its own.
async fn database() -> (Place, Db) {
    let dir = Place::new();
    let migrations = [Migration {
        version: 1,
        sql: "CREATE TABLE seen (subject TEXT NOT NULL)",
        postgres: "CREATE TABLE seen (rowid BIGINT GENERATED ALWAYS AS IDENTITY, subject TEXT NOT NULL)",
    }];
    let db = dir.home().open("service", &migrations).await.unwrap();
    (dir, db)
}

fn tenant() -> TenantId {
    TenantId::new("default").unwrap()
}
