//! Tables as an upgrade leaves them: what a release adds, the release before works
//! with, because both are on the same tables while one replaces the other, and after
//! a rollback. `fixtures/tables-0.1.txt` is what release 0.1 made; the files of earlier
//! releases are never changed. `HILUM_WRITE_FIXTURES=1` writes that of the version of
//! this workspace, once, when it is released.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use hilum_testkit::{Place, run};

/// Every column: schema, table, name, type, whether it may be null, and whether it is
/// filled in by itself.
const COLUMNS: &str = "SELECT table_schema, table_name, column_name, data_type, is_nullable,
    column_default IS NOT NULL OR is_identity = 'YES'
    FROM information_schema.columns WHERE table_schema LIKE 'hilum\\_%' ORDER BY 1, 2, 3";

/// What no two rows of a table may share: schema, table, columns.
const UNIQUE: &str = "SELECT schemaname, tablename, regexp_replace(indexdef, '^.* USING ', '')
    FROM pg_indexes WHERE schemaname LIKE 'hilum\\_%' AND indexdef LIKE 'CREATE UNIQUE%' ORDER BY 1, 2, 3";

type Tables = BTreeMap<(String, String), BTreeMap<String, Column>>;

struct Column {
    kind: String,
    may_be_null: bool,
    fills_itself: bool,
}

/// The first two fields of a line, and the others.
fn fields(line: &str) -> ((String, String), Vec<String>) {
    let mut all = line.splitn(6, '|').map(ToOwned::to_owned);
    let table = (all.next().unwrap(), all.next().unwrap());
    (table, all.collect())
}

fn tables(text: &str) -> Tables {
    let mut tables = Tables::new();
    for line in text.lines() {
        let (table, rest) = fields(line);
        let column = Column {
            kind: rest[1].clone(),
            may_be_null: rest[2] == "YES",
            fills_itself: rest[3] == "t",
        };
        tables
            .entry(table)
            .or_default()
            .insert(rest[0].clone(), column);
    }
    tables
}

#[test]
fn tables_take_what_the_release_before_writes_and_have_what_it_reads() {
    let place = Place::postgres();
    let database = place.database().unwrap();
    let config = place.path().join("hilum.toml");
    let owner = database.owner_url_file.unwrap();
    let setting = format!(
        "{{ url_file = {:?}, owner_url_file = {owner:?} }}",
        database.url_file
    );
    std::fs::write(&config, format!("database = {setting}\n")).unwrap();
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_hilum"));
    // A variable that is no setting stops it.
    migrate.env_remove("HILUM_WRITE_FIXTURES");
    let migrated = run(migrate.arg("migrate").arg("--config").arg(config));
    assert!(migrated.status.success(), "{migrated:?}");

    let (columns, unique) = (place.sql(COLUMNS, "hilum"), place.sql(UNIQUE, "hilum"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let (of_columns, of_unique) = (folder.join("tables-0.1.txt"), folder.join("unique-0.1.txt"));
    if std::env::var_os("HILUM_WRITE_FIXTURES").is_some() {
        std::fs::write(&of_columns, format!("{columns}\n")).unwrap();
        std::fs::write(&of_unique, format!("{unique}\n")).unwrap();
    }
    let before = tables(&std::fs::read_to_string(of_columns).unwrap());
    let now = tables(&columns);
    assert!(before.len() > 60, "{}", before.len());
    for (table, before) in &before {
        let now = now
            .get(table)
            .unwrap_or_else(|| panic!("{table:?} is there no more"));
        for (name, before) in before {
            let now = now
                .get(name)
                .unwrap_or_else(|| panic!("{table:?}.{name} is there no more"));
            assert_eq!(now.kind, before.kind, "{table:?}.{name} has another type");
            assert!(
                now.may_be_null || !before.may_be_null,
                "{table:?}.{name} may not be null any more"
            );
            assert!(
                now.fills_itself || now.may_be_null || !before.fills_itself,
                "{table:?}.{name} is not filled in any more"
            );
        }
        for (name, now) in now.iter().filter(|(name, _)| !before.contains_key(*name)) {
            assert!(
                now.may_be_null || now.fills_itself,
                "{table:?}.{name} is new, and the release before does not write it"
            );
        }
    }
    let held: BTreeSet<String> = std::fs::read_to_string(of_unique)
        .unwrap()
        .lines()
        .map(ToOwned::to_owned)
        .collect();
    for line in unique.lines() {
        let new = before.contains_key(&fields(line).0) && !held.contains(line);
        assert!(
            !new,
            "{line} is unique now, and the release before does not keep to that"
        );
    }
}
