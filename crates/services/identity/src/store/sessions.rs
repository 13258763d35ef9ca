//! Sessions, by the hash of their token, by their id, by their person; and the
//! browsers that a person signed in from before.

use hilum_contracts::access::Role;
use hilum_contracts::ids::{BreakGlassId, PersonId, SessionId, TenantId};
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::scope::TenantScope;
use uuid::Uuid;

use super::{Store, parsed, tenant_of};
use crate::domain::settings::millis;
use crate::limits::{BROWSER_LIFE, BROWSERS, SESSIONS};
use crate::secret::Hash;

/// A session that goes on.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) person: PersonId,
    pub(crate) tenant: TenantId,
    pub(crate) role: Role,
    pub(crate) seen_at: i64,
    pub(crate) expires_at: i64,
    /// Whether a provider vouches for the person: in this tenant, and no other.
    pub(crate) is_vouched: bool,
    /// Emergency access that was taken in it, and until when.
    pub(crate) break_glass: Option<(BreakGlassId, i64)>,
}

/// A session as a list shows it.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    pub(crate) id: SessionId,
    pub(crate) tenant: TenantId,
    pub(crate) created_at: i64,
    pub(crate) seen_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) browser: String,
    pub(crate) address: String,
}

/// A session that begins.
pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) hash: Hash,
    pub(crate) person: PersonId,
    pub(crate) now: i64,
    pub(crate) life_ms: i64,
    pub(crate) idle_ms: i64,
    /// The provider that vouches for the person.
    pub(crate) provider: Option<Uuid>,
    pub(crate) browser: String,
    pub(crate) address: String,
}

/// Sessions that go on at `$1`, with the emergency access that was taken in each.
macro_rules! session {
    () => {
        "SELECT s.id, s.person, s.tenant, s.seen_at, s.expires_at, s.provider, m.role,
             b.id AS access, b.until
         FROM sessions s
         JOIN memberships m ON m.tenant = s.tenant AND m.person = s.person
         LEFT JOIN break_glass b ON b.session = s.id AND b.until > $1
         WHERE s.expires_at > $1 AND s.seen_at + s.idle_ms > $1"
    };
}

impl Store {
    /// The session of a token, while it goes on.
    pub(crate) async fn session(&self, hash: &Hash, now: i64) -> Result<Option<Session>, DbError> {
        const SQL: &str = concat!(session!(), " AND s.hash = $2 ORDER BY b.until DESC LIMIT 1");
        let row = db::query(SQL).bind(now).bind(hash.as_slice());
        let row = row.fetch_optional(self.db().read(Across::People)).await?;
        row.as_ref().map(read).transpose()
    }

    /// A session by its id, while it goes on.
    pub(crate) async fn session_by_id(
        &self,
        id: SessionId,
        now: i64,
    ) -> Result<Option<Session>, DbError> {
        const SQL: &str = concat!(session!(), " AND s.id = $2 ORDER BY b.until DESC LIMIT 1");
        let row = db::query(SQL).bind(now).bind(id.to_string());
        let row = row.fetch_optional(self.db().read(Across::People)).await?;
        row.as_ref().map(read).transpose()
    }

    /// Whether a session opens one organisation only, of several that its person
    /// belongs to: a provider vouched for it.
    pub(crate) async fn is_confined(&self, id: SessionId) -> Result<bool, DbError> {
        db::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sessions s WHERE s.id = $1 AND s.provider IS NOT NULL
                 AND (SELECT COUNT(*) FROM memberships m WHERE m.person = s.person) > 1)",
        )
        .bind(id.to_string())
        .fetch_one(self.db().read(Across::People))
        .await
    }

    /// Remembers that a session was used.
    pub(crate) async fn session_seen(&self, id: SessionId, now: i64) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        db::query("UPDATE sessions SET seen_at = $1 WHERE id = $2 AND seen_at < $1")
            .bind(now)
            .bind(id.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// A person's sessions that go on, wherever, the one used last ahead.
    pub(crate) async fn sessions_of(
        &self,
        person: PersonId,
        now: i64,
    ) -> Result<Vec<SessionRow>, DbError> {
        self.sessions(person, None, now).await
    }

    /// A member's sessions in the scope's tenant.
    pub(crate) async fn sessions_of_member(
        &self,
        scope: &TenantScope,
        person: PersonId,
        now: i64,
    ) -> Result<Vec<SessionRow>, DbError> {
        self.sessions(person, Some(scope.tenant()), now).await
    }

    async fn sessions(
        &self,
        person: PersonId,
        tenant: Option<&TenantId>,
        now: i64,
    ) -> Result<Vec<SessionRow>, DbError> {
        db::query(
            "SELECT id, tenant, created_at, seen_at, expires_at, browser, address FROM sessions
             WHERE person = $1 AND ($2 IS NULL OR tenant = $2)
                 AND expires_at > $3 AND seen_at + idle_ms > $3
             ORDER BY seen_at DESC LIMIT $4",
        )
        .bind(person.to_string())
        .bind(tenant.map(TenantId::as_str))
        .bind(now)
        .bind(SESSIONS)
        .fetch_all(self.db().read(Across::People))
        .await?
        .iter()
        .map(|row| {
            Ok(SessionRow {
                id: parsed(row, "id")?,
                tenant: tenant_of(row, "tenant")?,
                created_at: row.try_get("created_at")?,
                seen_at: row.try_get("seen_at")?,
                expires_at: row.try_get("expires_at")?,
                browser: row.try_get("browser")?,
                address: row.try_get("address")?,
            })
        })
        .collect()
    }

    /// Whether the person of an address signed in from this browser before.
    pub(crate) async fn knows_browser(
        &self,
        hash: &Hash,
        email: &str,
        now: i64,
    ) -> Result<bool, DbError> {
        db::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM browsers b JOIN people p ON p.id = b.person
             WHERE b.hash = $1 AND p.email = $2 AND b.used_at > $3)",
        )
        .bind(hash.as_slice())
        .bind(email)
        .bind(now - millis(BROWSER_LIFE))
        .fetch_one(self.db().read(Across::People))
        .await
    }
}

