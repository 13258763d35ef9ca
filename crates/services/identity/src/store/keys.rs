//! API keys.

use hilum_contracts::access::{Action, Role};
use hilum_contracts::ids::{ApiKeyId, TenantId};
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::scope::TenantScope;

use super::{Store, json, parsed, tenant_of};

/// A key as a list shows it.
#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) id: ApiKeyId,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) limited_to: Option<Vec<Action>>,
    pub(crate) created_by: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) used_at: Option<i64>,
    pub(crate) used_from: Option<String>,
}

/// A key as its door needs it.
#[derive(Clone, Debug)]
pub(crate) struct KeyAtDoor {
    pub(crate) tenant: TenantId,
    pub(crate) hash: Vec<u8>,
    pub(crate) row: KeyRow,
}

impl Store {
    /// The key of an id, whatever the tenant: its secret shows whether who asks
    /// may know of it.
    pub(crate) async fn key(&self, id: ApiKeyId, now: i64) -> Result<Option<KeyAtDoor>, DbError> {
        let row = db::query(
            "SELECT * FROM api_keys WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(id.to_string())
        .bind(now)
        .fetch_optional(self.db().read(Across::People))
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(KeyAtDoor {
            tenant: tenant_of(&row, "tenant")?,
            hash: row.try_get("hash")?,
            row: read(&row)?,
        }))
    }

    /// What these keys of the tenant are called.
    pub(crate) async fn key_names(
        &self,
        scope: &TenantScope,
        ids: &[ApiKeyId],
    ) -> Result<Vec<(ApiKeyId, String)>, DbError> {
        db::query(
            db::each(
"SELECT id, name FROM api_keys
             WHERE tenant = $1 AND id IN (SELECT value FROM json_each($2))",
"SELECT id, name FROM api_keys
             WHERE tenant = $1 AND id IN (SELECT value FROM json_array_elements_text($2::json) AS one (value))",
),
        )
        .bind(scope.tenant().as_str())
        .bind(json(&ids)?)
        .fetch_all(self.db().read(scope))
        .await?
        .iter()
        .map(|row| Ok((parsed(row, "id")?, row.try_get("name")?)))
        .collect()
    }

    /// Remembers that a key was used.
    pub(crate) async fn key_used(
        &self,
        scope: &TenantScope,
        id: ApiKeyId,
        now: i64,
        from: &str,
    ) -> Result<(), DbError> {
        let mut tx = self.db().begin(scope).await?;
        db::query("UPDATE api_keys SET used_at = $1, used_from = $2 WHERE id = $3 AND tenant = $4")
            .bind(now)
            .bind(from)
            .bind(id.to_string())
            .bind(scope.tenant().as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Keys, the newest first, after one.
    pub(crate) async fn keys(
        &self,
        scope: &TenantScope,
        q: &str,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<KeyRow>, DbError> {
        // Ids are ordered by time (UUID version 7).
        db::query(db::each(
            "SELECT * FROM api_keys WHERE tenant = $1 AND ($2 IS NULL OR id < $2)
                 AND ($3 = '' OR instr(lower(name), lower($3)) > 0)
             ORDER BY id DESC LIMIT $4",
            "SELECT * FROM api_keys WHERE tenant = $1 AND ($2 IS NULL OR id < $2)
                 AND ($3 = '' OR strpos(lower(name), lower($3)) > 0)
             ORDER BY id DESC LIMIT $4",
        ))
        .bind(scope.tenant().as_str())
        .bind(after.map(|id| id.to_string()))
        .bind(q.trim())
        .bind(limit)
        .fetch_all(self.db().read(scope))
        .await?
        .iter()
        .map(read)
        .collect()
    }
}

/// Keeps a key; false when the tenant has as many as it may.
pub(crate) async fn insert(
    tx: &mut Connection,
    scope: &TenantScope,
    row: &KeyRow,
    hash: &[u8],
    most: u32,
) -> Result<bool, DbError> {
    let limited_to = row.limited_to.as_ref().map(json).transpose()?;
    let done = db::query(
        "INSERT INTO api_keys (id, tenant, name, role, limited_to, hash, created_by, created_at,
             expires_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
         WHERE (SELECT COUNT(*) FROM api_keys WHERE tenant = $2) < $10",
    )
    .bind(row.id.to_string())
    .bind(scope.tenant().as_str())
    .bind(&row.name)
    .bind(row.role.name())
    .bind(limited_to)
    .bind(hash)
    .bind(&row.created_by)
    .bind(row.created_at)
    .bind(row.expires_at)
    .bind(most)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Revokes a key; whether there was one, and its role.
pub(crate) async fn delete(
    tx: &mut Connection,
    scope: &TenantScope,
    id: ApiKeyId,
) -> Result<bool, DbError> {
    let done = db::query("DELETE FROM api_keys WHERE id = $1 AND tenant = $2")
        .bind(id.to_string())
        .bind(scope.tenant().as_str())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &Row) -> Result<KeyRow, DbError> {
    let limited: Option<String> = row.try_get("limited_to")?;
    let limited_to = limited
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| DbError::Decode(Box::new(error)))?;
    Ok(KeyRow {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        role: parsed(row, "role")?,
        limited_to,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        used_at: row.try_get("used_at")?,
        used_from: row.try_get("used_from")?,
    })
}
