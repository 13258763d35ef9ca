//! Rows from one database to the other: streamed, a bounded piece at a time, as JSON,
//! which PostgreSQL writes and reads without loss whatever the order of the columns.

use futures::TryStreamExt as _;
use hilum_contracts::ids::TenantId;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _};

use super::compare::Sum;
use super::gate::changes;
use super::tables::{Table, quoted};
use super::{DbError, Moving, Side};
use crate::limits::{MOVING_BYTES, MOVING_ROWS};

impl Moving {
    /// Carries every row as it stands now, of one moment of the database, and compares
    /// what arrived. The tenant works on meanwhile. `told`: how many rows were carried.
    ///
    /// # Errors
    /// When a database does not answer, or what arrived is not what left.
    pub async fn copy(&mut self, mut told: impl FnMut(u64)) -> Result<(), DbError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
        self.from.script(begin).await?;
        for table in self.tables.iter().filter(|one| !one.is_made_there()) {
            if table.is_late() {
                continue;
            }
            let not_late = table.late().map(|late| format!("NOT ({late})"));
            let rows = select(table, &self.from.prefix, &self.tenant, not_late.as_deref());
            let put = put(table, &self.to.prefix);
            self.to.enter(table).await?;
            self.rows += stream(&mut self.from.connection, rows, &mut self.to, &put).await?;
            told(self.rows);
            let of = |prefix: &str| Sum::of(table, prefix, &self.tenant, not_late.as_deref());
            let left = of(&self.from.prefix).on(&mut self.from).await?;
            let arrived = of(&self.to.prefix).on(&mut self.to).await?;
            left.is(&arrived, table)?;
        }
        self.from.script("COMMIT".to_owned()).await
    }

    /// Carries what changed since; how many changes that were.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn catch_up(&mut self) -> Result<u64, DbError> {
        self.bounded().await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned();
        self.from.script(begin).await?;
        let written = changes(&self.from.prefix);
        let tenant = self.tenant.clone();
        let count = self
            .from
            .number(format!(
                "SELECT count(*) FROM {written} WHERE tenant = '{tenant}'"
            ))
            .await?;
        if count > 0 {
            // All of one moment, and all or nothing there: what refers and what is referred
            // to may have changed together.
            self.to.script("BEGIN".to_owned()).await?;
            for table in self.tables.iter().rev() {
                if table.is_late() || table.is_made_there() {
                    continue;
                }
                let gone = gone(table, &self.from.prefix, &tenant);
                let remove = remove(table, &self.to.prefix);
                self.to.enter(table).await?;
                stream(&mut self.from.connection, gone, &mut self.to, &remove).await?;
            }
            for table in self.tables.iter().filter(|one| !one.is_late()) {
                let rows = match &*table.name {
                    "lookup_recent" => entries(table, &self.from.prefix, &tenant),
                    _ if table.is_made_there() => continue,
                    _ => changed(table, &self.from.prefix, &tenant),
                };
                let put = put(table, &self.to.prefix);
                self.to.enter(table).await?;
                self.rows += stream(&mut self.from.connection, rows, &mut self.to, &put).await?;
            }
            self.to.script("COMMIT".to_owned()).await?;
        }
        // Only those of that moment: a later one is in no snapshot yet.
        self.from
            .script(format!(
                "DELETE FROM {written} WHERE tenant = '{tenant}'; COMMIT"
            ))
            .await?;
        Ok(count.unsigned_abs())
    }

    /// Carries what comes last, while the tenant is held still.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn carry_last(&mut self) -> Result<(), DbError> {
        self.bounded().await?;
        let late: Vec<Table> = self.tables.clone();
        let late: Vec<(Table, &str)> = late
            .into_iter()
            .filter_map(|one| one.late().map(|rows| (one, rows)))
            .collect();
        self.to.script("BEGIN".to_owned()).await?;
        for (table, rows) in late.iter().rev() {
            // Of an attempt that took too long.
            let (at, whose) = (
                table.at(&self.to.prefix),
                table.whose(&self.to.prefix, &self.tenant),
            );
            self.to.enter(table).await?;
            self.to
                .script(format!("DELETE FROM {at} t WHERE {whose} AND ({rows})"))
                .await?;
        }
        for (table, late) in &late {
            let rows = select(table, &self.from.prefix, &self.tenant, Some(late));
            let put = put(table, &self.to.prefix);
            self.to.enter(table).await?;
            self.rows += stream(&mut self.from.connection, rows, &mut self.to, &put).await?;
        }
        self.carry_consumed().await?;
        self.to.script("COMMIT".to_owned()).await
    }

    /// Which of the events that are told again were consumed before, so that they are
    /// recognised there.
    async fn carry_consumed(&mut self) -> Result<(), DbError> {
        let (prefix, tenant) = (self.from.prefix.clone(), self.tenant.clone());
        let mut told: Vec<String> = Vec::new();
        for table in self.tables.iter().filter(|one| one.name == "outbox") {
            let (at, whose) = (table.at(&prefix), table.whose(&prefix, &tenant));
            let text = format!("SELECT t.event::json ->> 'id' FROM {at} t WHERE {whose}");
            let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(text))
                .persistent(false)
                .fetch_all(&mut self.from.connection)
                .await?;
            told.extend(ids);
        }
        if told.is_empty() {
            return Ok(());
        }
        let services: Vec<_> = self
            .tables
            .iter()
            .filter(|one| one.name == "inbox")
            .collect();
        for service in services.into_iter().map(|one| one.service) {
            let at = |prefix: &str, name: &str| format!("\"{prefix}{service}\".{name}");
            let text = format!(
                "SELECT w.name, d.event, d.day FROM {} d JOIN {} w ON w.id = d.consumer
                 WHERE d.event IN (SELECT decode(replace(id, '-', ''), 'hex')
                    FROM unnest($1::text[]) AS told (id))",
                at(&prefix, "inbox_consumed"),
                at(&prefix, "inbox_consumer")
            );
            let consumed: Vec<(String, Vec<u8>, i64)> = sqlx::query_as(AssertSqlSafe(text))
                .bind(&told)
                .persistent(false)
                .fetch_all(&mut self.from.connection)
                .await?;
            for (consumer, event, day) in consumed {
                let to = &self.to.prefix;
                let (names, done) = (at(to, "inbox_consumer"), at(to, "inbox_consumed"));
                let text = format!("INSERT INTO {names} (name) VALUES ($1) ON CONFLICT DO NOTHING");
                sqlx::query(AssertSqlSafe(text))
                    .bind(&consumer)
                    .persistent(false)
                    .execute(&mut self.to.connection)
                    .await?;
                let text = format!(
                    "INSERT INTO {done} (consumer, event, day)
                     SELECT id, $2, $3 FROM {names} WHERE name = $1 ON CONFLICT DO NOTHING"
                );
                sqlx::query(AssertSqlSafe(text))
                    .bind(consumer)
                    .bind(event)
                    .bind(day)
                    .persistent(false)
                    .execute(&mut self.to.connection)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Rows of a tenant, each as JSON.
pub(super) fn select(table: &Table, prefix: &str, tenant: &TenantId, also: Option<&str>) -> String {
    let (at, whose) = (table.at(prefix), table.whose(prefix, tenant));
    let also = also.map_or(String::new(), |also| format!(" AND ({also})"));
    format!(
        "SELECT row_to_json(r)::text FROM (SELECT {} FROM {at} t WHERE {whose}{also}) r",
        carried(table)
    )
}

fn carried(table: &Table) -> String {
    let each = table.columns.iter();
    let each: Vec<String> = each
        .map(|column| format!("{} AS \"{column}\"", table.carried(column)))
        .collect();
    each.join(", ")
}

/// The keys that were written down of a table, as rows `k`.
fn keys(table: &Table, prefix: &str, tenant: &TenantId) -> String {
    let (written, at) = (changes(prefix), table.at(prefix));
    format!(
        "(SELECT DISTINCT key FROM {written} WHERE tenant = '{tenant}'
            AND service = '{}' AND name = '{}') c,
         LATERAL jsonb_populate_record(NULL::{at}, c.key) k",
        table.service, table.name
    )
}

/// Rows that changed and are there.
fn changed(table: &Table, prefix: &str, tenant: &TenantId) -> String {
    let at = table.at(prefix);
    let also = table
        .late()
        .map_or(String::new(), |late| format!(" AND NOT ({late})"));
    format!(
        "SELECT row_to_json(r)::text FROM (SELECT {} FROM {}, {at} t WHERE {}{also}) r",
        carried(table),
        keys(table, prefix, tenant),
        table.same_key("t", "k")
    )
}

/// Keys of rows that are not there any more.
fn gone(table: &Table, prefix: &str, tenant: &TenantId) -> String {
    let at = table.at(prefix);
    format!(
        "SELECT c.key::text FROM {} WHERE NOT EXISTS (SELECT 1 FROM {at} t WHERE {})",
        keys(table, prefix, tenant),
        table.same_key("t", "k")
    )
}

/// What was added to the look-up, which is all key.
fn entries(table: &Table, prefix: &str, tenant: &TenantId) -> String {
    format!(
        "SELECT DISTINCT key::text FROM {} WHERE tenant = '{tenant}' AND service = '{}'
            AND name = '{}'",
        changes(prefix),
        table.service,
        table.name
    )
}

/// Keeps rows, in the place of those with the same key.
fn put(table: &Table, prefix: &str) -> String {
    let (at, list) = (table.at(prefix), table.list());
    let others = table.columns.iter().filter(|one| !table.key.contains(one));
    let others: Vec<String> = others
        .map(|column| format!("\"{column}\" = excluded.\"{column}\""))
        .collect();
    let again = match others.is_empty() {
        true => "NOTHING".to_owned(),
        false => format!("UPDATE SET {}", others.join(", ")),
    };
    format!(
        "INSERT INTO {at} ({list}) SELECT {list} FROM json_populate_recordset(NULL::{at}, $1::json)
         ON CONFLICT ({}) DO {again}",
        quoted(&table.key)
    )
}

/// Removes rows by their keys.
fn remove(table: &Table, prefix: &str) -> String {
    let at = table.at(prefix);
    format!(
        "DELETE FROM {at} t USING json_populate_recordset(NULL::{at}, $1::json) k WHERE {}",
        table.same_key("t", "k")
    )
}

/// Does `put` with what `select` gives, a piece at a time; how many rows.
async fn stream(
    from: &mut PgConnection,
    select: String,
    to: &mut Side,
    put: &str,
) -> Result<u64, DbError> {
    let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(select))
        .persistent(false)
        .fetch(from);
    let (mut piece, mut held, mut all) = (String::from("["), 0, 0);
    while let Some(row) = rows.try_next().await? {
        if held > 0 {
            piece.push(',');
        }
        piece.push_str(&row);
        held += 1;
        all += 1;
        if held == MOVING_ROWS || piece.len() >= MOVING_BYTES {
            send(&mut to.connection, put, &mut piece).await?;
            held = 0;
        }
    }
    if held > 0 {
        send(&mut to.connection, put, &mut piece).await?;
    }
    Ok(all)
}

async fn send(to: &mut PgConnection, put: &str, piece: &mut String) -> Result<(), DbError> {
    piece.push(']');
    let query = sqlx::query(AssertSqlSafe(put.to_owned())).bind(&*piece);
    to.execute(query.persistent(false)).await?;
    piece.truncate(1);
    Ok(())
}
