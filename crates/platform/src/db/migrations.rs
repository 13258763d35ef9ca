//! Brings a service's tables up to date: numbered steps, each once, the platform's
//! own before the service's. On PostgreSQL under the role that owns the schema,
//! all in one transaction, and by one process at a time.

use aws_lc_rs::digest;
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};

use super::connection::{Connection, Tx};
use super::postgres::Schema;
use super::query::{AssertSqlSafe, query, query_scalar};
use super::whose::{Across, Whose};
use super::{Db, DbError, ended, ranges};
use crate::limits::PG_TABLE_LOCK;

/// One numbered, idempotent step of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Steps run in this order, each once.
    pub version: i64,
    /// Its SQL for SQLite, one or several statements.
    pub sql: &'static str,
    /// The same for PostgreSQL; empty where an earlier step has it already.
    pub postgres: &'static str,
}

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Whose tables it changed: the service's own, or a part of the platform's.
    pub owner: &'static str,
    /// Its number.
    pub version: i64,
}

/// Steps of one owner of tables.
pub(super) type Owner<'m> = (&'static str, &'m [Migration]);

/// What is done behind the steps of a service's schema, in their transaction.
pub(super) const AFTER: [&str; 2] = [ended::GUARD_POSTGRES, HOLD_TO_TENANT];

/// The steps of each owner of tables, in their order.
pub(super) fn owners(service: &[Migration]) -> [Owner<'_>; 5] {
    [
        ("platform", crate::events::MIGRATIONS),
        ("jobs", crate::jobs::MIGRATIONS),
        ("audit", crate::audit::MIGRATIONS),
        ("ended", ended::MIGRATIONS),
        ("service", service),
    ]
}

impl Db {
    /// Brings the tables of a file up to date.
    pub(super) async fn migrate(&self, service: &[Migration]) -> Result<(), DbError> {
        let mut tx = self.begin(Across::Nobody).await?;
        tx.script(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                owner TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (owner, version))",
        )
        .await?;
        tx.commit().await?;
        for (owner, steps) in owners(service) {
            for step in steps {
                let mut tx = self.begin(Across::Nobody).await?;
                if !is_applied(&mut tx, owner, step.version).await? {
                    tx.script(step.sql).await?;
                    applied(&mut tx, owner, step.version).await?;
                }
                tx.commit().await?;
            }
        }
        Ok(())
    }
}

