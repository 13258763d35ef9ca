//! Who belongs to a tenant, and as what.

use hilum_contracts::access::Role;
use hilum_contracts::ids::{PersonId, TenantId};
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::scope::TenantScope;

use super::people::{Person, search_text};
use super::{Store, parsed, tenant_of};
use crate::domain::text::fold;

/// A tenant that a person belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) tenant: TenantId,
    pub(crate) display_name: String,
    pub(crate) ae_title: String,
    pub(crate) role: Role,
}

/// A person as a tenant's list shows them.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: PersonId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) email_verified: bool,
    pub(crate) role: Role,
    pub(crate) since: i64,
    pub(crate) seen_at: Option<i64>,
}

/// One page: the members after a name, in the order of names. Reads the index
/// `memberships_sorted` and, for the rows that it answers only, `people`.
const PAGE: &str = "SELECT m.person, m.role, m.since, p.name, p.email, p.email_verified,
         (SELECT MAX(s.seen_at) FROM sessions s WHERE s.person = m.person AND s.tenant = m.tenant)
             AS seen_at
     FROM (SELECT tenant, sort, person, role, since FROM memberships INDEXED BY memberships_sorted
           WHERE tenant = $1 AND (sort, person) > ($2, $3) AND ($4 = '' OR instr(search, $4) > 0)
           ORDER BY sort, person LIMIT $5) m
     JOIN people p ON p.id = m.person ORDER BY m.sort, m.person";

/// [`PAGE`] for PostgreSQL, which is told of no index.
const PAGE_OF_POSTGRES: &str =
    "SELECT m.person, m.role, m.since, p.name, p.email, p.email_verified,
         (SELECT MAX(s.seen_at) FROM sessions s WHERE s.person = m.person AND s.tenant = m.tenant)
             AS seen_at
     FROM (SELECT tenant, sort, person, role, since FROM memberships
           WHERE tenant = $1 AND (sort, person) > ($2, $3) AND ($4 = '' OR strpos(search, $4) > 0)
           ORDER BY sort, person LIMIT $5) m
     JOIN people p ON p.id = m.person ORDER BY m.sort, m.person";

impl Store {
    /// The tenants that a person belongs to, the one they joined first ahead.
    pub(crate) async fn memberships(&self, person: PersonId) -> Result<Vec<Membership>, DbError> {
        db::query(
            "SELECT m.tenant, m.role, t.display_name, t.ae_title
             FROM memberships m JOIN tenants t ON t.name = m.tenant
             WHERE m.person = $1 ORDER BY m.since, t.rowid",
        )
        .bind(person.to_string())
        .fetch_all(self.db().read(Across::People))
        .await?
        .iter()
        .map(|row| {
            Ok(Membership {
                tenant: tenant_of(row, "tenant")?,
                display_name: row.try_get("display_name")?,
                ae_title: row.try_get("ae_title")?,
                role: parsed(row, "role")?,
            })
        })
        .collect()
    }

