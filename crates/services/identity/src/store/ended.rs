//! Tenants that are being ended, and those that were.

use hilum_contracts::erasure::EndedTenant;
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::scope::TenantScope;

use super::{Store, tenant_of};

/// How an end begins.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) at: i64,
    pub(crate) by: String,
    pub(crate) by_right: String,
    pub(crate) holds: u64,
}

impl Store {
    /// Every tenant that is being ended or was, the last one first.
    pub(crate) async fn ended(&self) -> Result<Vec<EndedTenant>, DbError> {
        db::query("SELECT * FROM ended ORDER BY begun_at DESC, name")
            .fetch_all(self.db().read(Across::Directory))
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The scope's tenant, if it is being ended or was.
    pub(crate) async fn ended_of(
        &self,
        scope: &TenantScope,
    ) -> Result<Option<EndedTenant>, DbError> {
        let row = db::query("SELECT * FROM ended WHERE name = $1")
            .bind(scope.tenant().as_str())
            .fetch_optional(self.db().read(scope))
            .await?;
        row.as_ref().map(read).transpose()
    }
}

/// Writes down that the scope's tenant is being ended, and deletes it with all
/// that belongs to it here, and the people who belong nowhere else.
pub(crate) async fn begin(
    tx: &mut Connection,
    scope: &TenantScope,
    begun: &Begun,
) -> Result<(), DbError> {
    let tenant = scope.tenant().as_str();
    db::query(
        "INSERT INTO ended (name, begun_at, begun_by, by_right, holds, people, api_keys, devices)
         SELECT $1, $2, $3, $4, $5,
             (SELECT COUNT(*) FROM memberships WHERE tenant = $1),
             (SELECT COUNT(*) FROM api_keys WHERE tenant = $1),
             (SELECT COUNT(*) FROM devices WHERE tenant = $1)
         WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(tenant)
    .bind(begun.at)
    .bind(&begun.by)
    .bind(&begun.by_right)
    .bind(number(begun.holds))
    .execute(&mut *tx)
    .await?;
    for sql in [
        "DELETE FROM people WHERE id IN (SELECT person FROM memberships WHERE tenant = $1)
         AND NOT EXISTS (SELECT 1 FROM memberships m WHERE m.person = people.id AND m.tenant <> $1)",
        "DELETE FROM tenants WHERE name = $1",
    ] {
        db::query(sql).bind(tenant).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Whether the scope's tenant is being ended or was, as the transaction sees it.
pub(crate) async fn is(tx: &mut Connection, scope: &TenantScope) -> Result<bool, DbError> {
    db::query_scalar("SELECT EXISTS (SELECT 1 FROM ended WHERE name = $1)")
        .bind(scope.tenant().as_str())
        .fetch_one(tx)
        .await
}

/// Keeps what the tenant held, unless that was kept before.
pub(crate) async fn set_holdings(
    tx: &mut Connection,
    scope: &TenantScope,
    holdings: &str,
) -> Result<(), DbError> {
    db::query("UPDATE ended SET holdings = $1 WHERE name = $2 AND holdings IS NULL")
        .bind(holdings)
        .bind(scope.tenant().as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// Keeps the certificate: nothing of the tenant is left.
pub(crate) async fn certify(
    tx: &mut Connection,
    scope: &TenantScope,
    certificate: &str,
    now: i64,
) -> Result<(), DbError> {
    db::query("UPDATE ended SET ended_at = $1, certificate = $2 WHERE name = $3")
        .bind(now)
        .bind(certificate)
        .bind(scope.tenant().as_str())
        .execute(tx)
        .await?;
    Ok(())
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<EndedTenant, DbError> {
    let count = |column| -> Result<u64, DbError> {
        let count: i64 = row.try_get(column)?;
        Ok(u64::try_from(count).unwrap_or_default())
    };
    Ok(EndedTenant {
        name: tenant_of(row, "name")?,
        begun_at: row.try_get("begun_at")?,
        by: row.try_get("begun_by")?,
        by_right: row.try_get("by_right")?,
        holds: count("holds")?,
        people: count("people")?,
        api_keys: count("api_keys")?,
        devices: count("devices")?,
        holdings: row.try_get("holdings")?,
        ended_at: row.try_get("ended_at")?,
        certificate: row.try_get("certificate")?,
    })
}
