//! Which tables hold rows of tenants, and by what: found in the schemas, but for those
//! that belong to a tenant by what they refer to, which are listed. A test holds the
//! lists against the schemas.

use std::collections::BTreeSet;

use hilum_contracts::ids::TenantId;

use super::{DbError, Side};

/// The schemas that go with a tenant. Identity's does not: it is one for all shards.
const SCHEMAS: [&str; 7] = [
    "keys",
    "archive",
    "imaging",
    "patients",
    "inference",
    "integration",
    "audit",
];

/// Tables without a tenant's name or number, and what they refer to; in any schema.
const BY_REFERENCE: [(&str, &str, &str); 7] = [
    ("instance_block", "instance", "instance"),
    ("pack_object", "pack", "pack"),
    ("pack_override", "pack", "pack"),
    ("unsettled", "series", "series"),
    ("audit_about", "subject", "audit_subject"),
    ("input_set_instances", "input_set", "input_sets"),
    ("delivery_instances", "delivery", "deliveries"),
];

/// Tables of no tenant. What was consumed is carried by [`super::carry`].
const OF_NOBODY: [&str; 9] = [
    "schema_migrations",
    "inbox_consumer",
    "inbox_consumed",
    "opening",
    "owner",
    "home",
    "master",
    "ended_tenant",
    "signing_key",
];

/// What the shard that is moved to makes itself: sums by its own triggers, the look-up
/// from packs.
const MADE_THERE: [&str; 3] = ["tally", "lookup_run", "lookup_recent"];

/// What starts work where it stands, or changes with every moment: carried last, while
/// the tenant is held still. With the rows that this is about.
const LATE: [(&str, &str); 7] = [
    // Reserved or dead: the sweep of the shard they come to acts on them.
    ("object", "t.state IN (0, 2)"),
    ("unsettled", "true"),
    ("comparison", "true"),
    ("outbox", "true"),
    ("inbox", "true"),
    ("jobs", "true"),
    ("job_turn", "true"),
];

/// By what a row is a tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    /// Its name.
    Name,
    /// The number of its row in the archive.
    Number,
    /// It is the tenant's row itself.
    Itself,
    /// The name within the event.
    Event,
    /// A row of another table, which is a tenant's by its name, or else by its number.
    Row {
        column: &'static str,
        parent: &'static str,
        by_name: bool,
    },
}

/// A table as the catalogue has it: its name, columns, key, and the type of its column
/// `tenant`.
type Described = (String, Vec<String>, Option<Vec<String>>, Option<String>);

/// A table with rows of tenants.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) service: &'static str,
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) key: Vec<String>,
    of: Of,
}

impl Table {
    /// Its whole name.
    pub(super) fn at(&self, prefix: &str) -> String {
        format!("\"{prefix}{}\".\"{}\"", self.service, self.name)
    }

    /// The condition of the rows `t` of a tenant.
    pub(super) fn whose(&self, prefix: &str, tenant: &TenantId) -> String {
        let schema = format!("\"{prefix}{}\"", self.service);
        // A tenant's name has no character that would end the text.
        let number = format!("(SELECT id FROM {schema}.tenant WHERE name = '{tenant}')");
        match &self.of {
            Of::Name => format!("t.tenant = '{tenant}'"),
            Of::Number => format!("t.tenant = {number}"),
            Of::Itself => format!("t.name = '{tenant}'"),
            Of::Event => format!("t.event::json ->> 'tenant' = '{tenant}'"),
            Of::Row {
                column,
                parent,
                by_name,
            } => {
                let of = match by_name {
                    true => format!("'{tenant}'"),
                    false => number,
                };
                format!("t.{column} IN (SELECT id FROM {schema}.{parent} WHERE tenant = {of})")
            }
        }
    }

