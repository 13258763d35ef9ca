//! Where a tenant's move stands, as every change of its rows asks: a row a tenant in
//! `gate`, read behind a lock that whoever changes it takes alone, so that no change
//! slips past, whichever process it is of. What changes while the tenant is copied is
//! written down in `change`, by the key of its row.
//!
//! | state | the tenant's rows |
//! |---|---|
//! | none | nobody moves it |
//! | `copying` | change, and that is written down |
//! | `closing` | stay, but for trails and events that arrive; after `until` as `copying` |
//! | `closed` | stay |
//! | `gone` | stay: the tenant lives elsewhere |
//! | `arriving` | stay, but for the look-up: the tenant does not live here yet |

use std::time::Duration;

use hilum_contracts::ids::TenantId;

use super::tables::Table;
use super::{DbError, MOVING_CODE, Side};
use crate::limits::MOVING_GATE;

/// Times a lock on tables that are in use is asked for.
const TRIES: u32 = 20;

/// PostgreSQL says so when a lock was not had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

fn schema(prefix: &str) -> String {
    format!("\"{prefix}shards\"")
}

/// Makes the gate, and has every table ask it.
pub(super) async fn install(
    side: &mut Side,
    tables: &[Table],
    prefix: &str,
) -> Result<(), DbError> {
    let gate = schema(prefix);
    side.script(format!(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('hilum/{prefix}shards', 0));
         CREATE SCHEMA IF NOT EXISTS {gate};
         CREATE TABLE IF NOT EXISTS {gate}.gate (
            tenant TEXT COLLATE \"C\" PRIMARY KEY,
            state TEXT COLLATE \"C\" NOT NULL,
            until TIMESTAMPTZ);
         CREATE TABLE IF NOT EXISTS {gate}.change (
            seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant TEXT COLLATE \"C\" NOT NULL,
            service TEXT COLLATE \"C\" NOT NULL,
            name TEXT COLLATE \"C\" NOT NULL,
            key JSONB NOT NULL);
         CREATE INDEX IF NOT EXISTS change_of ON {gate}.change (tenant, service, name);
         COMMIT"
    ))
    .await?;
    for table in tables.iter().filter(|one| one.name != "tally") {
        let text = asks(table, prefix);
        patiently(side, text).await?;
    }
    let mut services: Vec<_> = tables.iter().map(|one| one.service).collect();
    services.dedup();
    for service in services {
        // Work and events of a tenant that moves are left alone, whoever takes them in turn.
        side.script(format!(
            "CREATE OR REPLACE FUNCTION \"{prefix}{service}\".moving(TEXT) RETURNS BOOLEAN
             LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
                SELECT EXISTS (SELECT 1 FROM {gate}.gate WHERE tenant = $1
                    AND (state IN ('closed', 'gone', 'arriving')
                        OR (state = 'closing' AND until > clock_timestamp()))) $$"
        ))
        .await?;
    }
    Ok(())
}

/// Whether the database was part of a move before.
pub(super) async fn is_there(side: &mut Side) -> Result<bool, DbError> {
    let name = format!("{}shards", side.prefix);
    let found = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{name}'");
    Ok(side.number(found).await? > 0)
}