impl Schema {
    /// Brings the tables of the schema up to date as `owner`, over a connection of
    /// its own that no pooler stands before, does what is to be done `after` them, and
    /// gives `role` what it needs to use them and no more; the steps that were taken.
    /// What is up to date is only read: whoever works on the tables meanwhile waits for
    /// nothing.
    pub(super) async fn migrate(
        &self,
        owner: &PgConnectOptions,
        (role, number): (&str, u32),
        owners: &[Owner<'_>],
        after: &[&'static str],
    ) -> Result<Vec<Step>, DbError> {
        let name = &self.name;
        let mut connection = PgConnection::connect_with(owner).await?;
        let migrated = async {
            let mut taken = Vec::new();
            // Another process that starts at the same time waits here.
            let begin = format!(
                "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('hilum/{name}', 0));
                 CREATE SCHEMA IF NOT EXISTS \"{name}\"; SET LOCAL search_path = \"{name}\";
                 SET LOCAL hilum.tenant = ''; SET LOCAL hilum.across = 'on';
                 SET LOCAL lock_timeout = {};
                 CREATE TABLE IF NOT EXISTS schema_migrations (owner TEXT COLLATE \"C\" NOT NULL,
                    version BIGINT NOT NULL, PRIMARY KEY (owner, version));",
                PG_TABLE_LOCK.as_millis()
            );
            connection
                .execute(sqlx::raw_sql(AssertSqlSafe(begin)))
                .await?;
            let is_bound = ranges::is_bound(&mut connection, number).await?;
            for (owner, steps) in owners {
                for step in *steps {
                    let version = step.version;
                    if !is_recorded(&mut connection, owner, version).await? {
                        connection.execute(sqlx::raw_sql(step.postgres)).await?;
                        record(&mut connection, owner, version).await?;
                        taken.push(Step { owner, version });
                    }
                }
            }
            let guards = guards(after, role);
            if taken.is_empty() && is_recorded(&mut connection, GUARDS, guards).await? {
                connection.execute(sqlx::raw_sql("COMMIT")).await?;
                return Ok(taken);
            }
            for text in after {
                connection.execute(sqlx::raw_sql(*text)).await?;
            }
            connection
                .execute(sqlx::raw_sql(AssertSqlSafe(ranges::begin(number))))
                .await?;
            if !is_bound {
                record(&mut connection, ranges::SHARD, i64::from(number)).await?;
            }
            // One row: another version's are not there any more.
            let others = format!("DELETE FROM schema_migrations WHERE owner = '{GUARDS}'");
            connection
                .execute(sqlx::raw_sql(AssertSqlSafe(others)))
                .await?;
            record(&mut connection, GUARDS, guards).await?;
            let role = role.replace('"', "\"\"");
            let grant = format!(
                "GRANT USAGE ON SCHEMA \"{name}\" TO \"{role}\";
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \"{name}\" TO \"{role}\";
                 REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM \"{role}\";
                 GRANT USAGE ON ALL SEQUENCES IN SCHEMA \"{name}\" TO \"{role}\";
                 COMMIT"
            );
            connection
                .execute(sqlx::raw_sql(AssertSqlSafe(grant)))
                .await?;
            Ok::<_, DbError>(taken)
        };
        let migrated = migrated.await;
        // What was not committed ends with the connection.
        let _closed = connection.close().await;
        migrated
    }

    /// Refuses a role that row-level security does not hold, and tables that are not
    /// those of this program.
    pub(super) async fn check(&self, owners: &[Owner<'_>], number: u32) -> Result<(), DbError> {
        let mut tx = self.transaction(Whose::Every(Across::Nobody)).await?;
        let is_free: bool = query_scalar(
            "SELECT r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT 1 FROM pg_namespace n
                 WHERE n.nspname = current_schema AND pg_has_role(r.oid, n.nspowner, 'MEMBER'))
             FROM pg_roles r WHERE r.rolname = current_user",
        )
        .fetch_one(&mut tx)
        .await?;
        if is_free {
            return Err(DbError::Configuration(
                "the role of database.url_file is a superuser, owns the schema or passes row-level \
                 security: give it a role of its own that does not (docs/operations/postgresql.md)"
                    .into(),
            ));
        }
        // What is acknowledged has to be on the server's disk.
        let is_late: bool = query_scalar("SELECT current_setting('synchronous_commit') = 'off'")
            .fetch_one(&mut tx)
            .await?;
        if is_late {
            return Err(DbError::Configuration(
                "synchronous_commit is off for the role of database.url_file: what is committed \
                 could be lost with the server's power; set it to on for the role or the database"
                    .into(),
            ));
        }
        let is_there: bool = query_scalar("SELECT to_regclass('schema_migrations') IS NOT NULL")
            .fetch_one(&mut tx)
            .await?;
        for (owner, steps) in owners {
            for step in *steps {
                if !is_there || !is_applied(&mut tx, owner, step.version).await? {
                    return Err(DbError::Configuration(
                        format!(
                            "schema {} has not every table that this version needs: run `hilum \
                             migrate`, or name database.owner_url_file, with which the next start \
                             makes them",
                            self.name
                        )
                        .into(),
                    ));
                }
            }
        }
        let bound: Option<i64> =
            query_scalar("SELECT version FROM schema_migrations WHERE owner = $1")
                .bind(ranges::SHARD)
                .fetch_optional(&mut tx)
                .await?;
        ranges::fits(bound.unwrap_or_default(), number)?;
        tx.commit().await
    }

    async fn transaction(&self, whose: Whose<'_>) -> Result<Tx, DbError> {
        Ok(Tx::of_postgres(self.begin(whose).await?, whose))
    }
}

/// Every table with a column `tenant` shows and takes rows of the transaction's
/// tenant only, also to its owner, unless the transaction says that it is about
/// every tenant's.
const HOLD_TO_TENANT: &str = "DO $$
DECLARE held text;
BEGIN
    FOR held IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = current_schema::regnamespace AND c.relkind = 'r'
            AND a.attname = 'tenant' AND NOT a.attisdropped
            AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', held);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', held);
        EXECUTE format('CREATE POLICY of_tenant ON %I USING (
            tenant = current_setting(''hilum.tenant'', true)
            OR current_setting(''hilum.across'', true) = ''on'')', held);
    END LOOP;
END $$";

/// Under this name stands what the triggers, policies and rights were made from.
const GUARDS: &str = "guards";

/// The number of what guards the tables for `role` in this version: made anew where
/// it is another.
fn guards(after: &[&str], role: &str) -> i64 {
    let text = [after, &[role]].concat().join("\n");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let first = digest.as_ref().first_chunk().copied();
    i64::from_be_bytes(first.unwrap_or_default())
}

async fn is_recorded(
    connection: &mut PgConnection,
    owner: &str,
    version: i64,
) -> Result<bool, DbError> {
    let found: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM schema_migrations WHERE owner = $1 AND version = $2")
            .bind(owner)
            .bind(version)
            .persistent(false)
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

async fn record(connection: &mut PgConnection, owner: &str, version: i64) -> Result<(), DbError> {
    sqlx::query("INSERT INTO schema_migrations (owner, version) VALUES ($1, $2)")
        .bind(owner)
        .bind(version)
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(())
}

async fn is_applied(tx: &mut Connection, owner: &str, version: i64) -> Result<bool, DbError> {
    let found: Option<i64> =
        query_scalar("SELECT version FROM schema_migrations WHERE owner = $1 AND version = $2")
            .bind(owner)
            .bind(version)
            .fetch_optional(tx)
            .await?;
    Ok(found.is_some())
}

async fn applied(tx: &mut Connection, owner: &str, version: i64) -> Result<(), DbError> {
    query("INSERT INTO schema_migrations (owner, version) VALUES ($1, $2)")
        .bind(owner)
        .bind(version)
        .execute(tx)
        .await?;
    Ok(())
}