    /// The name of the tenant of the row `row` of a trigger.
    pub(super) fn tenant_of(&self, row: &str) -> String {
        match &self.of {
            Of::Name => format!("{row}.tenant"),
            Of::Number => format!("(SELECT name FROM tenant WHERE id = {row}.tenant)"),
            Of::Itself => format!("{row}.name"),
            Of::Event => format!("{row}.event::json ->> 'tenant'"),
            Of::Row {
                column,
                parent,
                by_name: true,
            } => format!("(SELECT tenant FROM {parent} WHERE id = {row}.{column})"),
            Of::Row { column, parent, .. } => format!(
                "(SELECT n.name FROM {parent} p JOIN tenant n ON n.id = p.tenant
                  WHERE p.id = {row}.{column})"
            ),
        }
    }

    /// Its rows that are carried last; `None`: none are.
    pub(super) fn late(&self) -> Option<&'static str> {
        let mut all = LATE.iter();
        all.find(|(name, _)| *name == self.name)
            .map(|(_, rows)| *rows)
    }

    /// Whether all of its rows are.
    pub(super) fn is_late(&self) -> bool {
        self.late() == Some("true")
    }

    /// Whether the shard that is moved to makes its rows itself.
    pub(super) fn is_made_there(&self) -> bool {
        MADE_THERE.contains(&&*self.name)
    }

    /// A column as the other shard gets it: what is held by a process, or numbered by
    /// what happens there, does not go along as it is.
    pub(super) fn carried(&self, column: &str) -> String {
        let plain = || format!("t.\"{column}\"");
        match (&*self.name, column) {
            // Of an opening before every other: what was reserved is never committed.
            ("object", "opening") => "0::bigint".to_owned(),
            // Nobody there holds it, and the attempt was not its fault.
            ("jobs", "state") => {
                "CASE WHEN t.state = 'leased' THEN 'queued' ELSE t.state END".to_owned()
            }
            ("jobs", "attempts") => {
                "t.attempts - CASE WHEN t.state = 'leased' THEN 1 ELSE 0 END".to_owned()
            }
            ("jobs", "lease_owner") => "NULL::text".to_owned(),
            ("jobs", "lease_until") => "NULL::bigint".to_owned(),
            // Before whatever happens there from now on, and in the same order.
            ("outbox" | "inbox", "position") => {
                "CASE WHEN t.position > 0 THEN t.position - 4611686018427387904
                      ELSE t.position END"
                    .to_owned()
            }
            _ => plain(),
        }
    }

    /// Its columns, for a statement.
    pub(super) fn list(&self) -> String {
        quoted(&self.columns)
    }

    /// `one.k = other.k` for each column of its key.
    pub(super) fn same_key(&self, one: &str, other: &str) -> String {
        let each = self.key.iter();
        let each: Vec<String> = each
            .map(|column| format!("{one}.\"{column}\" = {other}.\"{column}\""))
            .collect();
        each.join(" AND ")
    }
}

pub(super) fn quoted(columns: &[String]) -> String {
    let each: Vec<String> = columns.iter().map(|one| format!("\"{one}\"")).collect();
    each.join(", ")
}

/// The first table that the two do not have alike.
pub(super) fn difference(one: &[Table], other: &[Table]) -> Option<String> {
    let described = |tables: &[Table]| -> BTreeSet<(String, Vec<String>)> {
        let of = |table: &Table| {
            let mut columns = table.columns.clone();
            columns.sort();
            (format!("{}.{}", table.service, table.name), columns)
        };
        tables.iter().map(of).collect()
    };
    let (one, other) = (described(one), described(other));
    let mut different = one.symmetric_difference(&other);
    different.next().map(|(name, _)| name.clone())
}

