//! One-time tokens: for the first person, for a new password, for an address.

use hilum_contracts::ids::PersonId;
use hilum_platform::db::{self, Across, Connection, DbError};

use super::{Store, parsed};
use crate::secret::Hash;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To make the first person of the installation.
    SetUp,
    /// To give oneself another password.
    Reset,
    /// To show that an address is one's own.
    Verify,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::SetUp => "set-up",
            Self::Reset => "reset",
            Self::Verify => "verify",
        }
    }
}

impl Store {
    /// Whose a token is that was not used yet.
    pub(crate) async fn token(
        &self,
        purpose: Purpose,
        hash: &Hash,
        now: i64,
    ) -> Result<Option<PersonId>, DbError> {
        let row = db::query(
            "SELECT person FROM tokens WHERE hash = $1 AND kind = $2 AND expires_at > $3
                 AND person IS NOT NULL",
        )
        .bind(hash.as_slice())
        .bind(purpose.name())
        .bind(now)
        .fetch_optional(self.db().read(Across::People))
        .await?;
        row.as_ref().map(|row| parsed(row, "person")).transpose()
    }
}

/// Keeps a token that takes the place of the person's others for the same.
pub(crate) async fn replace(
    tx: &mut Connection,
    purpose: Purpose,
    hash: &Hash,
    whose: Option<(PersonId, &str)>,
    expires_at: i64,
) -> Result<(), DbError> {
    let person = whose.map(|(person, _)| person.to_string());
    clear(tx, purpose, whose.map(|(person, _)| person)).await?;
    db::query(
        "INSERT INTO tokens (hash, kind, person, email, expires_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(hash.as_slice())
    .bind(purpose.name())
    .bind(person)
    .bind(whose.map(|(_, email)| email))
    .bind(expires_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// Deletes a person's tokens for something, or nobody's.
pub(crate) async fn clear(
    tx: &mut Connection,
    purpose: Purpose,
    person: Option<PersonId>,
) -> Result<(), DbError> {
    db::query("DELETE FROM tokens WHERE kind = $1 AND person IS NOT DISTINCT FROM $2")
        .bind(purpose.name())
        .bind(person.map(|person| person.to_string()))
        .execute(tx)
        .await?;
    Ok(())
}

/// Uses up the first person's token; whether it was one.
pub(crate) async fn take_set_up(
    tx: &mut Connection,
    hash: &Hash,
    now: i64,
) -> Result<bool, DbError> {
    let done =
        db::query("DELETE FROM tokens WHERE hash = $1 AND kind = 'set-up' AND expires_at > $2")
            .bind(hash.as_slice())
            .bind(now)
            .execute(tx)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Uses up a person's token; whose it was, and for which address.
pub(crate) async fn take(
    tx: &mut Connection,
    purpose: Purpose,
    hash: &Hash,
    now: i64,
) -> Result<Option<(PersonId, String)>, DbError> {
    let row = db::query(
        "DELETE FROM tokens WHERE hash = $1 AND kind = $2 AND expires_at > $3
             AND person IS NOT NULL AND email IS NOT NULL
         RETURNING person, email",
    )
    .bind(hash.as_slice())
    .bind(purpose.name())
    .bind(now)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((parsed(&row, "person")?, row.try_get("email")?)))
}

/// Deletes what ended by time.
pub(crate) async fn upkeep(tx: &mut Connection, now: i64) -> Result<(), DbError> {
    db::query("DELETE FROM tokens WHERE expires_at <= $1")
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}
