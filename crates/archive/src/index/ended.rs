//! The end of a tenant in the index: its row says so from the first moment, so
//! that nothing is committed for it any more, and every other row of it goes,
//! some at a time. What stays is the row itself, which keeps its number from
//! being given twice, and the audit trail, whose subjects go.

use super::audit::Told;
use super::schema::state;
use crate::db::{Connection, OptionalExtension, Whose, params};
use crate::error::Result;
use crate::limits;
use crate::model::TenantHoldings;

/// How rows of a tenant are found.
#[derive(Clone, Copy)]
pub(crate) enum Rows {
    /// By an index that begins with the tenant; with these columns as key.
    Of(&'static str),
    /// By walking the table, whose key is `id`.
    Among,
}

/// Those of them that only SQLite has.
const OF_SQLITE: [&str; 1] = ["study_period"];

/// Every table with rows of a tenant but `object` and `tally`: what refers
/// before what is referred to. Tables without the tenant's number go with the
/// rows that theirs refer to.
pub(crate) const TABLES: &[(&str, Rows)] = &[
    ("comparison", Rows::Of("instance")),
    ("lookup_recent", Rows::Of("tenant, hash, pack, ordinal")),
    ("lookup_run", Rows::Of("id")),
    ("publication", Rows::Of("tenant, key")),
    ("rejection", Rows::Of("tenant, uid, note")),
    ("redirect", Rows::Of("tenant, study, series")),
    ("tombstone", Rows::Of("tenant, mark")),
    ("dead_key", Rows::Of("tenant, id")),
    ("correction", Rows::Of("id")),
    ("deletion", Rows::Of("id")),
    ("hold", Rows::Among),
    ("erasing", Rows::Among),
    ("erasure", Rows::Of("id")),
    ("retention", Rows::Of("tenant")),
    ("instance", Rows::Of("id")),
    ("placement", Rows::Of("id")),
    ("pack", Rows::Among),
    (
        "study_modality",
        Rows::Of("tenant, modality, date, time, study"),
    ),
    (
        "study_period",
        Rows::Of("tenant, facet, period, minute, study"),
    ),
    ("series", Rows::Of("id")),
    ("study", Rows::Of("id")),
    ("quarantine", Rows::Of("id")),
    ("note", Rows::Among),
];

/// Nothing is committed for the tenant from here on: what was reserved for it
/// is dead. Its row, made when there was none; asked again, it does no harm.
pub(crate) fn close(db: &mut Connection, name: &str, now: i64, told: Option<&Told>) -> Result<i64> {
    let tx = db.begin(Whose::Every)?;
    tx.execute(
        "INSERT INTO tenant (name) VALUES (?1) ON CONFLICT DO NOTHING",
        [name],
    )?;
    let (row, was_open): (i64, bool) = tx.query_row(
        "SELECT id, ended_at IS NULL FROM tenant WHERE name = ?1",
        [name],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if was_open {
        tx.execute(
            "UPDATE tenant SET ended_at = ?2 WHERE id = ?1",
            params![row, now],
        )?;
        // The state is written out, so that the index of the few is found.
        tx.execute(
            "UPDATE object SET state = ?2, changed_at = ?3 WHERE tenant = ?1 AND state = 0",
            params![row, state::DEAD, now],
        )?;
        if let Some(told) = told {
            told.keep(&tx, now)?;
        }
    }
    tx.commit()?;
    Ok(row)
}

/// Names of tenants that were ended and of which no object is live.
pub(crate) fn emptied(db: &Connection) -> Result<Vec<String>> {
    let mut query = db.prepare_cached(
        "SELECT name FROM tenant JOIN tally ON tally.tenant = tenant.id
         WHERE ended_at IS NOT NULL AND objects = 0",
    )?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Legal holds that stand.
pub(crate) fn standing_holds(db: &Connection, tenant: i64) -> Result<u64> {
    Ok(db
        .prepare_cached("SELECT count(*) FROM hold WHERE tenant = ?1 AND lifted_at IS NULL")?
        .query_row([tenant], |row| row.get(0))?)
}

/// What a tenant holds, but for its keys.
pub(crate) fn holdings(db: &Connection, tenant: i64) -> Result<TenantHoldings> {
    let counted = db
        .prepare_cached(
            "SELECT studies, series, instances, objects, object_bytes,
                (SELECT count(*) FROM quarantine WHERE tenant = ?1)
             FROM tally WHERE tenant = ?1",
        )?
        .query_row([tenant], |row| {
            Ok(TenantHoldings {
                studies: row.get(0)?,
                series: row.get(1)?,
                instances: row.get(2)?,
                objects: row.get(3)?,
                object_bytes: row.get(4)?,
                quarantined: row.get(5)?,
                ..TenantHoldings::default()
            })
        })
        .optional()?;
    Ok(TenantHoldings {
        holds: standing_holds(db, tenant)?,
        ..counted.unwrap_or_default()
    })
}

/// Rows of a tenant behind row `after` of a table whose key is `id`.
pub(crate) fn among(db: &Connection, table: &str, tenant: i64, after: i64) -> Result<Vec<i64>> {
    let mut query = db.prepare(&format!(
        "SELECT id FROM {table} WHERE id > ?2 AND +tenant = ?1 ORDER BY id LIMIT ?3"
    ))?;
    let rows = query.query_map(params![tenant, after, limits::ENDED_ROWS], |row| row.get(0))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Deletes some rows of a tenant; how many.
pub(crate) fn delete_of(db: &Connection, table: &str, key: &str, tenant: i64) -> Result<usize> {
    if db.sqlite().is_none() && OF_SQLITE.contains(&table) {
        return Ok(0);
    }
    let key = match table {
        "study_modality" => db.each(key, "tenant, modality, study"),
        _ => key,
    };
    let text = format!(
        "DELETE FROM {table} WHERE ({key}) IN
            (SELECT {key} FROM {table} WHERE tenant = ?1 LIMIT ?2)"
    );
    Ok(db.execute(&text, params![tenant, limits::ENDED_ROWS])?)
}

/// Deletes these rows.
pub(crate) fn delete_rows(db: &mut Connection, table: &str, rows: &[i64]) -> Result<()> {
    let tx = db.begin(Whose::Every)?;
    {
        let mut delete = tx.prepare(&format!("DELETE FROM {table} WHERE id = ?1"))?;
        for row in rows {
            delete.execute([row])?;
        }
    }
    Ok(tx.commit()?)
}

/// Makes these objects dead.
pub(crate) fn bury(db: &mut Connection, objects: &[i64], now: i64) -> Result<()> {
    let tx = db.begin(Whose::Every)?;
    {
        let mut bury = tx.prepare(
            "UPDATE object SET state = ?2, changed_at = ?3 WHERE id = ?1 AND state IN (0, 1)",
        )?;
        for row in objects {
            bury.execute(params![row, state::DEAD, now])?;
        }
    }
    Ok(tx.commit()?)
}

/// Deletes some of whom the tenant's trail is about; how many went.
pub(crate) fn forget_subjects(db: &Connection, tenant: &str) -> Result<usize> {
    Ok(db.execute(
        "DELETE FROM audit_subject WHERE id IN
            (SELECT id FROM audit_subject WHERE tenant = ?1 LIMIT ?2)",
        params![tenant, limits::ENDED_ROWS],
    )?)
}

/// Deletes the tenant's events, sent or not.
pub(crate) fn forget_events(db: &Connection, tenant: &str) -> Result<()> {
    db.execute(
        db.each(
            "DELETE FROM outbox WHERE json_extract(event, '$.tenant') = ?1",
            "DELETE FROM outbox WHERE event::json ->> 'tenant' = ?1",
        ),
        [tenant],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::index::schema::MIGRATIONS;

    #[test]
    fn no_table_with_rows_of_a_tenant_is_left_out() {
        let db = Connection::in_memory(MIGRATIONS);
        let mut query = db
            .prepare(
                "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
                 WHERE m.type = 'table' AND c.name = 'tenant'",
            )
            .unwrap();
        let found: BTreeSet<String> = query
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<crate::db::Result<_>>()
            .unwrap();
        let known = TABLES.iter().map(|(name, _)| *name).chain([
            "object",
            "tally",
            "audit_entry",
            "audit_head",
            "audit_subject",
        ]);
        assert_eq!(found, known.map(ToOwned::to_owned).collect());
    }
}
