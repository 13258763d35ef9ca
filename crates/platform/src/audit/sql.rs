//! The trail's tables and statements. A service uses them through `db`, the
//! archive through rusqlite: one text for both, parameters in the order of
//! their numbers. On SQLite each statement waits for another thread, so what
//! keeps an entry goes there as one.

use std::collections::BTreeSet;

use super::source::Filter;
use crate::db::{Text, each};

/// The tables.
pub const TABLES: &str = "
CREATE TABLE audit_entry (
    tenant TEXT NOT NULL,
    position INTEGER NOT NULL,
    at INTEGER NOT NULL,
    act TEXT NOT NULL,
    outcome TEXT NOT NULL,
    who TEXT NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tenant, position)) WITHOUT ROWID;
CREATE INDEX audit_entry_by_time ON audit_entry (tenant, at, position);
CREATE INDEX audit_entry_by_who ON audit_entry (tenant, who, at, position);
CREATE INDEX audit_entry_by_act ON audit_entry (tenant, act, at, position);
-- Whom entries are about. Without its row, an entry's subject is nobody.
CREATE TABLE audit_subject (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    is_query INTEGER NOT NULL,
    handle BLOB NOT NULL,
    lookup BLOB NOT NULL,
    broad BLOB,
    wrapped BLOB NOT NULL,
    UNIQUE (tenant, lookup));
CREATE UNIQUE INDEX audit_subject_by_handle ON audit_subject (tenant, handle);
CREATE INDEX audit_subject_by_broad ON audit_subject (tenant, broad) WHERE broad IS NOT NULL;
CREATE INDEX audit_subject_query ON audit_subject (tenant, id) WHERE is_query = 1;
CREATE TABLE audit_about (
    subject INTEGER NOT NULL REFERENCES audit_subject ON DELETE CASCADE,
    position INTEGER NOT NULL,
    PRIMARY KEY (subject, position)) WITHOUT ROWID;
-- Up to where the chain goes, and what was removed at its beginning.
CREATE TABLE audit_head (
    tenant TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    removed INTEGER NOT NULL,
    anchor BLOB NOT NULL) WITHOUT ROWID;";

/// Where the chain of a tenant stands.
pub const HEAD: &str = "SELECT position, hash, removed, anchor FROM audit_head WHERE tenant = $1";
/// Where the chain of every tenant stands.
pub const HEADS: &str =
    "SELECT tenant, position, hash, removed, anchor FROM audit_head ORDER BY tenant";
/// Keeps that what is up to a position was removed, and its hash.
pub const SET_REMOVED: &str = "UPDATE audit_head SET removed = $2, anchor = $3 WHERE tenant = $1";
/// A subject by its hash.
pub const SUBJECT: &str =
    "SELECT id, handle, wrapped FROM audit_subject WHERE tenant = $1 AND lookup = $2";
/// A subject by its handle.
pub const SUBJECT_BY_HANDLE: &str =
    "SELECT id, handle, wrapped FROM audit_subject WHERE tenant = $1 AND handle = $2";
/// Patients by the hash of a Patient ID.
pub const SUBJECTS_BY_BROAD: &str =
    "SELECT id, handle, wrapped FROM audit_subject WHERE tenant = $1 AND broad = $2";
/// A subject by its hash, kept as it is given here when there is none.
pub const KNOWN_SUBJECT: &str =
    "INSERT INTO audit_subject (tenant, is_query, handle, lookup, broad, wrapped)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant, lookup) DO UPDATE SET wrapped = audit_subject.wrapped
    RETURNING id, handle, wrapped";

macro_rules! add_entry {
    () => {
        "INSERT INTO audit_entry (tenant, position, at, act, outcome, who, body, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
    };
}
macro_rules! set_head {
    () => {
        "INSERT INTO audit_head (tenant, position, hash, removed, anchor)
    VALUES ($1, $2, $8, $9, $10) ON CONFLICT (tenant) DO UPDATE SET position = excluded.position,
    hash = excluded.hash, removed = excluded.removed, anchor = excluded.anchor"
    };
}
macro_rules! add_about {
    () => {
        "INSERT INTO audit_about (position, subject) SELECT $2, value FROM json_each($11)"
    };
}

/// Keeps an entry.
pub const ADD_ENTRY: &str = add_entry!();
/// Keeps where the chain stands.
pub const SET_HEAD: &str = set_head!();
/// Keeps what an entry is about: a JSON array of subjects' ids, each once.
pub const ADD_ABOUT: &str = add_about!();
/// [`ADD_ENTRY`], [`SET_HEAD`] and [`ADD_ABOUT`] in one.
pub(super) const KEEP_ENTRY: Text = each(
    concat!(add_entry!(), ";", set_head!(), ";", add_about!()),
    KEEP_ENTRY_OF_POSTGRES,
);
/// The same for PostgreSQL.
pub const KEEP_ENTRY_OF_POSTGRES: &str = concat!(
    "WITH entry AS (",
    add_entry!(),
    "), head AS (",
    set_head!(),
    ") INSERT INTO audit_about (position, subject)
        SELECT $2, value::bigint FROM json_array_elements_text($11::json) AS told (value)"
);
/// Entries after a position, in their order.
pub const ENTRIES: &str = "SELECT position, at, act, outcome, who, body, hash FROM audit_entry
    WHERE tenant = $1 AND position > $2 ORDER BY position LIMIT $3";
