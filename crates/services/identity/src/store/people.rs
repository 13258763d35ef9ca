//! People, by their id or their address.

use hilum_contracts::ids::PersonId;
use hilum_platform::db::{self, Across, Connection, DbError, Row};

use super::{Store, new_addresses, parsed};
use crate::domain::text::fold;

/// A person.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: PersonId,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) email_verified: bool,
    /// May not sign in before the address is verified.
    pub(crate) must_verify: bool,
    /// PHC string.
    pub(crate) password: Option<String>,
}

impl Store {
    /// Whether anybody exists.
    pub(crate) async fn has_people(&self) -> Result<bool, DbError> {
        db::query_scalar("SELECT EXISTS (SELECT 1 FROM people)")
            .fetch_one(self.db().read(Across::People))
            .await
    }

    /// The person with an address, as `platform::email` writes it.
    pub(crate) async fn person_by_email(&self, email: &str) -> Result<Option<Person>, DbError> {
        let row = db::query("SELECT * FROM people WHERE email = $1")
            .bind(email)
            .fetch_optional(self.db().read(Across::People))
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// A person.
    pub(crate) async fn person(&self, id: PersonId) -> Result<Option<Person>, DbError> {
        let row = db::query("SELECT * FROM people WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.db().read(Across::People))
            .await?;
        row.as_ref().map(read).transpose()
    }
}

/// Whether anybody exists, as the transaction sees it.
pub(crate) async fn any(tx: &mut Connection) -> Result<bool, DbError> {
    db::query_scalar("SELECT EXISTS (SELECT 1 FROM people)")
        .fetch_one(tx)
        .await
}

/// The person with an address, as the transaction sees it.
pub(crate) async fn by_email(tx: &mut Connection, email: &str) -> Result<Option<Person>, DbError> {
    let row = db::query("SELECT * FROM people WHERE email = $1")
        .bind(email)
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Makes a person; false when the address is taken.
pub(crate) async fn insert(
    tx: &mut Connection,
    person: &Person,
    now: i64,
) -> Result<bool, DbError> {
    let done = db::query(
        "INSERT INTO people (id, email, name, email_verified, must_verify, password, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email) DO NOTHING",
    )
    .bind(person.id.to_string())
    .bind(&person.email)
    .bind(&person.name)
    .bind(person.email_verified)
    .bind(person.must_verify)
    .bind(&person.password)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a person another password. An address that was asked for with the one
/// before is withdrawn: it may have been somebody else who asked.
pub(crate) async fn set_password(
    tx: &mut Connection,
    person: PersonId,
    password: &str,
) -> Result<(), DbError> {
    new_addresses::withdraw(tx, person).await?;
    db::query("UPDATE people SET password = $1 WHERE id = $2")
        .bind(password)
        .bind(person.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// The person showed that `email` reaches them; false when it is theirs no
/// longer.
pub(crate) async fn verified(
    tx: &mut Connection,
    person: PersonId,
    email: &str,
) -> Result<bool, DbError> {
    let done = db::query(
        "UPDATE people SET email_verified = true, must_verify = false WHERE id = $1 AND email = $2",
    )
    .bind(person.to_string())
    .bind(email)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a person another name, wherever they are listed.
pub(crate) async fn rename(
    tx: &mut Connection,
    person: &Person,
    name: &str,
) -> Result<(), DbError> {
    db::query("UPDATE people SET name = $1 WHERE id = $2")
        .bind(name)
        .bind(person.id.to_string())
        .execute(&mut *tx)
        .await?;
    db::query("UPDATE memberships SET sort = $1, search = $2 WHERE person = $3")
        .bind(fold(name))
        .bind(search_text(name, &person.email))
        .bind(person.id.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// Gives a person another address, which they showed to be theirs, wherever they
/// are listed; the one until now, or nothing when somebody else has the other.
pub(crate) async fn readdress(
    tx: &mut Connection,
    person: PersonId,
    email: &str,
) -> Result<Option<String>, DbError> {
    if by_email(tx, email).await?.is_some() {
        return Ok(None);
    }
    let row = db::query("SELECT * FROM people WHERE id = $1")
        .bind(person.to_string())
        .fetch_one(&mut *tx)
        .await?;
    let before = read(&row)?;
    db::query(
        "UPDATE people SET email = $1, email_verified = true, must_verify = false WHERE id = $2",
    )
    .bind(email)
    .bind(person.to_string())
    .execute(&mut *tx)
    .await?;
    db::query("UPDATE memberships SET search = $1 WHERE person = $2")
        .bind(search_text(&before.name, email))
        .bind(person.to_string())
        .execute(tx)
        .await?;
    Ok(Some(before.email))
}

/// Deletes a person who belongs to no tenant any more, with their sessions.
pub(crate) async fn delete_if_nowhere(
    tx: &mut Connection,
    person: PersonId,
) -> Result<(), DbError> {
    db::query(
        "DELETE FROM people WHERE id = $1
         AND NOT EXISTS (SELECT 1 FROM memberships WHERE person = $1)",
    )
    .bind(person.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

/// What a search in a list of people looks through.
pub(super) fn search_text(name: &str, email: &str) -> String {
    format!("{} {}", fold(name), fold(email))
}

pub(super) fn read(row: &Row) -> Result<Person, DbError> {
    Ok(Person {
        id: parsed(row, "id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        email_verified: row.try_get("email_verified")?,
        must_verify: row.try_get("must_verify")?,
        password: row.try_get("password")?,
    })
}
