//! Emergency access that people took, and its reviews.

use hilum_contracts::ids::{BreakGlassId, PersonId, SessionId, TenantId};
use hilum_platform::db::{self, Across, Connection, DbError, On, Row};
use hilum_platform::scope::TenantScope;

use super::{Store, parsed, tenant_of};

/// Emergency access.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) id: BreakGlassId,
    pub(crate) person: PersonId,
    pub(crate) person_name: String,
    pub(crate) session: SessionId,
    /// Sealed.
    pub(crate) reason: Vec<u8>,
    pub(crate) address: String,
    pub(crate) taken_at: i64,
    pub(crate) until: i64,
    pub(crate) reviewed_at: Option<i64>,
    pub(crate) reviewed_by: Option<String>,
    /// Sealed.
    pub(crate) review: Option<Vec<u8>>,
}

impl Access {
    /// Its words, sealed.
    pub(crate) fn words(self) -> impl Iterator<Item = (Words, Vec<u8>)> {
        let review = self.review.map(|review| (Words::Review, review));
        [(Words::Reason, self.reason)].into_iter().chain(review)
    }
}

/// Words of people that are kept sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Why it was taken.
    Reason,
    /// What its review found.
    Review,
}

impl Words {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Review => "review",
        }
    }
}

impl Store {
    /// Emergency accesses, the newest first, after one.
    pub(crate) async fn accesses(
        &self,
        scope: &TenantScope,
        after: Option<BreakGlassId>,
        limit: u32,
    ) -> Result<Vec<Access>, DbError> {
        db::query(
            "SELECT * FROM break_glass WHERE tenant = $1 AND ($2 IS NULL OR id < $2)
             ORDER BY id DESC LIMIT $3",
        )
        .bind(scope.tenant().as_str())
        .bind(after.map(|id| id.to_string()))
        .bind(limit)
        .fetch_all(self.db().read(scope))
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// Words of any tenant that are kept in clear.
    pub(crate) async fn unsealed_words(
        &self,
        limit: u32,
    ) -> Result<Vec<(TenantId, BreakGlassId, Words, String)>, DbError> {
        let rows = db::query(
            "SELECT id, tenant, 'reason' AS kind, reason AS text FROM break_glass
                 WHERE sealed_reason IS NULL
             UNION ALL SELECT id, tenant, 'review', review FROM break_glass
                 WHERE sealed_review IS NULL AND review IS NOT NULL
             LIMIT $1",
        )
        .bind(limit)
        .fetch_all(self.db().read(Across::People))
        .await?;
        rows.iter()
            .map(|row| {
                let kind: String = row.try_get("kind")?;
                let words = match kind.as_str() {
                    "reason" => Words::Reason,
                    _ => Words::Review,
                };
                let (tenant, id) = (tenant_of(row, "tenant")?, parsed(row, "id")?);
                Ok((tenant, id, words, row.try_get("text")?))
            })
            .collect()
    }

    /// An access.
    pub(crate) async fn access(
        &self,
        scope: &TenantScope,
        id: BreakGlassId,
    ) -> Result<Option<Access>, DbError> {
        get(self.db().read(scope), scope, id).await
    }

    /// How many wait for a review.
    pub(crate) async fn unreviewed(&self, scope: &TenantScope) -> Result<i64, DbError> {
        db::query_scalar(
            "SELECT COUNT(*) FROM break_glass WHERE tenant = $1 AND reviewed_at IS NULL",
        )
        .bind(scope.tenant().as_str())
        .fetch_one(self.db().read(scope))
        .await
    }
}

/// Keeps an access.
pub(crate) async fn insert(
    tx: &mut Connection,
    scope: &TenantScope,
    access: &Access,
) -> Result<(), DbError> {
    db::query(
        "INSERT INTO break_glass (id, tenant, person, person_name, session, reason, sealed_reason,
             address, taken_at, until)
         VALUES ($1, $2, $3, $4, $5, '', $6, $7, $8, $9)",
    )
    .bind(access.id.to_string())
    .bind(scope.tenant().as_str())
    .bind(access.person.to_string())
    .bind(&access.person_name)
    .bind(access.session.to_string())
    .bind(&access.reason)
    .bind(&access.address)
    .bind(access.taken_at)
    .bind(access.until)
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends the access of a session now; whether there was one.
pub(crate) async fn end(
    tx: &mut Connection,
    scope: &TenantScope,
    session: SessionId,
    now: i64,
) -> Result<bool, DbError> {
    let done = db::query(
        "UPDATE break_glass SET until = $1 WHERE tenant = $2 AND session = $3 AND until > $1",
    )
    .bind(now)
    .bind(scope.tenant().as_str())
    .bind(session.to_string())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// An access, as the transaction sees it.
pub(crate) async fn get<'c>(
    on: impl Into<On<'c>>,
    scope: &TenantScope,
    id: BreakGlassId,
) -> Result<Option<Access>, DbError> {
    let row = db::query("SELECT * FROM break_glass WHERE tenant = $1 AND id = $2")
        .bind(scope.tenant().as_str())
        .bind(id.to_string())
        .fetch_optional(on)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Keeps a review; false when there is one.
pub(crate) async fn review(
    tx: &mut Connection,
    scope: &TenantScope,
    id: BreakGlassId,
    by: &str,
    sealed: &[u8],
    now: i64,
) -> Result<bool, DbError> {
    let done = db::query(
        "UPDATE break_glass SET reviewed_at = $1, reviewed_by = $2, sealed_review = $3
         WHERE tenant = $4 AND id = $5 AND reviewed_at IS NULL",
    )
    .bind(now)
    .bind(by)
    .bind(sealed)
    .bind(scope.tenant().as_str())
    .bind(id.to_string())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps other words, sealed, and none in clear.
pub(crate) async fn set_words(
    tx: &mut Connection,
    scope: &TenantScope,
    id: BreakGlassId,
    words: Words,
    sealed: &[u8],
) -> Result<(), DbError> {
    let sql = match words {
        Words::Reason => {
            "UPDATE break_glass SET sealed_reason = $1, reason = '' WHERE tenant = $2 AND id = $3"
        }
        Words::Review => {
            "UPDATE break_glass SET sealed_review = $1, review = NULL WHERE tenant = $2 AND id = $3"
        }
    };
    db::query(sql)
        .bind(sealed)
        .bind(scope.tenant().as_str())
        .bind(id.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Access, DbError> {
    Ok(Access {
        id: parsed(row, "id")?,
        person: parsed(row, "person")?,
        person_name: row.try_get("person_name")?,
        session: parsed(row, "session")?,
        reason: row.try_get("sealed_reason")?,
        address: row.try_get("address")?,
        taken_at: row.try_get("taken_at")?,
        until: row.try_get("until")?,
        reviewed_at: row.try_get("reviewed_at")?,
        reviewed_by: row.try_get("reviewed_by")?,
        review: row.try_get("sealed_review")?,
    })
}
