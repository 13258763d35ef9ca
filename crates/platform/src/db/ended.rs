//! Tenants that were ended: their rows go, whatever table they are in, and what
//! was still on its way for them is taken no more. A table belongs to tenants by
//! having a column `tenant`. The audit trail and its seals are left to their own
//! rules; only whom they name goes.

use hilum_contracts::ids::TenantId;

use super::{AssertSqlSafe, Db, DbError, Migration, Tx, query, query_scalar};

/// The names of those that were ended.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "CREATE TABLE ended_tenant (tenant TEXT PRIMARY KEY) WITHOUT ROWID;",
}];

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
pub(super) const TABLES: &str =
    "SELECT m.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
    WHERE m.type = 'table' AND c.name = 'tenant' ORDER BY m.name";

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
        let mut tx = self.begin().await?;
        // What refers to what is its tables' business: all of it goes.
        query("PRAGMA defer_foreign_keys = ON")
            .execute(&mut *tx)
            .await?;
        query("INSERT INTO ended_tenant (tenant) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(tenant.as_str())
            .execute(&mut *tx)
            .await?;
        let tables = tables(&mut tx).await?;
        let tables = tables
            .iter()
            .map(|name| format!("DELETE FROM \"{name}\" WHERE tenant = $1"));
        let own = own.iter().map(|sql| (*sql).to_owned());
        let events = crate::events::FORGET_TENANT
            .iter()
            .map(|sql| (*sql).to_owned());
        let mut rows = 0;
        for sql in own.chain(events).chain(tables) {
            let done = query(AssertSqlSafe(sql))
                .bind(tenant.as_str())
                .execute(&mut *tx)
                .await?;
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
            .fetch_one(self.read())
            .await
    }

    /// Has every table that belongs to tenants take nothing of one that was
    /// ended. When the database opens, after its migrations.
    pub(super) async fn guard_ended(&self) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
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
