//! What whoever can write to the data folder tries: another tenant's file in the
//! place of one's own, and rows that say that another's is one's own. The index
//! is in clear and may be believed; no received byte of `a`'s may come out.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use hilum_archive::{Archive, InstanceFilter, MetadataScope};
use hilum_platform::scope::TenantScope;
use rusqlite::Connection;

use super::{World, holds, kind};
use crate::everything::ALL;
use crate::support::{config, files, is_on_postgres, scope, sha256};

/// Every received byte that a tenant is given, wherever it asks; how many reads
/// failed.
async fn given(archive: &Archive, scope: &TenantScope) -> (Vec<Vec<u8>>, usize) {
    let (mut all, mut failed) = (Vec::new(), 0);
    let rows = archive
        .instances(scope, &InstanceFilter::default(), ALL)
        .await;
    let mut locations: Vec<_> = rows
        .unwrap_or_default()
        .into_iter()
        .map(|row| row.location)
        .collect();
    for conflict in archive.conflicts(scope, ALL).await.unwrap_or_default() {
        locations.extend([conflict.served.location, conflict.contender.location]);
    }
    for location in &locations {
        let read = async {
            let reader = archive
                .read_range(scope, location, 0..location.length())
                .await?;
            reader.collect().await
        };
        match read.await {
            Ok(bytes) => all.push(bytes.to_vec()),
            Err(_) => failed += 1,
        }
        if let Ok(source) = archive.source(scope, location).await {
            let mut start = [0; 64];
            match source.read_at(0, &mut start) {
                Ok(_) => all.push(start.to_vec()),
                Err(_) => failed += 1,
            }
        }
    }
    for item in archive.quarantined(scope, ALL).await.unwrap_or_default() {
        let read = async {
            let reader = archive
                .read_quarantined(scope, item.id, 0..item.length)
                .await?;
            reader.collect().await
        };
        match read.await {
            Ok(bytes) => all.push(bytes.to_vec()),
            Err(_) => failed += 1,
        }
    }
    // Packed blocks are opened on the way to these.
    for study in 1..10 {
        let of = MetadataScope::Study(format!("1.2.{study}"));
        let stream = archive.instance_metadata(scope, of);
        failed += usize::from(stream.try_collect::<Vec<_>>().await.is_err());
    }
    (all, failed)
}

/// Ends the archive; its folder, and what each tenant held.
async fn closed() -> (tempfile::TempDir, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let World { test, a, b } = World::new().await;
    let (all, failed) = given(&test.archive, &scope("b")).await;
    assert_eq!(failed, 0);
    assert!(
        b.bodies.iter().all(|body| all.contains(body)),
        "b reads what is b's"
    );
    test.archive.close().await;
    (test.dir, a.bodies, b.bodies)
}

/// What `b` is given in a folder that somebody changed; nothing when the
/// archive refuses to open.
async fn given_to_b(dir: &Path) -> Option<(Vec<Vec<u8>>, usize)> {
    let archive = Archive::open(config(dir)).await.ok()?;
    let given = given(&archive, &scope("b")).await;
    archive.close().await;
    Some(given)
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in files(from) {
        let target = to.path().join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
    }
    to
}

/// An object's header under another tenant and name, and rightly summed.
fn renamed(mut bytes: Vec<u8>, tenant: &str, name: &str) -> Vec<u8> {
    for (at, pair) in (12..).zip(name.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).unwrap();
        bytes[at] = u8::from_str_radix(pair, 16).unwrap();
    }
    let length = usize::from(bytes[68]);
    assert_eq!(length, tenant.len());
    bytes[69..69 + length].copy_from_slice(tenant.as_bytes());
    // Version 2 names its key behind the tenant.
    let end = 69 + length + if bytes[8] == 2 { 16 } else { 0 };
    let check = sha256(&bytes[..end]);
    bytes[end..end + 8].copy_from_slice(&check[..8]);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_the_place_of_another_tenant_s_opens_for_nobody() {
    if is_on_postgres() {
        return;
    }
    let (dir, a_bodies, _) = closed().await;
    let objects = |tenant: &str| files(&dir.path().join("objects").join(tenant));
    let of_kind = |tenant: &str, wanted: u8| -> Vec<PathBuf> {
        objects(tenant)
            .into_iter()
            .filter(|path| kind(path) == wanted)
            .collect()
    };
    let mut swapped = 0;
    for mine in objects("b") {
        for theirs in of_kind("a", kind(&mine)) {
            let own = std::fs::read(&mine).unwrap();
            let bytes = std::fs::read(&theirs).unwrap();
            let name = mine.file_name().unwrap().to_str().unwrap();
            for planted in [bytes.clone(), renamed(bytes, "b", name)] {
                std::fs::write(&mine, planted).unwrap();
                if let Some((all, _)) = given_to_b(dir.path()).await {
                    let leaked = all.iter().any(|bytes| holds(bytes, &a_bodies));
                    assert!(!leaked, "kind {} of a is opened for b", kind(&theirs));
                }
                swapped += 1;
            }
            std::fs::write(&mine, own).unwrap();
        }
    }
    assert!(swapped >= 12, "{swapped}");
    let (_, failed) = given_to_b(dir.path()).await.unwrap();
    assert_eq!(failed, 0, "with its own files back, b reads everything");
}