/// The trigger of a table.
fn asks(table: &Table, prefix: &str) -> String {
    let (gate, at) = (schema(prefix), table.at(prefix));
    let (service, name) = (table.service, &*table.name);
    let function = format!("{gate}.\"{service}_{name}\"");
    let refuse =
        format!("RAISE EXCEPTION 'the tenant is being moved' USING ERRCODE = '{MOVING_CODE}'");
    let (closing, closed) = match name {
        // An event that is still under way comes to rest, and then goes along.
        "inbox" => (
            format!("IF TG_OP <> 'INSERT' THEN {refuse}; END IF"),
            // One that comes later stands in an outbox that went along.
            format!("IF TG_OP = 'INSERT' THEN RETURN NULL; END IF; {refuse}"),
        ),
        // What was sent is sent again from there, and recognised.
        "outbox" => {
            let text = format!("IF TG_OP = 'DELETE' THEN RETURN NULL; END IF; {refuse}");
            (text.clone(), text)
        }
        "lookup_run" | "lookup_recent" => (
            refuse.clone(),
            format!("IF held.state <> 'arriving' THEN {refuse}; END IF"),
        ),
        // Who reads goes on reading, and that is recorded.
        _ if name.starts_with("audit_") => ("NULL".to_owned(), refuse.clone()),
        _ => (refuse.clone(), refuse.clone()),
    };
    let key = |row: &str| {
        let each = table.key.iter();
        let each: Vec<String> = each
            .map(|column| format!("'{column}', {row}.\"{column}\""))
            .collect();
        format!("jsonb_build_object({})", each.join(", "))
    };
    let write = |row: &str| {
        format!(
            "INSERT INTO {gate}.change (tenant, service, name, key)
             VALUES (whose, '{service}', '{name}', {})",
            key(row)
        )
    };
    let written = match name {
        _ if table.is_late() || name == "lookup_run" => "NULL".to_owned(),
        // Its key is all of it; what is merged into a run goes along by its pack.
        "lookup_recent" => format!("IF TG_OP = 'INSERT' THEN {}; END IF", write("NEW")),
        _ => format!(
            "IF TG_OP <> 'INSERT' THEN {}; END IF;
             IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND {} <> {} THEN {}; END IF",
            write("OLD"),
            key("OLD"),
            key("NEW"),
            write("NEW")
        ),
    };
    let (of_old, of_new) = (table.tenant_of("OLD"), table.tenant_of("NEW"));
    format!(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
         SECURITY DEFINER SET search_path = \"{prefix}{service}\", pg_temp AS $$
         DECLARE
            whose TEXT;
            held RECORD;
         BEGIN
            IF TG_OP = 'DELETE' THEN whose := {of_old}; ELSE whose := {of_new}; END IF;
            IF whose IS NOT NULL
                AND coalesce(current_setting('hilum.mover', true), '') <> whose
            THEN
                PERFORM pg_advisory_xact_lock_shared(
                    hashtextextended('{prefix}shards/' || whose, 0));
                SELECT state, coalesce(until > clock_timestamp(), false) AS holds INTO held
                    FROM {gate}.gate WHERE tenant = whose;
                IF FOUND THEN
                    IF held.state = 'closing' AND held.holds THEN {closing};
                    ELSIF held.state IN ('closed', 'gone', 'arriving') THEN {closed};
                    END IF;
                    {written};
                END IF;
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
         END $$;
         DO $$ BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_trigger
                WHERE tgrelid = '{at}'::regclass AND tgname = 'moves')
            THEN
                CREATE TRIGGER moves BEFORE INSERT OR UPDATE OR DELETE ON {at}
                    FOR EACH ROW EXECUTE FUNCTION {function}();
            END IF;
         END $$"
    )
}

/// Says where the move of a tenant stands; `None`: nobody moves it. Waits for every
/// transaction that changes its rows.
pub(super) async fn set(
    side: &mut Side,
    tenant: &TenantId,
    state: Option<&str>,
    holds: Option<Duration>,
) -> Result<(), DbError> {
    let gate = schema(&side.prefix);
    let until = holds.map_or("NULL".to_owned(), |holds| {
        format!(
            "clock_timestamp() + {} * interval '1 millisecond'",
            holds.as_millis()
        )
    });
    let change = match state {
        None => format!("DELETE FROM {gate}.gate WHERE tenant = '{tenant}'"),
        Some(state) => format!(
            "INSERT INTO {gate}.gate (tenant, state, until) VALUES ('{tenant}', '{state}', {until})
             ON CONFLICT (tenant) DO UPDATE SET state = excluded.state, until = excluded.until"
        ),
    };
    let text = format!("{}; {change}", alone(&side.prefix, tenant));
    patiently(side, text).await
}

/// From `closing` to `closed`, if it still holds.
pub(super) async fn close(side: &mut Side, tenant: &TenantId) -> Result<bool, DbError> {
    let gate = schema(&side.prefix);
    let text = format!(
        "{}; UPDATE {gate}.gate SET state = 'closed', until = NULL
         WHERE tenant = '{tenant}' AND state = 'closing' AND until > clock_timestamp()",
        alone(&side.prefix, tenant)
    );
    patiently(side, text).await?;
    let found = side
        .number(format!(
            "SELECT count(*) FROM {gate}.gate WHERE tenant = '{tenant}' AND state = 'closed'"
        ))
        .await?;
    Ok(found == 1)
}

/// Forgets what was written down of a tenant.
pub(super) async fn forget_changes(side: &mut Side, tenant: &TenantId) -> Result<(), DbError> {
    let gate = schema(&side.prefix);
    side.script(format!(
        "DELETE FROM {gate}.change WHERE tenant = '{tenant}'"
    ))
    .await
}

/// What was written down.
pub(super) fn changes(prefix: &str) -> String {
    format!("{}.change", schema(prefix))
}

fn alone(prefix: &str, tenant: &TenantId) -> String {
    format!("SELECT pg_advisory_xact_lock(hashtextextended('{prefix}shards/{tenant}', 0))")
}

/// Does statements in one transaction that may have to wait for others: not for long at
/// a time, because new ones wait behind it.
async fn patiently(side: &mut Side, text: String) -> Result<(), DbError> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let done = side
            .script(format!(
                "BEGIN; SET LOCAL lock_timeout = {}; {text}; COMMIT",
                MOVING_GATE.as_millis()
            ))
            .await;
        let Err(error) = done else { return Ok(()) };
        side.script("ROLLBACK".to_owned()).await?;
        let code = error.as_database_error().and_then(|said| said.code());
        if tries == 0 || code.is_none_or(|code| code != LOCK_NOT_AVAILABLE) {
            return Err(error);
        }
        tokio::time::sleep(MOVING_GATE / 10).await;
    }
}
