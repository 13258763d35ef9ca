//! A tenant's rows on their way from one shard's database to another's: copied while the
//! tenant works, caught up with, held still for seconds, compared, and deleted where they
//! were. Owns the tables `gate` and `change` of a schema beside the services', and the
//! triggers that ask them. It decides nothing: which step comes next, and where a tenant
//! lives, is its caller's business and Identity's.
//!
//! Who moves comes as the owner of the schemas, over a connection of its own to the
//! server itself.

mod carry;
mod compare;
mod gate;
mod tables;

use std::time::{Duration, Instant};

use hilum_contracts::ids::TenantId;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::DbError;
use super::home::options;
use crate::config::Database;
use crate::limits::{MOVING_DELETED, MOVING_FROZEN, PG_TURN_ASKED, PG_TURN_LEFT};
use tables::{Table, discover};

/// What is told of a change that comes while its tenant is held still.
pub const MOVING: &str =
    "The organisation is being moved to another shard: send it again in some seconds.";

/// The code under which the triggers refuse it.
const MOVING_CODE: &str = "HI002";

/// Whether a change was refused because its tenant is being moved.
#[must_use]
pub fn is_moving(error: &DbError) -> bool {
    let code = error.as_database_error().and_then(|said| said.code());
    code.is_some_and(|code| is_moving_code(&code))
}

/// The same of the code that PostgreSQL gave. It is counted: a command that was killed
/// leaves a tenant so.
#[must_use]
pub fn is_moving_code(code: &str) -> bool {
    let is_moving = code == MOVING_CODE;
    if is_moving {
        metrics::counter!("hilum_changes_held_total").increment(1);
    }
    is_moving
}

/// One of the two databases.
struct Side {
    connection: PgConnection,
    prefix: String,
    shard: String,
}

/// A tenant's rows, and the two databases.
pub struct Moving {
    tenant: TenantId,
    from: Side,
    to: Side,
    tables: Vec<Table>,
    rows: u64,
    /// Since when it is held still.
    held: Option<Instant>,
}

/// Holds up everybody else who moves the same tenant, until it is dropped or its process
/// ends.
pub struct Turn(#[expect(dead_code, reason = "its session has the lock")] PgConnection);

impl Turn {
    /// Takes it, on the database of the shard where Identity is; none while another has it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take(database: &Database, tenant: &TenantId) -> Result<Option<Self>, DbError> {
        let mut side = Side::open("", database, tenant).await?;
        let given_up = Instant::now().checked_add(PG_TURN_LEFT);
        loop {
            if side.takes_turn(tenant).await? {
                return Ok(Some(Self(side.connection)));
            }
            // A server notices a moment later that a process is gone.
            if given_up.is_none_or(|given_up| Instant::now() >= given_up) {
                return Ok(None);
            }
            tokio::time::sleep(PG_TURN_ASKED).await;
        }
    }

    /// Whether nobody has it just now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_free(database: &Database, tenant: &TenantId) -> Result<bool, DbError> {
        let mut side = Side::open("", database, tenant).await?;
        let is_free = side.takes_turn(tenant).await?;
        side.connection.close().await?;
        Ok(is_free)
    }
}

impl Side {
    /// Takes the turn of who moves the tenant, for as long as this session lasts.
    async fn takes_turn(&mut self, tenant: &TenantId) -> Result<bool, DbError> {
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
            .bind(format!("{}move/{tenant}", self.prefix))
            .fetch_one(&mut self.connection)
            .await
    }

    async fn open(shard: &str, database: &Database, tenant: &TenantId) -> Result<Self, DbError> {
        let owner = database.owner_url_file.as_deref().ok_or_else(|| {
            DbError::Configuration(
                format!(
                    "name shards.{shard}.database.owner_url_file: who moves a tenant needs the \
                     role that owns the tables"
                )
                .into(),
            )
        })?;
        let mut connection = PgConnection::connect_with(&options(owner)?).await?;
        // All of it is about every tenant's tables and one tenant's rows.
        let begin =
            format!("SET hilum.across = 'on'; SET hilum.tenant = ''; SET hilum.mover = '{tenant}'");
        connection
            .execute(sqlx::raw_sql(AssertSqlSafe(begin)))
            .await?;
        Ok(Self {
            connection,
            prefix: database.schema_prefix.clone(),
            shard: shard.to_owned(),
        })
    }

    /// Triggers name what stands beside their table.
    async fn enter(&mut self, table: &Table) -> Result<(), DbError> {
        let schema = format!("{}{}", self.prefix, table.service);
        self.script(format!("SET search_path = \"{schema}\"")).await
    }

    async fn script(&mut self, text: String) -> Result<(), DbError> {
        let script = sqlx::raw_sql(AssertSqlSafe(text));
        self.connection.execute(script).await.map(drop)
    }

    async fn number(&mut self, text: String) -> Result<i64, DbError> {
        sqlx::query_scalar(AssertSqlSafe(text))
            .persistent(false)
            .fetch_one(&mut self.connection)
            .await
    }
}

