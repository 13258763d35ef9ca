//! OpenID providers of tenants, and who their subjects are here.

use hilum_contracts::ids::{PersonId, TenantId};
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::scope::TenantScope;
use uuid::Uuid;

use super::{Store, parsed, tenant_of};

/// A provider.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) id: Uuid,
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// Sealed.
    pub(crate) secret: Vec<u8>,
    pub(crate) created_at: i64,
}

impl Store {
    /// A provider, for who begins to sign in with it: whose it is is not known
    /// before.
    pub(crate) async fn provider(&self, id: Uuid) -> Result<Option<Provider>, DbError> {
        let row = db::query("SELECT * FROM providers WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.db().read(Across::Directory))
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The providers of a tenant.
    pub(crate) async fn providers(&self, scope: &TenantScope) -> Result<Vec<Provider>, DbError> {
        db::query("SELECT * FROM providers WHERE tenant = $1 ORDER BY name, id")
            .bind(scope.tenant().as_str())
            .fetch_all(self.db().read(scope))
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The providers of every tenant, for the page where people sign in.
    pub(crate) async fn all_providers(&self, limit: u32) -> Result<Vec<Provider>, DbError> {
        db::query("SELECT * FROM providers ORDER BY name, id LIMIT $1")
            .bind(limit)
            .fetch_all(self.db().read(Across::Directory))
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// Who a subject of an issuer is.
    pub(crate) async fn subject(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<PersonId>, DbError> {
        let row = db::query("SELECT person FROM subjects WHERE issuer = $1 AND subject = $2")
            .bind(issuer)
            .bind(subject)
            .fetch_optional(self.db().read(Across::Directory))
            .await?;
        row.as_ref().map(|row| parsed(row, "person")).transpose()
    }
}

/// Keeps a provider; false when the tenant has it, or as many as it may.
pub(crate) async fn insert(
    tx: &mut Connection,
    scope: &TenantScope,
    provider: &Provider,
    most: u32,
) -> Result<bool, DbError> {
    let done = db::query(
        "INSERT INTO providers (id, tenant, name, issuer, client_id, secret, created_at)
         SELECT $1, $2, $3, $4, $5, $6, $7
         WHERE (SELECT COUNT(*) FROM providers WHERE tenant = $2) < $8
         ON CONFLICT DO NOTHING",
    )
    .bind(provider.id.to_string())
    .bind(scope.tenant().as_str())
    .bind(&provider.name)
    .bind(&provider.issuer)
    .bind(&provider.client_id)
    .bind(&provider.secret)
    .bind(provider.created_at)
    .bind(most)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Changes a provider's name or secret; whether there is one.
pub(crate) async fn update(
    tx: &mut Connection,
    scope: &TenantScope,
    id: Uuid,
    name: Option<&str>,
    secret: Option<&[u8]>,
) -> Result<bool, DbError> {
    let done = db::query(
        "UPDATE providers SET name = COALESCE($1, name), secret = COALESCE($2, secret)
         WHERE id = $3 AND tenant = $4",
    )
    .bind(name)
    .bind(secret)
    .bind(id.to_string())
    .bind(scope.tenant().as_str())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a provider, and ends the sessions that it vouched for.
pub(crate) async fn delete(
    tx: &mut Connection,
    scope: &TenantScope,
    id: Uuid,
) -> Result<bool, DbError> {
    let done = db::query("DELETE FROM providers WHERE id = $1 AND tenant = $2")
        .bind(id.to_string())
        .bind(scope.tenant().as_str())
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    db::query("DELETE FROM sessions WHERE provider = $1 AND tenant = $2")
        .bind(id.to_string())
        .bind(scope.tenant().as_str())
        .execute(tx)
        .await?;
    Ok(true)
}

/// Remembers who a subject of an issuer is.
pub(crate) async fn link(
    tx: &mut Connection,
    issuer: &str,
    subject: &str,
    person: PersonId,
) -> Result<(), DbError> {
    db::query("INSERT INTO subjects (issuer, subject, person) VALUES ($1, $2, $3)")
        .bind(issuer)
        .bind(subject)
        .bind(person.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Provider, DbError> {
    Ok(Provider {
        id: parsed(row, "id")?,
        tenant: tenant_of(row, "tenant")?,
        name: row.try_get("name")?,
        issuer: row.try_get("issuer")?,
        client_id: row.try_get("client_id")?,
        secret: row.try_get("secret")?,
        created_at: row.try_get("created_at")?,
    })
}
