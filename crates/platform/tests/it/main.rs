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
mod certificates;
mod db;
mod ended;
mod events;
mod http_server;
mod jobs;
mod remote;
mod tls;

use hilum_contracts::ids::TenantId;
use hilum_platform::db::{Db, Migration};

/// A service's database in a folder of its own.
async fn database() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let migrations = [Migration {
        version: 1,
        sql: "CREATE TABLE seen (subject TEXT NOT NULL)",
    }];
    let db = Db::open(&dir.path().join("service.sqlite"), &migrations)
        .await
        .unwrap();
    (dir, db)
}

fn tenant() -> TenantId {
    TenantId::new("default").unwrap()
}
