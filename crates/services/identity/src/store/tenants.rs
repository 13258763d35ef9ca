//! Tenants and their settings.

use hilum_contracts::ids::TenantId;
use hilum_platform::config::MAIN;
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::scope::TenantScope;
use hilum_platform::tenants::Place;

use super::{Store, json, json_of, tenant_of};
use crate::domain::settings::Settings;

/// A tenant.
#[derive(Clone, Debug)]
pub(crate) struct TenantRow {
    pub(crate) name: TenantId,
    pub(crate) display_name: String,
    pub(crate) ae_title: String,
    pub(crate) settings: Settings,
    pub(crate) configured: bool,
    pub(crate) created_at: i64,
    pub(crate) place: Place,
    /// To which shard it is being moved.
    pub(crate) moving_to: Option<String>,
    /// From which it was, while something of it is left there.
    pub(crate) moved_from: Option<String>,
}

impl Store {
    /// Every tenant of the installation, for its directory and its operator.
    pub(crate) async fn tenants(&self) -> Result<Vec<TenantRow>, DbError> {
        db::query("SELECT * FROM tenants ORDER BY created_at, name")
            .fetch_all(self.db().read(Across::Directory))
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The scope's tenant.
    pub(crate) async fn tenant(&self, scope: &TenantScope) -> Result<Option<TenantRow>, DbError> {
        let row = db::query("SELECT * FROM tenants WHERE name = $1")
            .bind(scope.tenant().as_str())
            .fetch_optional(self.db().read(scope))
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The tenant that devices call so: who calls is not known yet.
    pub(crate) async fn tenant_called(&self, ae_title: &str) -> Result<Option<TenantRow>, DbError> {
        let row = db::query("SELECT * FROM tenants WHERE ae_title = $1")
            .bind(ae_title)
            .fetch_optional(self.db().read(Across::Directory))
            .await?;
        row.as_ref().map(read).transpose()
    }
}

/// Makes a tenant; false when its name or its AE title is taken.
pub(crate) async fn insert(tx: &mut Connection, row: &TenantRow) -> Result<bool, DbError> {
    let done = db::query(
        "INSERT INTO tenants (name, display_name, ae_title, settings, configured, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(row.name.as_str())
    .bind(&row.display_name)
    .bind(&row.ae_title)
    .bind(json(&row.settings)?)
    .bind(row.configured)
    .bind(row.created_at)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What the configuration names has its AE title and, where it names any, its
/// rules for the archive. Its settings are read before in the same transaction.
pub(crate) async fn configure(
    tx: &mut Connection,
    scope: &TenantScope,
    ae_title: &str,
    settings: &Settings,
) -> Result<(), DbError> {
    db::query("UPDATE tenants SET ae_title = $1, settings = $2, configured = true WHERE name = $3")
        .bind(ae_title)
        .bind(json(settings)?)
        .bind(scope.tenant().as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// Nothing counts as configured until it is named again; what the configuration
/// alone made, and nobody joined, is gone.
pub(crate) async fn forget_configured(
    tx: &mut Connection,
    named: &[TenantId],
) -> Result<(), DbError> {
    let rows = db::query(
        "SELECT name FROM tenants t WHERE configured
             AND NOT EXISTS (SELECT 1 FROM memberships m WHERE m.tenant = t.name)
             AND NOT EXISTS (SELECT 1 FROM api_keys k WHERE k.tenant = t.name)",
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in &rows {
        let name = tenant_of(row, "name")?;
        if !named.contains(&name) {
            db::query("DELETE FROM tenants WHERE name = $1")
                .bind(name.as_str())
                .execute(&mut *tx)
                .await?;
        }
    }
    db::query("UPDATE tenants SET configured = false WHERE configured")
        .execute(tx)
        .await?;
    Ok(())
}

/// The scope's tenant, as the transaction sees it.
pub(crate) async fn get(
    tx: &mut Connection,
    scope: &TenantScope,
) -> Result<Option<TenantRow>, DbError> {
    let row = db::query("SELECT * FROM tenants WHERE name = $1")
        .bind(scope.tenant().as_str())
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Keeps what the tenant decided.
pub(crate) async fn update(
    tx: &mut Connection,
    scope: &TenantScope,
    display_name: &str,
    settings: &Settings,
) -> Result<(), DbError> {
    db::query("UPDATE tenants SET display_name = $1, settings = $2 WHERE name = $3")
        .bind(display_name)
        .bind(json(settings)?)
        .bind(scope.tenant().as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// Says where the tenant lives, as `at` has it; `false`: it does not live on `from`, or is
/// not being moved to `moving` any more, so that a word that comes late changes nothing.
pub(crate) async fn set_place(
    tx: &mut Connection,
    scope: &TenantScope,
    (from, moving): (&str, Option<&str>),
    at: &TenantRow,
) -> Result<bool, DbError> {
    let done = db::query(
        "UPDATE tenants SET shard = $1, moving_to = $2, moved_from = $3
         WHERE name = $4 AND coalesce(shard, $5) = $6 AND coalesce(moving_to, '') = $7",
    )
    .bind(&at.place.shard)
    .bind(at.moving_to.as_deref())
    .bind(at.moved_from.as_deref())
    .bind(scope.tenant().as_str())
    .bind(MAIN)
    .bind(from)
    .bind(moving.unwrap_or_default())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The tenants that nobody owns.
pub(crate) async fn without_owner(tx: &mut Connection) -> Result<Vec<TenantId>, DbError> {
    db::query(
        "SELECT name FROM tenants t WHERE NOT EXISTS
             (SELECT 1 FROM memberships m WHERE m.tenant = t.name AND m.role = 'owner')
         ORDER BY created_at, rowid",
    )
    .fetch_all(tx)
    .await?
    .iter()
    .map(|row| tenant_of(row, "name"))
    .collect()
}

fn read(row: &Row) -> Result<TenantRow, DbError> {
    let shard: Option<String> = row.try_get("shard")?;
    let moving_to: Option<String> = row.try_get("moving_to")?;
    let moved_from: Option<String> = row.try_get("moved_from")?;
    Ok(TenantRow {
        name: tenant_of(row, "name")?,
        display_name: row.try_get("display_name")?,
        ae_title: row.try_get("ae_title")?,
        settings: json_of(row, "settings")?,
        configured: row.try_get("configured")?,
        created_at: row.try_get("created_at")?,
        place: Place {
            shard: shard.unwrap_or_else(|| MAIN.to_owned()),
            // Until nothing of it is left where it was.
            is_moving: moving_to.is_some() || moved_from.is_some(),
        },
        moving_to,
        moved_from,
    })
}
