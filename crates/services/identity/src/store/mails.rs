//! Mails on their way. A row says what is to be told and to whom; the text,
//! with its link, is made when it is sent.

use hilum_contracts::ids::{PersonId, TenantId};
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use uuid::Uuid;

use super::{Store, parsed, tenant_of};

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mail {
    /// A link to give oneself another password.
    Reset(PersonId),
    /// A link to show that an address is one's own.
    Verify(PersonId),
    /// Somebody tried to make an account with an address that has one.
    HasAccount(PersonId),
    /// A password was changed.
    PasswordChanged(PersonId),
    /// A link to show that an address that one wants instead is one's own.
    NewAddress(PersonId),
    /// To the address until now: another one was asked for.
    AddressAsked(PersonId, String),
    /// To the address until now: another one took its place.
    AddressChanged(PersonId, String),
    /// An invitation to a tenant.
    Invitation(TenantId, Uuid),
    /// Emergency access was taken in a tenant that the person answers for.
    BreakGlass(TenantId, PersonId),
}

impl Mail {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Reset(_) => "reset",
            Self::Verify(_) => "verify",
            Self::HasAccount(_) => "has-account",
            Self::PasswordChanged(_) => "password-changed",
            Self::NewAddress(_) => "new-address",
            Self::AddressAsked(..) => "address-asked",
            Self::AddressChanged(..) => "address-changed",
            Self::Invitation(..) => "invitation",
            Self::BreakGlass(..) => "break-glass",
        }
    }

    const fn person(&self) -> Option<PersonId> {
        match self {
            Self::Reset(person)
            | Self::Verify(person)
            | Self::HasAccount(person)
            | Self::PasswordChanged(person)
            | Self::NewAddress(person)
            | Self::AddressAsked(person, _)
            | Self::AddressChanged(person, _)
            | Self::BreakGlass(_, person) => Some(*person),
            Self::Invitation(..) => None,
        }
    }

    /// Where it goes, if not to the person's address of now.
    fn address(&self) -> Option<&str> {
        match self {
            Self::AddressAsked(_, address) | Self::AddressChanged(_, address) => Some(address),
            _ => None,
        }
    }
}

/// A mail that is due.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) id: i64,
    pub(crate) mail: Mail,
    pub(crate) attempts: u32,
    pub(crate) ends_at: i64,
}

impl Store {
    /// Mails that are due, the oldest first.
    pub(crate) async fn mails_due(&self, now: i64, limit: u32) -> Result<Vec<Due>, DbError> {
        db::query("SELECT * FROM mails WHERE next_at <= $1 ORDER BY next_at, id LIMIT $2")
            .bind(now)
            .bind(limit)
            .fetch_all(self.db().read(Across::People))
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

/// Puts a mail on its way, in the place of one to the same person about the
/// same. It is given up after `ends_at`.
pub(crate) async fn insert(
    tx: &mut Connection,
    mail: &Mail,
    now: i64,
    ends_at: i64,
) -> Result<(), DbError> {
    let (tenant, invitation) = match mail {
        Mail::Invitation(tenant, invitation) => (Some(tenant), Some(invitation.to_string())),
        Mail::BreakGlass(tenant, _) => (Some(tenant), None),
        _ => (None, None),
    };
    let person = mail.person().map(|person| person.to_string());
    if tenant.is_none() {
        db::query(
            "DELETE FROM mails WHERE person = $1 AND kind = $2 AND address IS NOT DISTINCT FROM $3",
        )
        .bind(&person)
        .bind(mail.kind())
        .bind(mail.address())
        .execute(&mut *tx)
        .await?;
    }
    db::query(
        "INSERT INTO mails (kind, person, tenant, invitation, attempts, next_at, ends_at, address)
         VALUES ($1, $2, $3, $4, 0, $5, $6, $7)",
    )
    .bind(mail.kind())
    .bind(person)
    .bind(tenant.map(TenantId::as_str))
    .bind(invitation)
    .bind(now)
    .bind(ends_at)
    .bind(mail.address())
    .execute(tx)
    .await?;
    Ok(())
}

/// A mail was sent, or given up.
pub(crate) async fn delete(tx: &mut Connection, id: i64) -> Result<(), DbError> {
    db::query("DELETE FROM mails WHERE id = $1")
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}

/// A mail could not be sent and is tried again.
pub(crate) async fn retry(tx: &mut Connection, id: i64, next_at: i64) -> Result<(), DbError> {
    db::query("UPDATE mails SET attempts = attempts + 1, next_at = $1 WHERE id = $2")
        .bind(next_at)
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Due, DbError> {
    let kind: String = row.try_get("kind")?;
    let mail = match kind.as_str() {
        "reset" => Mail::Reset(parsed(row, "person")?),
        "verify" => Mail::Verify(parsed(row, "person")?),
        "has-account" => Mail::HasAccount(parsed(row, "person")?),
        "password-changed" => Mail::PasswordChanged(parsed(row, "person")?),
        "new-address" => Mail::NewAddress(parsed(row, "person")?),
        "address-asked" => Mail::AddressAsked(parsed(row, "person")?, row.try_get("address")?),
        "address-changed" => Mail::AddressChanged(parsed(row, "person")?, row.try_get("address")?),
        "invitation" => Mail::Invitation(tenant_of(row, "tenant")?, parsed(row, "invitation")?),
        "break-glass" => Mail::BreakGlass(tenant_of(row, "tenant")?, parsed(row, "person")?),
        _ => return Err(DbError::Decode("there is no such kind of mail".into())),
    };
    Ok(Due {
        id: row.try_get("id")?,
        mail,
        attempts: row.try_get("attempts")?,
        ends_at: row.try_get("ends_at")?,
    })
}
