//! Addresses that people want instead of theirs. One counts once the link that
//! was sent there was opened, and is forgotten when it was not, when it is
//! withdrawn, or when the person chooses another password.

use hilum_contracts::ids::{PersonId, SessionId};
use hilum_platform::db::{self, Across, Connection, DbError};

use super::{Store, parsed};
use crate::secret::Hash;

/// What a person asked for and has shown to be theirs.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) person: PersonId,
    pub(crate) email: String,
    /// The session that asked.
    pub(crate) session: SessionId,
}

impl Store {
    /// The address that a person waits for.
    pub(crate) async fn new_address(
        &self,
        person: PersonId,
        now: i64,
    ) -> Result<Option<String>, DbError> {
        db::query_scalar("SELECT email FROM new_addresses WHERE person = $1 AND expires_at > $2")
            .bind(person.to_string())
            .bind(now)
            .fetch_optional(self.db().read(Across::People))
            .await
    }

    /// Whose a link's token is that was not used yet.
    pub(crate) async fn new_address_of(
        &self,
        hash: &Hash,
        now: i64,
    ) -> Result<Option<PersonId>, DbError> {
        let row = db::query("SELECT person FROM new_addresses WHERE hash = $1 AND expires_at > $2")
            .bind(hash.as_slice())
            .bind(now)
            .fetch_optional(self.db().read(Across::People))
            .await?;
        row.as_ref().map(|row| parsed(row, "person")).transpose()
    }
}

/// Remembers what a person asks for, in the place of what they asked for before.
pub(crate) async fn ask(
    tx: &mut Connection,
    person: PersonId,
    email: &str,
    session: SessionId,
    expires_at: i64,
) -> Result<(), DbError> {
    db::query(
        "INSERT INTO new_addresses (person, email, session, hash, expires_at)
         VALUES ($1, $2, $3, NULL, $4)
         ON CONFLICT (person) DO UPDATE SET email = excluded.email, session = excluded.session,
             hash = NULL, expires_at = excluded.expires_at",
    )
    .bind(person.to_string())
    .bind(email)
    .bind(session.to_string())
    .bind(expires_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// Gives what a person waits for the token of its link, in the place of one
/// that was made before; the address that the link goes to.
pub(crate) async fn set_hash(
    tx: &mut Connection,
    person: PersonId,
    hash: &Hash,
    now: i64,
    expires_at: i64,
) -> Result<Option<String>, DbError> {
    db::query_scalar(
        "UPDATE new_addresses SET hash = $2, expires_at = $4
         WHERE person = $1 AND expires_at > $3 RETURNING email",
    )
    .bind(person.to_string())
    .bind(hash.as_slice())
    .bind(now)
    .bind(expires_at)
    .fetch_optional(tx)
    .await
}

/// Uses up the token of a link.
pub(crate) async fn take(
    tx: &mut Connection,
    hash: &Hash,
    now: i64,
) -> Result<Option<Shown>, DbError> {
    let row = db::query(
        "DELETE FROM new_addresses WHERE hash = $1 AND expires_at > $2
         RETURNING person, email, session",
    )
    .bind(hash.as_slice())
    .bind(now)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Shown {
        person: parsed(&row, "person")?,
        email: row.try_get("email")?,
        session: parsed(&row, "session")?,
    }))
}

/// Forgets what a person waits for; whether it was anything.
pub(crate) async fn withdraw(tx: &mut Connection, person: PersonId) -> Result<bool, DbError> {
    let done = db::query("DELETE FROM new_addresses WHERE person = $1")
        .bind(person.to_string())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes what ended by time.
pub(crate) async fn upkeep(tx: &mut Connection, now: i64) -> Result<(), DbError> {
    db::query("DELETE FROM new_addresses WHERE expires_at <= $1")
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}
