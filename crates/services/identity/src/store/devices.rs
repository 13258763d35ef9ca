//! Devices of tenants, and those that called and were not known.

use hilum_contracts::ids::TenantId;
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::scope::TenantScope;
use uuid::Uuid;

use super::{Store, parsed, tenant_of};

/// A device.
#[derive(Clone, Debug)]
pub(crate) struct DeviceRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: TenantId,
    pub(crate) ae_title: String,
    /// As `hilum_platform::network::device_address` writes it; empty: none.
    pub(crate) address: String,
    /// SHA-256 in hexadecimal; empty: none.
    pub(crate) certificate: String,
    pub(crate) issuer: Option<String>,
    pub(crate) quiet_seconds: Option<f64>,
    pub(crate) fallback_charset: Option<String>,
    pub(crate) configured: bool,
    pub(crate) created_at: i64,
    pub(crate) seen_at: Option<i64>,
    pub(crate) seen_from: Option<String>,
}

/// A device that called and was not known.
#[derive(Clone, Debug)]
pub(crate) struct UnknownRow {
    pub(crate) id: Uuid,
    pub(crate) ae_title: String,
    pub(crate) address: String,
    pub(crate) certificate: String,
    pub(crate) count: i64,
    pub(crate) first_at: i64,
    pub(crate) last_at: i64,
}