/// Tables with a column that says whose a row is, in the order of the schema.
fn tables_of_tenants(database: &Path) -> Vec<String> {
    let db = Connection::open(database).unwrap();
    let sql = "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
               WHERE m.type = 'table' AND c.name = 'tenant'";
    let mut statement = db.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

/// Says of every row of a table that it is the other tenant's.
fn exchange(database: &Path, table: &str) {
    let db = Connection::open(database).unwrap();
    let value = |tenant: &str| -> String {
        let by_name = format!("'{tenant}'");
        let id = "SELECT id FROM tenant WHERE name = ?1";
        let id = db.query_row(id, [tenant], |row| row.get::<_, i64>(0));
        let is_text = format!("SELECT count(*) FROM \"{table}\" WHERE typeof(tenant) = 'text'");
        let is_text: i64 = db.query_row(&is_text, [], |row| row.get(0)).unwrap();
        match id {
            Ok(id) if is_text == 0 => id.to_string(),
            _ => by_name,
        }
    };
    let (a, b) = (value("a"), value("b"));
    let aside = if a.starts_with('\'') { "'aside'" } else { "-1" };
    for (from, to) in [(a.as_str(), aside), (&b, &a), (aside, &b)] {
        let sql = format!("UPDATE \"{table}\" SET tenant = {to} WHERE tenant = {from}");
        db.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}"))
            .unwrap();
    }
}

/// Databases of a folder with their tables of tenants.
fn tables(dir: &Path) -> Vec<(PathBuf, String)> {
    let databases = ["archive.sqlite", "keys.sqlite"].map(|name| dir.join(name));
    let mut all = Vec::new();
    for database in databases {
        assert!(database.is_file(), "{}", database.display());
        for table in tables_of_tenants(&database) {
            all.push((database.strip_prefix(dir).unwrap().to_owned(), table));
        }
    }
    assert!(all.len() > 15, "{all:?}");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_name_another_tenant_open_none_of_its_objects() {
    if is_on_postgres() {
        return;
    }
    let (dir, a_bodies, _) = closed().await;
    let tables = tables(dir.path());
    for (database, table) in &tables {
        let copy = copy(dir.path());
        exchange(&copy.path().join(database), table);
        if let Some((all, _)) = given_to_b(copy.path()).await {
            let leaked = all.iter().any(|bytes| holds(bytes, &a_bodies));
            assert!(!leaked, "{table} exchanged gives a's bytes to b");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_tenant_under_another_s_name_has_no_key_to_open_it() {
    if is_on_postgres() {
        return;
    }
    let (dir, a_bodies, _) = closed().await;
    for with_keys in [false, true] {
        let copy = copy(dir.path());
        for (database, table) in tables(copy.path()) {
            let is_keys = database.ends_with("keys.sqlite");
            if with_keys || !is_keys {
                exchange(&copy.path().join(database), &table);
            }
        }
        let objects = copy.path().join("objects");
        std::fs::rename(objects.join("a"), objects.join("aside")).unwrap();
        std::fs::rename(objects.join("b"), objects.join("a")).unwrap();
        std::fs::rename(objects.join("aside"), objects.join("b")).unwrap();
        for object in files(&objects.join("b")) {
            let name = object.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = std::fs::read(&object).unwrap();
            std::fs::write(&object, renamed(bytes, "b", &name)).unwrap();
        }
        if let Some((all, failed)) = given_to_b(copy.path()).await {
            let leaked = all.iter().any(|bytes| holds(bytes, &a_bodies));
            assert!(!leaked, "keys exchanged as well: {with_keys}");
            assert!(failed > 0, "there was something to open");
        }
    }
}
