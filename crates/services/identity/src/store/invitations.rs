//! Invitations that wait for an answer.

use hilum_contracts::access::Role;
use hilum_contracts::ids::TenantId;
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::scope::TenantScope;
use uuid::Uuid;

use super::{Store, parsed, tenant_of};
use crate::secret::Hash;

/// An invitation.
#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    pub(crate) id: Uuid,
    pub(crate) tenant: TenantId,
    pub(crate) email: String,
    pub(crate) role: Role,
    /// Whether its link went to the address, so that who has it reads there.
    pub(crate) mailed: bool,
    pub(crate) invited_by: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
}

impl Store {
    /// The invitation of a token.
    pub(crate) async fn invitation(
        &self,
        hash: &Hash,
        now: i64,
    ) -> Result<Option<Invitation>, DbError> {
        let row = db::query("SELECT * FROM invitations WHERE hash = $1 AND expires_at > $2")
            .bind(hash.as_slice())
            .bind(now)
            .fetch_optional(self.db().read(Across::People))
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Invitations, the newest first, after one.
    pub(crate) async fn invitations(
        &self,
        scope: &TenantScope,
        q: &str,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Invitation>, DbError> {
        db::query(db::each(
            "SELECT * FROM invitations WHERE tenant = $1 AND ($2 IS NULL OR id < $2)
                 AND ($3 = '' OR instr(email, lower($3)) > 0)
             ORDER BY id DESC LIMIT $4",
            "SELECT * FROM invitations WHERE tenant = $1 AND ($2 IS NULL OR id < $2)
                 AND ($3 = '' OR strpos(email, lower($3)) > 0)
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

/// Keeps an invitation in the place of an earlier one to the same address;
/// false when the tenant has as many as it may.
pub(crate) async fn replace(
    tx: &mut Connection,
    scope: &TenantScope,
    invitation: &Invitation,
    hash: Option<&Hash>,
    most: u32,
) -> Result<bool, DbError> {
    db::query("DELETE FROM invitations WHERE tenant = $1 AND email = $2")
        .bind(scope.tenant().as_str())
        .bind(&invitation.email)
        .execute(&mut *tx)
        .await?;
    let done = db::query(
        "INSERT INTO invitations (id, tenant, email, role, hash, mailed, invited_by, created_at,
             expires_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
         WHERE (SELECT COUNT(*) FROM invitations WHERE tenant = $2) < $10",
    )
    .bind(invitation.id.to_string())
    .bind(scope.tenant().as_str())
    .bind(&invitation.email)
    .bind(invitation.role.name())
    .bind(hash.map(Hash::as_slice))
    .bind(invitation.mailed)
    .bind(&invitation.invited_by)
    .bind(invitation.created_at)
    .bind(invitation.expires_at)
    .bind(most)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Withdraws an invitation; whether there was one.
pub(crate) async fn delete(
    tx: &mut Connection,
    scope: &TenantScope,
    id: Uuid,
) -> Result<bool, DbError> {
    let done = db::query("DELETE FROM invitations WHERE tenant = $1 AND id = $2")
        .bind(scope.tenant().as_str())
        .bind(id.to_string())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The invitation of an id, as the transaction sees it.
pub(crate) async fn get(
    tx: &mut Connection,
    scope: &TenantScope,
    id: Uuid,
) -> Result<Option<Invitation>, DbError> {
    let row = db::query("SELECT * FROM invitations WHERE tenant = $1 AND id = $2")
        .bind(scope.tenant().as_str())
        .bind(id.to_string())
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Uses an invitation up.
pub(crate) async fn take(
    tx: &mut Connection,
    hash: &Hash,
    now: i64,
) -> Result<Option<Invitation>, DbError> {
    let row = db::query("DELETE FROM invitations WHERE hash = $1 AND expires_at > $2 RETURNING *")
        .bind(hash.as_slice())
        .bind(now)
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Uses up the invitation of an address that somebody showed to be theirs.
pub(crate) async fn take_of(
    tx: &mut Connection,
    scope: &TenantScope,
    email: &str,
    now: i64,
) -> Result<Option<Invitation>, DbError> {
    let row = db::query(
        "DELETE FROM invitations WHERE tenant = $1 AND email = $2 AND expires_at > $3 RETURNING *",
    )
    .bind(scope.tenant().as_str())
    .bind(email)
    .bind(now)
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Gives an invitation the token that its mail carries.
pub(crate) async fn set_hash(
    tx: &mut Connection,
    scope: &TenantScope,
    id: Uuid,
    hash: &Hash,
) -> Result<(), DbError> {
    db::query("UPDATE invitations SET hash = $1 WHERE tenant = $2 AND id = $3")
        .bind(hash.as_slice())
        .bind(scope.tenant().as_str())
        .bind(id.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// Deletes what ended by time.
pub(crate) async fn upkeep(tx: &mut Connection, now: i64) -> Result<(), DbError> {
    db::query("DELETE FROM invitations WHERE expires_at <= $1")
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Invitation, DbError> {
    Ok(Invitation {
        id: parsed(row, "id")?,
        tenant: tenant_of(row, "tenant")?,
        email: row.try_get("email")?,
        role: parsed(row, "role")?,
        mailed: row.try_get("mailed")?,
        invited_by: row.try_get("invited_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}