impl Store {
    /// Every device of the installation, for the directory.
    pub(crate) async fn all_devices(&self) -> Result<Vec<DeviceRow>, DbError> {
        db::query("SELECT * FROM devices ORDER BY configured, id")
            .fetch_all(self.db().read(Across::Directory))
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The devices that call themselves so.
    pub(crate) async fn devices_called(
        &self,
        scope: &TenantScope,
        ae_title: &str,
    ) -> Result<Vec<DeviceRow>, DbError> {
        db::query("SELECT * FROM devices WHERE tenant = $1 AND ae_title = $2")
            .bind(scope.tenant().as_str())
            .bind(ae_title)
            .fetch_all(self.db().read(scope))
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// Devices in the order in which they came, after one.
    pub(crate) async fn devices(
        &self,
        scope: &TenantScope,
        q: &str,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<DeviceRow>, DbError> {
        db::query(db::each(
            "SELECT * FROM devices WHERE tenant = $1 AND id > $2
                     AND ($3 = '' OR instr(lower(ae_title || ' ' || address), lower($3)) > 0)
                 ORDER BY id LIMIT $4",
            "SELECT * FROM devices WHERE tenant = $1 AND id > $2
                     AND ($3 = '' OR strpos(lower(ae_title || ' ' || address), lower($3)) > 0)
                 ORDER BY id LIMIT $4",
        ))
        .bind(scope.tenant().as_str())
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(q.trim())
        .bind(limit)
        .fetch_all(self.db().read(scope))
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// A device.
    pub(crate) async fn device(
        &self,
        scope: &TenantScope,
        id: Uuid,
    ) -> Result<Option<DeviceRow>, DbError> {
        let row = db::query("SELECT * FROM devices WHERE tenant = $1 AND id = $2")
            .bind(scope.tenant().as_str())
            .bind(id.to_string())
            .fetch_optional(self.db().read(scope))
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Unknown devices, the one that called last ahead. They are few enough for
    /// one page.
    pub(crate) async fn unknown_devices(
        &self,
        scope: &TenantScope,
        limit: u32,
    ) -> Result<Vec<UnknownRow>, DbError> {
        db::query(
            "SELECT * FROM unknown_devices WHERE tenant = $1 ORDER BY last_at DESC, id DESC LIMIT $2",
        )
        .bind(scope.tenant().as_str())
        .bind(limit)
        .fetch_all(self.db().read(scope))
        .await?
        .iter()
        .map(read_unknown)
        .collect()
    }
}

/// Keeps a device; false when the tenant has it, or as many as it may.
pub(crate) async fn insert(
    tx: &mut Connection,
    scope: &TenantScope,
    row: &DeviceRow,
    most: u32,
) -> Result<bool, DbError> {
    let done = db::query(
        "INSERT INTO devices (id, tenant, ae_title, address, certificate, issuer, quiet_seconds,
             fallback_charset, configured, created_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         WHERE (SELECT COUNT(*) FROM devices WHERE tenant = $2) < $11
         ON CONFLICT DO NOTHING",
    )
    .bind(row.id.to_string())
    .bind(scope.tenant().as_str())
    .bind(&row.ae_title)
    .bind(&row.address)
    .bind(&row.certificate)
    .bind(&row.issuer)
    .bind(row.quiet_seconds)
    .bind(&row.fallback_charset)
    .bind(row.configured)
    .bind(row.created_at)
    .bind(most)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Changes what a device is known by and what it needs; whether there is one.
pub(crate) async fn update(
    tx: &mut Connection,
    scope: &TenantScope,
    row: &DeviceRow,
) -> Result<bool, DbError> {
    let done = db::query(
        "UPDATE devices SET address = $1, certificate = $2, issuer = $3,
             quiet_seconds = $4, fallback_charset = $5
         WHERE id = $6 AND tenant = $7 AND NOT EXISTS (SELECT 1 FROM devices d
             WHERE d.tenant = $7 AND d.ae_title = devices.ae_title AND d.address = $1
                 AND d.certificate = $2 AND d.id <> $6)",
    )
    .bind(&row.address)
    .bind(&row.certificate)
    .bind(&row.issuer)
    .bind(row.quiet_seconds)
    .bind(&row.fallback_charset)
    .bind(row.id.to_string())
    .bind(scope.tenant().as_str())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a device; its AE title when there was one.
pub(crate) async fn delete(
    tx: &mut Connection,
    scope: &TenantScope,
    id: Uuid,
) -> Result<Option<String>, DbError> {
    db::query_scalar("DELETE FROM devices WHERE id = $1 AND tenant = $2 RETURNING ae_title")
        .bind(id.to_string())
        .bind(scope.tenant().as_str())
        .fetch_optional(tx)
        .await
}

/// Removes what the configuration named before.
pub(crate) async fn delete_configured(tx: &mut Connection) -> Result<(), DbError> {
    db::query("DELETE FROM devices WHERE configured")
        .execute(tx)
        .await?;
    Ok(())
}

/// Remembers that a device called.
pub(crate) async fn seen(
    tx: &mut Connection,
    scope: &TenantScope,
    id: Uuid,
    from: &str,
    now: i64,
) -> Result<(), DbError> {
    db::query("UPDATE devices SET seen_at = $1, seen_from = $2 WHERE id = $3 AND tenant = $4")
        .bind(now)
        .bind(from)
        .bind(id.to_string())
        .bind(scope.tenant().as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// Remembers an unknown device that called; of more than `most` those go that
/// called least lately.
pub(crate) async fn remember_unknown(
    tx: &mut Connection,
    scope: &TenantScope,
    row: &UnknownRow,
    most: u32,
) -> Result<(), DbError> {
    db::query(
        "INSERT INTO unknown_devices (id, tenant, ae_title, address, certificate, count, first_at,
             last_at)
         VALUES ($1, $2, $3, $4, $5, 1, $6, $6)
         ON CONFLICT (tenant, ae_title, address, certificate) DO UPDATE SET
             count = unknown_devices.count + 1, last_at = $6",
    )
    .bind(row.id.to_string())
    .bind(scope.tenant().as_str())
    .bind(&row.ae_title)
    .bind(&row.address)
    .bind(&row.certificate)
    .bind(row.last_at)
    .execute(&mut *tx)
    .await?;
    db::query(
        "DELETE FROM unknown_devices WHERE tenant = $1 AND id NOT IN
             (SELECT id FROM unknown_devices WHERE tenant = $1 ORDER BY last_at DESC, id DESC LIMIT $2)",
    )
    .bind(scope.tenant().as_str())
    .bind(most)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes an unknown device out of the list.
pub(crate) async fn take_unknown(
    tx: &mut Connection,
    scope: &TenantScope,
    id: Uuid,
) -> Result<Option<UnknownRow>, DbError> {
    let row = db::query("DELETE FROM unknown_devices WHERE tenant = $1 AND id = $2 RETURNING *")
        .bind(scope.tenant().as_str())
        .bind(id.to_string())
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(read_unknown).transpose()
}

fn read(row: &Row) -> Result<DeviceRow, DbError> {
    Ok(DeviceRow {
        id: parsed(row, "id")?,
        tenant: tenant_of(row, "tenant")?,
        ae_title: row.try_get("ae_title")?,
        address: row.try_get("address")?,
        certificate: row.try_get("certificate")?,
        issuer: row.try_get("issuer")?,
        quiet_seconds: row.try_get("quiet_seconds")?,
        fallback_charset: row.try_get("fallback_charset")?,
        configured: row.try_get("configured")?,
        created_at: row.try_get("created_at")?,
        seen_at: row.try_get("seen_at")?,
        seen_from: row.try_get("seen_from")?,
    })
}

fn read_unknown(row: &Row) -> Result<UnknownRow, DbError> {
    Ok(UnknownRow {
        id: parsed(row, "id")?,
        ae_title: row.try_get("ae_title")?,
        address: row.try_get("address")?,
        certificate: row.try_get("certificate")?,
        count: row.try_get("count")?,
        first_at: row.try_get("first_at")?,
        last_at: row.try_get("last_at")?,
    })
}