/// The tables of every schema that goes with a tenant, what is referred to before what
/// refers.
///
/// # Errors
/// When the database does not answer, or there is a table of which nobody knows whose
/// its rows are.
pub(super) async fn discover(side: &mut Side) -> Result<Vec<Table>, DbError> {
    let mut all = Vec::new();
    for service in SCHEMAS {
        let schema = format!("{}{service}", side.prefix);
        let rows: Vec<Described> = sqlx::query_as(
            "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum),
                    (SELECT array_agg(k.attname::text ORDER BY k.attnum) FROM pg_index i
                     JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey)
                     WHERE i.indrelid = c.oid AND i.indisprimary),
                    max(a.atttypid::regtype::text) FILTER (WHERE a.attname = 'tenant')
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                    AND NOT a.attisdropped
                 WHERE n.nspname = $1 AND c.relkind = 'r' GROUP BY c.oid ORDER BY c.relname",
        )
        .bind(&schema)
        .persistent(false)
        .fetch_all(&mut side.connection)
        .await?;
        if rows.is_empty() {
            return Err(DbError::Configuration(
                format!(
                    "shard {} has no schema {schema}: run `hilum migrate` with its configuration",
                    side.shard
                )
                .into(),
            ));
        }
        let numbered = rows.clone();
        let by_name = |table: &str| {
            let mut all = numbered.iter();
            let found = all.find(|(name, ..)| name == table);
            found.is_some_and(|(.., kind)| kind.as_deref() == Some("text"))
        };
        let mut found = Vec::new();
        for (name, columns, key, kind) in rows {
            if OF_NOBODY.contains(&&*name) {
                continue;
            }
            let row = BY_REFERENCE.iter().find(|(table, ..)| *table == name);
            let of = match (kind.as_deref(), row) {
                (Some("text"), _) => Of::Name,
                (Some("bigint"), _) => Of::Number,
                (None, Some((_, column, parent))) => Of::Row {
                    column,
                    parent,
                    by_name: by_name(parent),
                },
                _ if (service, &*name) == ("archive", "tenant") => Of::Itself,
                _ if (service, &*name) == ("archive", "outbox") => Of::Event,
                _ => return Err(unknown(&schema, &name)),
            };
            found.push(Table {
                service,
                key: key.ok_or_else(|| unknown(&schema, &name))?,
                name,
                columns,
                of,
            });
        }
        let mut refers: Vec<(String, String)> = sqlx::query_as(
            "SELECT c.relname::text, p.relname::text FROM pg_constraint f
             JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
             JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE f.contype = 'f' AND n.nspname = $1",
        )
        .bind(&schema)
        .persistent(false)
        .fetch_all(&mut side.connection)
        .await?;
        // What goes by the tenant's number is found by way of its row, whatever the schema says.
        let numbered = found.iter().filter(|one| one.of == Of::Number);
        refers.extend(numbered.map(|one| (one.name.clone(), "tenant".to_owned())));
        all.extend(ordered(found, &refers));
    }
    Ok(all)
}

fn unknown(schema: &str, table: &str) -> DbError {
    DbError::Configuration(
        format!("nobody knows whose the rows of {schema}.{table} are: no tenant can be moved")
            .into(),
    )
}

/// What is referred to before what refers.
fn ordered(mut left: Vec<Table>, refers: &[(String, String)]) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let names: Vec<String> = left.iter().map(|one| one.name.clone()).collect();
        let waits = |one: &Table| {
            let mut all = refers.iter();
            all.any(|(from, to)| *from == one.name && from != to && names.contains(to))
        };
        let (later, now): (Vec<_>, Vec<_>) = left.into_iter().partition(waits);
        if now.is_empty() {
            // Those that refer to each other: in any order.
            ordered.extend(later);
            return ordered;
        }
        ordered.extend(now);
        left = later;
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        Table {
            service: "archive",
            name: name.to_owned(),
            columns: vec!["id".to_owned()],
            key: vec!["id".to_owned()],
            of: Of::Number,
        }
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let refers = [("instance", "series"), ("series", "study")];
        let refers = refers.map(|(one, other)| (one.to_owned(), other.to_owned()));
        let all = vec![table("instance"), table("series"), table("study")];
        let names: Vec<String> = ordered(all, &refers).into_iter().map(|t| t.name).collect();
        assert_eq!(names, ["study", "series", "instance"]);
    }

    #[test]
    fn shards_of_two_versions_are_told_apart() {
        let (one, mut other) = (vec![table("study")], vec![table("study")]);
        assert_eq!(difference(&one, &other), None);
        other[0].columns.push("later".to_owned());
        assert_eq!(difference(&one, &other).as_deref(), Some("archive.study"));
    }
}