/// Begins a session of a member; of more than [`SESSIONS`] those end that were
/// used least lately.
pub(crate) async fn insert(
    tx: &mut Connection,
    scope: &TenantScope,
    new: &NewSession,
) -> Result<(), DbError> {
    db::query(
        "INSERT INTO sessions (id, hash, person, tenant, created_at, seen_at, expires_at, idle_ms,
             browser, address, provider)
         VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.id.to_string())
    .bind(new.hash.as_slice())
    .bind(new.person.to_string())
    .bind(scope.tenant().as_str())
    .bind(new.now)
    .bind(new.now + new.life_ms)
    .bind(new.idle_ms)
    .bind(&new.browser)
    .bind(&new.address)
    .bind(new.provider.map(|id| id.to_string()))
    .execute(&mut *tx)
    .await?;
    db::query(
        "DELETE FROM sessions WHERE person = $1 AND id NOT IN
             (SELECT id FROM sessions WHERE person = $1 ORDER BY seen_at DESC, id DESC LIMIT $2)",
    )
    .bind(new.person.to_string())
    .bind(SESSIONS)
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends the session of a token.
pub(crate) async fn end(tx: &mut Connection, hash: &Hash) -> Result<bool, DbError> {
    let done = db::query("DELETE FROM sessions WHERE hash = $1")
        .bind(hash.as_slice())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends one of a person's own sessions.
pub(crate) async fn end_one(
    tx: &mut Connection,
    person: PersonId,
    id: SessionId,
) -> Result<bool, DbError> {
    let done = db::query("DELETE FROM sessions WHERE person = $1 AND id = $2")
        .bind(person.to_string())
        .bind(id.to_string())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends every session of a person, but for one where `but` names it; how many.
pub(crate) async fn end_all(
    tx: &mut Connection,
    person: PersonId,
    but: Option<SessionId>,
) -> Result<u64, DbError> {
    let but = but.map(|id| id.to_string()).unwrap_or_default();
    let done = db::query("DELETE FROM sessions WHERE person = $1 AND id <> $2")
        .bind(person.to_string())
        .bind(but)
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}

/// Ends a member's sessions in the scope's tenant; how many.
pub(crate) async fn end_of_member(
    tx: &mut Connection,
    scope: &TenantScope,
    person: PersonId,
) -> Result<u64, DbError> {
    let done = db::query("DELETE FROM sessions WHERE person = $1 AND tenant = $2")
        .bind(person.to_string())
        .bind(scope.tenant().as_str())
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}

/// Whether the person signed in from this browser before; remembers that they
/// did again.
pub(crate) async fn browser_used(
    tx: &mut Connection,
    person: PersonId,
    hash: &Hash,
    now: i64,
) -> Result<bool, DbError> {
    let done = db::query("UPDATE browsers SET used_at = $1 WHERE hash = $2 AND person = $3")
        .bind(now)
        .bind(hash.as_slice())
        .bind(person.to_string())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Remembers a browser that a person signed in from.
pub(crate) async fn remember_browser(
    tx: &mut Connection,
    person: PersonId,
    hash: &Hash,
    now: i64,
) -> Result<(), DbError> {
    db::query("INSERT INTO browsers (hash, person, used_at) VALUES ($1, $2, $3)")
        .bind(hash.as_slice())
        .bind(person.to_string())
        .bind(now)
        .execute(&mut *tx)
        .await?;
    db::query(
        "DELETE FROM browsers WHERE person = $1 AND hash NOT IN
             (SELECT hash FROM browsers WHERE person = $1 ORDER BY used_at DESC LIMIT $2)",
    )
    .bind(person.to_string())
    .bind(BROWSERS)
    .execute(tx)
    .await?;
    Ok(())
}

/// Deletes what ended by time.
pub(crate) async fn upkeep(tx: &mut Connection, now: i64) -> Result<(), DbError> {
    db::query("DELETE FROM sessions WHERE expires_at <= $1 OR seen_at + idle_ms <= $1")
        .bind(now)
        .execute(&mut *tx)
        .await?;
    db::query("DELETE FROM browsers WHERE used_at <= $1")
        .bind(now - millis(BROWSER_LIFE))
        .execute(tx)
        .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Session, DbError> {
    let until: Option<i64> = row.try_get("until")?;
    let break_glass = match until {
        Some(until) => Some((parsed(row, "access")?, until)),
        None => None,
    };
    Ok(Session {
        id: parsed(row, "id")?,
        person: parsed(row, "person")?,
        tenant: tenant_of(row, "tenant")?,
        role: parsed(row, "role")?,
        seen_at: row.try_get("seen_at")?,
        expires_at: row.try_get("expires_at")?,
        is_vouched: row.try_get::<Option<String>, _>("provider")?.is_some(),
        break_glass,
    })
}
