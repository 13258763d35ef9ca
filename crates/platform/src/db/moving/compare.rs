//! What arrived against what left: the number of rows, and a sum over all of them that
//! is the same in any order.

use hilum_contracts::ids::TenantId;
use sqlx::AssertSqlSafe;

use super::carry::select;
use super::tables::Table;
use super::{DbError, Moving, Side};
use crate::limits::MOVING_COMPARED;

/// A question about the rows of a table.
pub(super) struct Sum(String);

/// What a table holds of a tenant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    rows: i64,
    sum: String,
}

impl Sum {
    /// About those of a tenant that `also` holds for.
    pub(super) fn of(table: &Table, prefix: &str, tenant: &TenantId, also: Option<&str>) -> Self {
        let rows = select(table, prefix, tenant, also);
        Self(format!(
            "SELECT count(*), coalesce(sum(hashtextextended(row, 0)::numeric), 0)::text
             FROM ({rows}) AS all_rows (row)"
        ))
    }

    /// About their number only.
    fn count(table: &Table, prefix: &str, tenant: &TenantId) -> Self {
        let (at, whose) = (table.at(prefix), table.whose(prefix, tenant));
        Self(format!("SELECT count(*), '' FROM {at} t WHERE {whose}"))
    }

    pub(super) async fn on(self, side: &mut Side) -> Result<Held, DbError> {
        let (rows, sum) = sqlx::query_as(AssertSqlSafe(self.0))
            .persistent(false)
            .fetch_one(&mut side.connection)
            .await?;
        Ok(Held { rows, sum })
    }
}

impl Held {
    /// # Errors
    /// When it is not what the other side holds.
    pub(super) fn is(&self, other: &Self, table: &Table) -> Result<(), DbError> {
        if self == other {
            return Ok(());
        }
        Err(DbError::Protocol(format!(
            "{}.{} arrived with {} rows of {}, or with others: nothing was switched",
            table.service, table.name, other.rows, self.rows
        )))
    }
}

impl Moving {
    /// Compares both sides while the tenant is held still: the last that takes long.
    ///
    /// # Errors
    /// When they are not the same, or a database does not answer.
    pub async fn compare(&mut self) -> Result<(), DbError> {
        let all = i64::try_from(self.rows).unwrap_or(i64::MAX);
        let tenant = self.tenant.clone();
        for table in &self.tables.clone() {
            self.bounded().await?;
            // Runs and rows of the look-up hold the same in other portions.
            if table.is_made_there() && table.name != "tally" {
                continue;
            }
            let of = |prefix: &str| match all > MOVING_COMPARED && !table.is_late() {
                true => Sum::count(table, prefix, &tenant),
                false => Sum::of(table, prefix, &tenant, None),
            };
            let left = of(&self.from.prefix).on(&mut self.from).await?;
            let arrived = of(&self.to.prefix).on(&mut self.to).await?;
            left.is(&arrived, table)?;
        }
        self.unbounded().await
    }
}
