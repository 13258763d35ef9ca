//! All that a database holds of a tenant, as JSON, some rows at a time. Tables
//! and columns are those that there are: what a migration adds is in it by
//! itself. Secrets never are.

use hilum_contracts::export::ExportPage;
use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};

use super::ended::TABLES;
use super::{AssertSqlSafe, Db, DbError, each, query, query_scalar};
use crate::limits::EXPORT_ROWS;

/// A table's columns: name, and whether the table has rows by number.
pub const COLUMNS: &str = "SELECT c.name, c.pk, l.wr FROM pragma_table_list AS l,
    pragma_table_info(l.name) AS c WHERE l.schema = 'main' AND l.name = $1 ORDER BY c.cid";

/// Not what a tenant owns: the trail, which is exported with whom it names, and
/// work that is under way.
const NOT_OWNED: [&str; 9] = [
    "audit_entry",
    "audit_head",
    "audit_subject",
    "ended_tenant",
    "inbox",
    "job_turn",
    "jobs",
    "outbox",
    "sealed",
];

/// Columns that open something.
const SECRET: [&str; 3] = ["hash", "password", "secret"];

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its place in the primary key, from 1; 0: it is not part of it.
    pub key: i64,
    /// The table has rows by its primary key only.
    pub is_keyed: bool,
}

/// Where an export has come to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Place {
    /// The table.
    pub table: String,
    /// The last row's key: a JSON array.
    pub key: Option<String>,
}

/// The statement that gives the rows of a table for which `condition`, with the
/// tenant as `$1`, holds: key and row, both as JSON; behind the key `$2` if
/// there is one.
#[must_use]
pub fn page(table: &str, columns: &[Column], condition: &str, is_behind: bool) -> String {
    let mut keys: Vec<&Column> = columns
        .iter()
        .filter(|one| one.key > 0 && one.is_keyed)
        .collect();
    keys.sort_by_key(|one| one.key);
    let keys: Vec<String> = match keys.is_empty() {
        true => vec!["rowid".to_owned()],
        false => keys.iter().map(|one| format!("\"{}\"", one.name)).collect(),
    };
    let values: Vec<String> = columns
        .iter()
        .filter(|one| !SECRET.contains(&one.name.as_str()))
        .map(|one| {
            let name = &one.name;
            format!(
                "'{name}', CASE typeof(\"{name}\") WHEN 'blob' THEN lower(hex(\"{name}\"))
                    ELSE \"{name}\" END"
            )
        })
        .collect();
    let (keys_of, values) = (keys.join(", "), values.join(", "));
    let behind = match is_behind {
        true => {
            let last: Vec<String> = (0..keys.len())
                .map(|at| format!("json_extract($2, '$[{at}]')"))
                .collect();
            format!("AND ({keys_of}) > ({})", last.join(", "))
        }
        false => String::new(),
    };
    format!(
        "SELECT json_array({keys_of}), json_object({values}) FROM \"{table}\"
         WHERE ({condition}) {behind} ORDER BY {keys_of} LIMIT {EXPORT_ROWS}"
    )
}

/// A table's columns on PostgreSQL, which numbers no rows by itself. A column that
/// only says in which order rows came is no part of them.
pub const COLUMNS_OF_POSTGRES: &str = "SELECT a.attname::text, coalesce((SELECT k.place
        FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.number = a.attnum), 0),
        CASE WHEN a.atttypid = 'bytea'::regtype THEN 2::bigint ELSE 1::bigint END
    FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0
        AND NOT a.attisdropped ORDER BY a.attnum";