impl Moving {
    /// Opens both databases, and has their tables ask from now on whether a tenant moves.
    ///
    /// # Errors
    /// When one of them can't be reached, or they have not the same tables.
    pub async fn open(
        tenant: &TenantId,
        (from, of_from): (&str, &Database),
        (to, of_to): (&str, &Database),
    ) -> Result<Self, DbError> {
        let mut from = Side::open(from, of_from, tenant).await?;
        let mut to = Side::open(to, of_to, tenant).await?;
        let tables = discover(&mut from).await?;
        let theirs = discover(&mut to).await?;
        if let Some(table) = tables::difference(&tables, &theirs) {
            return Err(DbError::Configuration(
                format!(
                    "the shards have not the same tables ({table}): run `hilum migrate` of one \
                     version for both"
                )
                .into(),
            ));
        }
        let prefixes = (from.prefix.clone(), to.prefix.clone());
        gate::install(&mut from, &tables, &prefixes.0).await?;
        gate::install(&mut to, &theirs, &prefixes.1).await?;
        let ranges = (from.range().await?, to.range().await?);
        if ranges.0 == ranges.1 {
            return Err(DbError::Configuration(
                format!(
                    "both shards give out the numbers of shard {}: each needs a database that was \
                     made with another database.shard_number",
                    ranges.0
                )
                .into(),
            ));
        }
        Ok(Self {
            tenant: tenant.clone(),
            from,
            to,
            tables,
            rows: 0,
            held: None,
        })
    }

    /// Rows that were carried until now.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Has the shard that is moved to take nothing of the tenant, and deletes what an
    /// attempt before left there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn clear_target(&mut self) -> Result<(), DbError> {
        gate::set(&mut self.to, &self.tenant, Some("arriving"), None).await?;
        delete(&mut self.to, &self.tables, &self.tenant).await
    }

    /// From now on the shard that is left writes down what changes; the tenant works on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(&mut self) -> Result<(), DbError> {
        gate::set(&mut self.from, &self.tenant, Some("copying"), None).await?;
        gate::forget_changes(&mut self.from, &self.tenant).await
    }

    /// Holds the tenant still but for its trails and events that arrive, for
    /// [`MOVING_FROZEN`] at most.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn hold(&mut self) -> Result<(), DbError> {
        self.held = Some(Instant::now());
        gate::set(
            &mut self.from,
            &self.tenant,
            Some("closing"),
            Some(MOVING_FROZEN),
        )
        .await
    }

    /// Holds it still altogether, until [`Moving::leave`] or [`Moving::release`]; `false`:
    /// it took too long, and the tenant works again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn close(&mut self) -> Result<bool, DbError> {
        gate::close(&mut self.from, &self.tenant).await
    }

    /// The tenant works on where it is, and what changes is written down on. What was
    /// begun meanwhile, and perhaps failed, is left.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release(&mut self) -> Result<(), DbError> {
        for side in [&mut self.from, &mut self.to] {
            side.script("ROLLBACK".to_owned()).await?;
        }
        self.unbounded().await?;
        gate::set(&mut self.from, &self.tenant, Some("copying"), None).await
    }

    /// The tenant works where it was, and nobody moves it; also while the other shard does
    /// not answer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stay(
        tenant: &TenantId,
        (shard, database): (&str, &Database),
    ) -> Result<(), DbError> {
        let mut side = Side::open(shard, database, tenant).await?;
        if gate::is_there(&mut side).await? {
            gate::set(&mut side, tenant, None, None).await?;
            gate::forget_changes(&mut side, tenant).await?;
        }
        side.connection.close().await
    }

    /// The shard that is left takes nothing of the tenant any more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn leave(&mut self) -> Result<(), DbError> {
        gate::set(&mut self.from, &self.tenant, Some("gone"), None).await
    }

    /// The shard that was moved to takes changes.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn arrive(&mut self) -> Result<(), DbError> {
        gate::set(&mut self.to, &self.tenant, None, None).await
    }

    /// Deletes the tenant's rows where it was.
    ///
    /// # Errors
    /// When the database does not answer; asked again, it goes on.
    pub async fn delete_source(&mut self) -> Result<(), DbError> {
        delete(&mut self.from, &self.tables, &self.tenant).await?;
        gate::forget_changes(&mut self.from, &self.tenant).await
    }

    /// No statement from here on takes longer than the tenant may be held still.
    async fn bounded(&mut self) -> Result<(), DbError> {
        let Some(since) = self.held else {
            return Ok(());
        };
        // None is no limit.
        let left = MOVING_FROZEN.saturating_sub(since.elapsed());
        let left = left.max(Duration::from_millis(1)).as_millis();
        for side in [&mut self.from, &mut self.to] {
            side.script(format!("SET statement_timeout = {left}"))
                .await?;
        }
        Ok(())
    }

    /// They may again.
    async fn unbounded(&mut self) -> Result<(), DbError> {
        self.held = None;
        for side in [&mut self.from, &mut self.to] {
            side.script("SET statement_timeout = 0".to_owned()).await?;
        }
        Ok(())
    }

    /// How long a change waits at most for who is held still.
    #[must_use]
    pub const fn held_at_most() -> Duration {
        MOVING_FROZEN
    }
}

impl Side {
    /// Which shard's numbers its tables give out.
    async fn range(&mut self) -> Result<i64, DbError> {
        let schema = format!("{}archive", self.prefix);
        self.number(format!(
            "SELECT coalesce(max(version), 0) FROM \"{schema}\".schema_migrations
             WHERE owner = 'shard'"
        ))
        .await
    }
}

/// Deletes every row of a tenant, what refers before what is referred to.
async fn delete(side: &mut Side, tables: &[Table], tenant: &TenantId) -> Result<(), DbError> {
    for table in tables.iter().rev() {
        let (name, whose) = (table.at(&side.prefix), table.whose(&side.prefix, tenant));
        let text = format!(
            "WITH gone AS (DELETE FROM {name} WHERE ctid = ANY (ARRAY(
                SELECT t.ctid FROM {name} t WHERE {whose} LIMIT {MOVING_DELETED})) RETURNING 1)
             SELECT count(*) FROM gone"
        );
        side.enter(table).await?;
        while side.number(text.clone()).await? > 0 {}
    }
    Ok(())
}