    /// Members in the order of their names, after a person; `Ok(None)` when
    /// nobody of that id can be found any more.
    pub(crate) async fn members(
        &self,
        scope: &TenantScope,
        q: &str,
        after: Option<PersonId>,
        limit: u32,
    ) -> Result<Option<Vec<Member>>, DbError> {
        let mut start = (String::new(), String::new());
        if let Some(after) = after {
            let sort: Option<String> =
                db::query_scalar("SELECT sort FROM memberships WHERE tenant = $1 AND person = $2")
                    .bind(scope.tenant().as_str())
                    .bind(after.to_string())
                    .fetch_optional(self.db().read(scope))
                    .await?;
            let Some(sort) = sort else { return Ok(None) };
            start = (sort, after.to_string());
        }
        let rows = db::query(db::each(PAGE, PAGE_OF_POSTGRES))
            .bind(scope.tenant().as_str())
            .bind(start.0)
            .bind(start.1)
            .bind(fold(q.trim()))
            .bind(limit)
            .fetch_all(self.db().read(scope))
            .await?;
        rows.iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// What these are called who belong to the tenant, or were called when they
    /// left it.
    pub(crate) async fn names(
        &self,
        scope: &TenantScope,
        ids: &[PersonId],
    ) -> Result<Vec<(PersonId, String)>, DbError> {
        let ids = super::json(&ids)?;
        db::query(
db::each(
"SELECT f.person, f.name FROM former_members f
                 WHERE f.tenant = $1 AND f.person IN (SELECT value FROM json_each($2))
             UNION ALL SELECT m.person, p.name FROM memberships m JOIN people p ON p.id = m.person
                 WHERE m.tenant = $1 AND m.person IN (SELECT value FROM json_each($2))",
"SELECT f.person, f.name FROM former_members f
                 WHERE f.tenant = $1 AND f.person IN (SELECT value FROM json_array_elements_text($2::json) AS id (value))
             UNION ALL SELECT m.person, p.name FROM memberships m JOIN people p ON p.id = m.person
                 WHERE m.tenant = $1 AND m.person IN (SELECT value FROM json_array_elements_text($2::json) AS id (value))",
),
        )
        .bind(scope.tenant().as_str())
        .bind(ids)
        .fetch_all(self.db().read(scope))
        .await?
        .iter()
        .map(|row| Ok((parsed(row, "person")?, row.try_get("name")?)))
        .collect()
    }

    /// The members with one of these roles, for what they are told by mail.
    pub(crate) async fn members_with(
        &self,
        scope: &TenantScope,
        roles: [Role; 2],
        limit: u32,
    ) -> Result<Vec<PersonId>, DbError> {
        db::query("SELECT person FROM memberships WHERE tenant = $1 AND role IN ($2, $3) LIMIT $4")
            .bind(scope.tenant().as_str())
            .bind(roles[0].name())
            .bind(roles[1].name())
            .bind(limit)
            .fetch_all(self.db().read(scope))
            .await?
            .iter()
            .map(|row| parsed(row, "person"))
            .collect()
    }
}

/// A member's role, as the transaction sees it.
pub(crate) async fn role_of(
    tx: &mut Connection,
    scope: &TenantScope,
    person: PersonId,
) -> Result<Option<Role>, DbError> {
    let row = db::query("SELECT role FROM memberships WHERE tenant = $1 AND person = $2")
        .bind(scope.tenant().as_str())
        .bind(person.to_string())
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(|row| parsed(row, "role")).transpose()
}

/// Makes a person a member; false when they are one.
pub(crate) async fn insert(
    tx: &mut Connection,
    scope: &TenantScope,
    person: &Person,
    role: Role,
    now: i64,
) -> Result<bool, DbError> {
    let done = db::query(
        "INSERT INTO memberships (tenant, person, role, sort, search, since)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(scope.tenant().as_str())
    .bind(person.id.to_string())
    .bind(role.name())
    .bind(fold(&person.name))
    .bind(search_text(&person.name, &person.email))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a member another role.
pub(crate) async fn set_role(
    tx: &mut Connection,
    scope: &TenantScope,
    person: PersonId,
    role: Role,
) -> Result<(), DbError> {
    db::query("UPDATE memberships SET role = $1 WHERE tenant = $2 AND person = $3")
        .bind(role.name())
        .bind(scope.tenant().as_str())
        .bind(person.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends a membership, and with it the person's sessions in the tenant. What
/// they were called stays for the trail.
pub(crate) async fn delete(
    tx: &mut Connection,
    scope: &TenantScope,
    person: PersonId,
    now: i64,
) -> Result<(), DbError> {
    db::query(
        "INSERT INTO former_members (tenant, person, name, left_at)
         SELECT m.tenant, m.person, p.name, $3 FROM memberships m JOIN people p ON p.id = m.person
         WHERE m.tenant = $1 AND m.person = $2
         ON CONFLICT (tenant, person) DO UPDATE SET name = excluded.name, left_at = excluded.left_at",
    )
    .bind(scope.tenant().as_str())
    .bind(person.to_string())
    .bind(now)
    .execute(&mut *tx)
    .await?;
    db::query("DELETE FROM memberships WHERE tenant = $1 AND person = $2")
        .bind(scope.tenant().as_str())
        .bind(person.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// Forgets what those were called who left before a time.
pub(crate) async fn forget_former(tx: &mut Connection, before: i64) -> Result<(), DbError> {
    db::query("DELETE FROM former_members WHERE left_at < $1")
        .bind(before)
        .execute(tx)
        .await?;
    Ok(())
}

/// How many own the tenant, as the transaction sees it.
pub(crate) async fn owners(tx: &mut Connection, scope: &TenantScope) -> Result<i64, DbError> {
    db::query_scalar("SELECT COUNT(*) FROM memberships WHERE tenant = $1 AND role = 'owner'")
        .bind(scope.tenant().as_str())
        .fetch_one(tx)
        .await
}

fn read(row: &Row) -> Result<Member, DbError> {
    Ok(Member {
        id: parsed(row, "person")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        email_verified: row.try_get("email_verified")?,
        role: parsed(row, "role")?,
        since: row.try_get("since")?,
        seen_at: row.try_get("seen_at")?,
    })
}

#[cfg(test)]
mod tests {
    use hilum_platform::db::{self, Across, Db};

    use super::PAGE;

    #[tokio::test]
    async fn a_page_and_a_search_walk_one_index() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("i.sqlite"), crate::MIGRATIONS).await;
        let text = format!("EXPLAIN QUERY PLAN {PAGE}");
        let plan = db::query(db::AssertSqlSafe(text))
            .fetch_all(db.unwrap().read(Across::People))
            .await
            .unwrap();
        let plan: Vec<String> = plan
            .iter()
            .map(|row| row.try_get("detail").unwrap())
            .collect();
        let walk = "SEARCH memberships USING COVERING INDEX memberships_sorted";
        assert!(plan.iter().any(|step| step.starts_with(walk)), "{plan:#?}");
        assert!(
            !plan.iter().any(|step| step.contains("SCAN memberships")),
            "{plan:#?}"
        );
    }
}
