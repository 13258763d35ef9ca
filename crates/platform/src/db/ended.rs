//! Tenants that were ended: their rows go, whatever table they are in, and what
//! was still on its way for them is taken no more. A table belongs to tenants by
//! having a column `tenant`. The audit trail and its seals are left to their own
//! rules; only whom they name goes.

use hilum_contracts::ids::TenantId;

use super::{Across, AssertSqlSafe, Db, DbError, Migration, Text, Tx, each, query, query_scalar};

/// The names of those that were ended.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: "CREATE TABLE ended_tenant (tenant TEXT PRIMARY KEY) WITHOUT ROWID;",
        postgres: "CREATE TABLE ended_tenant (tenant TEXT COLLATE \"C\" PRIMARY KEY);",
    },
    // Nobody's move is under way until somebody moves a tenant (`moving/gate.rs`), who puts
    // another one in its place.
    Migration {
        version: 2,
        sql: "SELECT 1;",
        postgres: "CREATE FUNCTION moving(TEXT) RETURNS BOOLEAN LANGUAGE sql STABLE AS 'SELECT false';",
    },
];

/// What stays of a tenant: the trail, what seals it and says what was removed
/// of it, and that it was ended.
const KEPT: [&str; 6] = [
    "audit_entry",
    "audit_head",
    "removed",
    "seal",
    "sealed",
    "ended_tenant",
];

/// The tables whose rows belong to tenants.
pub(super) const TABLES: Text = each(
    "SELECT m.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
    WHERE m.type = 'table' AND c.name = 'tenant' ORDER BY m.name",
    "SELECT table_name::text FROM information_schema.columns
    WHERE table_schema = current_schema AND column_name = 'tenant' ORDER BY table_name",
);

/// On PostgreSQL the tables take nothing of an ended tenant through this; whoever
/// adds a row waits for an end that is under way, and an end for them.
pub(super) const GUARD_POSTGRES: &str = "
CREATE OR REPLACE FUNCTION refuse_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        hashtextextended(current_schema || '/ended/' || NEW.tenant, 0));
    IF EXISTS (SELECT 1 FROM ended_tenant WHERE tenant = NEW.tenant) THEN
        -- A batch of events is of many tenants: the others come through.
        IF TG_TABLE_NAME IN ('inbox', 'outbox') THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'the tenant was ended';
    END IF;
    RETURN NEW;
END $$;
-- Of what stays, the trail ends with the end itself.
CREATE OR REPLACE FUNCTION refuse_entry_of_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.act <> 'end-tenant'
        AND EXISTS (SELECT 1 FROM ended_tenant WHERE tenant = NEW.tenant) THEN
        RAISE EXCEPTION 'the tenant was ended';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER of_ended BEFORE INSERT ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_entry_of_ended();
DO $$
DECLARE guarded text;
BEGIN
    FOR guarded IN SELECT table_name FROM information_schema.columns
        WHERE table_schema = current_schema AND column_name = 'tenant' AND table_name NOT IN
            ('audit_entry', 'audit_head', 'removed', 'seal', 'sealed', 'ended_tenant')
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER of_ended BEFORE INSERT ON %I
            FOR EACH ROW EXECUTE FUNCTION refuse_ended()', guarded);
    END LOOP;
END $$";

impl Db {
    /// Deletes every row of a tenant, and leaves nothing of it in free pages or
    /// in the write-ahead log; how many rows went. None comes any more: who
    /// adds one is refused, and an event is not taken. `own` statements, with
    /// the tenant as `$1`, delete what stands in tables without its name.
    ///
    /// # Errors
    /// When the database does not answer; asked again, it goes on.
    pub async fn end_tenant(
        &self,
        tenant: &TenantId,
        own: &[&'static str],
    ) -> Result<u64, DbError> {
        let mut tx = self.begin(tenant).await?;
        tx.lock(&format!("ended/{tenant}")).await?;
        // What refers to what is its tables' business: all of it goes.
        query(each(
            "PRAGMA defer_foreign_keys = ON",
            "SET CONSTRAINTS ALL DEFERRED",
        ))
        .execute(&mut *tx)
        .await?;
        query("INSERT INTO ended_tenant (tenant) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(tenant.as_str())
            .execute(&mut *tx)
            .await?;
        let tables = tables(&mut tx).await?;
        let tables = tables
            .iter()
            .map(|name| format!("DELETE FROM \"{name}\" WHERE tenant = $1"))
            .map(|sql| Text::from(AssertSqlSafe(sql)));
        let own = own.iter().map(|sql| Text::from(*sql));
        let events = crate::events::FORGET_TENANT.iter().cloned();
        let mut rows = 0;
        for sql in own.chain(events).chain(tables) {
            let done = query(sql).bind(tenant.as_str()).execute(&mut *tx).await?;
            rows += done.rows_affected();
        }
        tx.commit().await?;
        self.scrub().await?;
        Ok(rows)
    }

    /// Whether a tenant was ended.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_ended(&self, tenant: &TenantId) -> Result<bool, DbError> {
        query_scalar("SELECT EXISTS (SELECT 1 FROM ended_tenant WHERE tenant = $1)")
            .bind(tenant.as_str())
            .fetch_one(self.read(tenant))
            .await
    }

    /// Has every table that belongs to tenants take nothing of one that was
    /// ended. When the database opens, after its migrations.
    pub(super) async fn guard_ended(&self) -> Result<(), DbError> {
        let mut tx = self.begin(Across::Nobody).await?;
        for name in tables(&mut tx).await? {
            // A batch of events is of many tenants: the others come through.
            let refuse = match name.as_str() {
                "inbox" => "RAISE(IGNORE)",
                _ => "RAISE(ABORT, 'the tenant was ended')",
            };
            let sql = format!(
                "CREATE TRIGGER IF NOT EXISTS \"{name}_of_ended\" BEFORE INSERT ON \"{name}\"
                 WHEN EXISTS (SELECT 1 FROM ended_tenant WHERE tenant = new.tenant)
                 BEGIN SELECT {refuse}; END"
            );
            tx.script(AssertSqlSafe(sql)).await?;
        }
        // Of what stays, the trail ends with the end itself.
        tx.script(
            "CREATE TRIGGER IF NOT EXISTS audit_entry_of_ended BEFORE INSERT ON audit_entry
             WHEN new.act <> 'end-tenant'
                AND EXISTS (SELECT 1 FROM ended_tenant WHERE tenant = new.tenant)
             BEGIN SELECT RAISE(ABORT, 'the tenant was ended'); END;
             CREATE TRIGGER IF NOT EXISTS outbox_of_ended BEFORE INSERT ON outbox
             WHEN EXISTS (SELECT 1 FROM ended_tenant)
                AND json_extract(new.event, '$.tenant') IN (SELECT tenant FROM ended_tenant)
             BEGIN SELECT RAISE(IGNORE); END",
        )
        .await?;
        tx.commit().await
    }
}

/// Those of them that go with their tenant.
async fn tables(tx: &mut Tx) -> Result<Vec<String>, DbError> {
    let mut names: Vec<String> = query_scalar(TABLES).fetch_all(tx).await?;
    names.retain(|name| !KEPT.contains(&name.as_str()));
    Ok(names)
}