/// One entry that a subject stands in.
pub const BODY_ABOUT: &str = "SELECT e.body FROM audit_about a
    JOIN audit_entry e ON e.position = a.position WHERE a.subject = $1 AND e.tenant = $2 LIMIT 1";
/// Queries of a tenant with an entry that says what they were.
pub const QUERIES: &str = "SELECT s.id, s.handle, s.wrapped,
        (SELECT e.body FROM audit_about a
         JOIN audit_entry e ON e.tenant = s.tenant AND e.position = a.position
         WHERE a.subject = s.id LIMIT 1)
    FROM audit_subject s WHERE s.tenant = $1 AND s.is_query = 1 AND s.id > $2 ORDER BY s.id LIMIT $3";
/// What stands in one entry with a subject.
pub const BESIDE: &str = "SELECT DISTINCT s.id, s.handle, s.wrapped
    FROM audit_about a JOIN audit_about b ON b.position = a.position AND b.subject <> a.subject
    JOIN audit_subject s ON s.id = b.subject
    WHERE a.subject = $1 AND s.tenant = $2 AND s.is_query = 0 LIMIT $3";
/// Forgets a subject: its entries name nobody then.
pub const FORGET_ABOUT: &str = "DELETE FROM audit_about WHERE subject = $1";
/// See [`FORGET_ABOUT`].
pub const FORGET_SUBJECT: &str = "DELETE FROM audit_subject WHERE id = $1";
/// Removes what was kept long enough.
pub const REMOVE_ENTRIES: &str = "DELETE FROM audit_entry WHERE tenant = $1 AND position <= $2";
/// Removes what pointed there.
pub const REMOVE_ABOUT: &str = "DELETE FROM audit_about WHERE position <= $1
    AND subject IN (SELECT id FROM audit_subject WHERE tenant = $2)";
/// Removes subjects that no entry names any more.
pub const REMOVE_SUBJECTS: &str = "DELETE FROM audit_subject WHERE tenant = $1
    AND NOT EXISTS (SELECT 1 FROM audit_about a WHERE a.subject = audit_subject.id)";
/// The hash at a position.
pub const HASH_AT: &str = "SELECT hash FROM audit_entry WHERE tenant = $1 AND position = $2";

/// Ids as a JSON array, each once.
#[must_use]
pub fn ids(ids: &[i64]) -> String {
    let once: BTreeSet<String> = ids.iter().map(i64::to_string).collect();
    format!("[{}]", Vec::from_iter(once).join(","))
}

/// A value that is bound to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
}

/// The statement that finds what `filter` asks for, the newest first, and its
/// values. `about`: ids of subjects; an entry names one of each group. `before`:
/// time and position of the last entry of the page before.
#[must_use]
pub fn search(
    tenant: &str,
    filter: &Filter,
    about: &[Vec<i64>],
    before: Option<(i64, u64)>,
    limit: u32,
) -> (String, Vec<Value>) {
    let listed = |place: usize| format!("SELECT value FROM json_each(${place})");
    spelt(listed, tenant, filter, about, before, limit)
}

/// [`search`] for PostgreSQL.
#[must_use]
pub fn search_of_postgres(
    tenant: &str,
    filter: &Filter,
    about: &[Vec<i64>],
    before: Option<(i64, u64)>,
    limit: u32,
) -> (String, Vec<Value>) {
    let listed = |place: usize| {
        format!("SELECT value::bigint FROM json_array_elements_text(${place}::json) AS id (value)")
    };
    spelt(listed, tenant, filter, about, before, limit)
}

/// `listed`: the numbers of the JSON array that is the value of a place.
fn spelt(
    listed: impl Fn(usize) -> String,
    tenant: &str,
    filter: &Filter,
    about: &[Vec<i64>],
    before: Option<(i64, u64)>,
    limit: u32,
) -> (String, Vec<Value>) {
    let mut text = "SELECT body FROM audit_entry WHERE tenant = $1".to_owned();
    let mut values = vec![Value::Text(tenant.to_owned())];
    for group in about {
        values.push(Value::Text(ids(group)));
        let listed = listed(values.len());
        text.push_str(&format!(
            " AND position IN (SELECT position FROM audit_about WHERE subject IN ({listed}))"
        ));
    }
    let texts = [
        ("who =", filter.who.clone()),
        ("act =", filter.act.map(|act| act.name().to_owned())),
        (
            "outcome =",
            filter.outcome.map(|outcome| outcome.name().to_owned()),
        ),
    ];
    let texts = texts.map(|(condition, value)| (condition, value.map(Value::Text)));
    let times = [("at >=", filter.since), ("at <", filter.until)];
    let times = times.map(|(condition, value)| (condition, value.map(Value::Int)));
    for (condition, value) in texts.into_iter().chain(times) {
        if let Some(value) = value {
            values.push(value);
            text.push_str(&format!(" AND {condition} ${}", values.len()));
        }
    }
    if let Some((at, position)) = before {
        values.push(Value::Int(at));
        let place = values.len();
        values.push(Value::Int(i64::try_from(position).unwrap_or(i64::MAX)));
        text.push_str(&format!(
            " AND (at, position) < (${place}, ${})",
            values.len()
        ));
    }
    values.push(Value::Int(i64::from(limit)));
    text.push_str(&format!(
        " ORDER BY at DESC, position DESC LIMIT ${}",
        values.len()
    ));
    (text, values)
}