/// [`page`] for PostgreSQL.
#[must_use]
pub fn page_of_postgres(
    table: &str,
    columns: &[Column],
    condition: &str,
    is_behind: bool,
) -> String {
    let mut keys: Vec<&Column> = columns.iter().filter(|one| one.key > 0).collect();
    keys.sort_by_key(|one| one.key);
    let names: Vec<String> = keys.iter().map(|one| format!("\"{}\"", one.name)).collect();
    let values: Vec<String> = columns
        .iter()
        .filter(|one| !SECRET.contains(&one.name.as_str()) && one.name != "rowid")
        .map(|one| match one.is_keyed {
            true => format!("'{0}', \"{0}\"", one.name),
            false => format!("'{0}', encode(\"{0}\", 'hex')", one.name),
        })
        .collect();
    let (names, values) = (names.join(", "), values.join(", "));
    // The key as it was read, in the types of its columns.
    let behind = match is_behind {
        true => {
            let pairs: Vec<String> = keys
                .iter()
                .enumerate()
                .map(|(at, key)| format!("'{}', $2::json ->> {at}", key.name))
                .collect();
            format!(
                "AND ({names}) > (SELECT {names} FROM json_populate_record(
                    NULL::\"{table}\", json_build_object({})))",
                pairs.join(", ")
            )
        }
        false => String::new(),
    };
    format!(
        "SELECT json_build_array({names})::text, json_build_object({values})::text
         FROM \"{table}\" WHERE ({condition}) {behind} ORDER BY {names} LIMIT {EXPORT_ROWS}"
    )
}

/// A row as a line.
#[must_use]
pub fn line(service: &str, table: &str, row: &str) -> String {
    format!("{{\"service\":\"{service}\",\"table\":\"{table}\",\"row\":{row}}}")
}

impl Db {
    /// Some of what this database of `service` holds of a tenant. `also`: tables
    /// without a column `tenant`, and which of their rows are the tenant's (`$1`).
    ///
    /// # Errors
    /// When the database does not answer, or `after` is no place that it gave.
    pub async fn export(
        &self,
        service: &str,
        tenant: &TenantId,
        also: &[(&str, &str)],
        after: Option<&str>,
    ) -> Result<ExportPage, DbError> {
        let decode = |error| DbError::Decode(Box::new(error));
        let mut place: Option<Place> = after
            .map(|after| serde_json::from_str(after).map_err(decode))
            .transpose()?;
        let mut tables: Vec<(String, &str)> = also
            .iter()
            .map(|(table, condition)| ((*table).to_owned(), *condition))
            .collect();
        let owned: Vec<String> = query_scalar(TABLES).fetch_all(self.read(tenant)).await?;
        let owned = owned
            .into_iter()
            .filter(|name| !NOT_OWNED.contains(&name.as_str()));
        tables.extend(owned.map(|table| (table, "tenant = $1")));
        tables.sort_unstable();
        for (table, condition) in tables {
            if place.as_ref().is_some_and(|place| table < place.table) {
                continue;
            }
            let key = place.take_if(|place| place.table == table);
            let key = key.and_then(|place| place.key);
            let columns = self.columns(tenant, &table).await?;
            let page = match self.is_shared() {
                true => page_of_postgres,
                false => page,
            };
            let sql = page(&table, &columns, condition, key.is_some());
            let mut query = query(AssertSqlSafe(sql)).bind(tenant.as_str());
            if let Some(key) = key {
                query = query.bind(key);
            }
            let rows = query.fetch_all(self.read(tenant)).await?;
            let Some(last) = rows.last() else { continue };
            let next = Place {
                key: Some(last.try_get(0)?),
                table: table.clone(),
            };
            let lines = rows.iter().map(|row| {
                let row: String = row.try_get(1)?;
                Ok(line(service, &table, &row))
            });
            return Ok(ExportPage {
                lines: lines.collect::<Result<_, DbError>>()?,
                next: Some(
                    serde_json::to_string(&next)
                        .map_err(|error| DbError::Encode(Box::new(error)))?,
                ),
            });
        }
        Ok(ExportPage::default())
    }

    async fn columns(&self, tenant: &TenantId, table: &str) -> Result<Vec<Column>, DbError> {
        let rows = query(each(COLUMNS, COLUMNS_OF_POSTGRES))
            .bind(table)
            .fetch_all(self.read(tenant))
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Column {
                    name: row.try_get(0)?,
                    key: row.try_get(1)?,
                    is_keyed: row.try_get::<i64, _>(2)? == 1,
                })
            })
            .collect()
    }
}
