//! Conflicts, and what people decided.

use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::db::{self, Connection, DbError, Row};
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Store;

/// What a person decides about a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Decision {
    /// One person; the first value is right.
    KeepFirst,
    /// One person; the second value is right.
    TakeSecond,
    /// Two people share a Patient ID.
    DifferentPatients,
}

impl Decision {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::KeepFirst => "keep-first",
            Self::TakeSecond => "take-second",
            Self::DifferentPatients => "different-patients",
        }
    }
}

/// A conflict as a list shows it.
#[derive(Clone, Debug)]
pub(crate) struct ConflictRow {
    pub(crate) id: String,
    pub(crate) issuer: String,
    pub(crate) patient_id: String,
    pub(crate) attribute: String,
    pub(crate) kept_value: String,
    pub(crate) kept_study_uid: Option<String>,
    pub(crate) other_value: String,
    pub(crate) other_study_uid: String,
    pub(crate) state: String,
    pub(crate) resolution: Option<String>,
    pub(crate) opened_at: i64,
}

/// Why a conflict was not resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("no such conflict")]
    NotFound,
    #[error("resolved before")]
    ResolvedBefore,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ResolveError> for ServiceError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound => Self::not_found("There is no such conflict."),
            ResolveError::ResolvedBefore => Self::new(
                ErrorCode::Conflict,
                "Somebody has decided this conflict already; reload the page.",
            ),
            ResolveError::Db(error) => database_error(&error),
        }
    }
}

impl Store {
    /// Conflicts in a state, the newest first.
    pub(crate) async fn conflicts(
        &self,
        scope: &TenantScope,
        state: &str,
        limit: u32,
    ) -> Result<Vec<ConflictRow>, DbError> {
        let rows = db::query(
            "SELECT c.*, p.issuer, p.patient_id, (SELECT study_uid FROM studies s
                 WHERE s.tenant = c.tenant AND s.patient = c.patient
                 AND s.study_uid <> c.other_study_uid ORDER BY s.rowid LIMIT 1) AS kept_study_uid
             FROM conflicts c JOIN patients p ON p.id = c.patient
             WHERE c.tenant = $1 AND c.state = $2 ORDER BY c.opened_at DESC, c.id LIMIT $3",
        )
        .bind(scope.tenant().as_str())
        .bind(state)
        .bind(limit)
        .fetch_all(self.db().read(scope))
        .await?;
        rows.iter().map(read_conflict).collect()
    }
}

/// Resolves an open conflict; the studies that were held because of it.
pub(crate) async fn resolve(
    tx: &mut Connection,
    scope: &TenantScope,
    id: &str,
    decision: Decision,
    now: i64,
) -> Result<Vec<String>, ResolveError> {
    let row = db::query(
        "SELECT patient, attribute, other_value, other_study_uid, state FROM conflicts
         WHERE id = $1 AND tenant = $2",
    )
    .bind(id)
    .bind(scope.tenant().as_str())
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(ResolveError::NotFound)?;
    if row.try_get::<String, _>("state")? != "open" {
        return Err(ResolveError::ResolvedBefore);
    }
    let patient: String = row.try_get("patient")?;
    let attribute: String = row.try_get("attribute")?;
    let other: String = row.try_get("other_value")?;
    let study: String = row.try_get("other_study_uid")?;
    let studies = db::query_scalar("SELECT study_uid FROM studies WHERE patient = $1")
        .bind(&patient)
        .fetch_all(&mut *tx)
        .await?;
    db::query(
        "UPDATE conflicts SET state = 'resolved', resolution = $1, resolved_at = $2 WHERE id = $3",
    )
    .bind(decision.as_str())
    .bind(now)
    .bind(id)
    .execute(&mut *tx)
    .await?;
    match decision {
        Decision::KeepFirst => {}
        Decision::TakeSecond => set_value(tx, &patient, &attribute, &other, now).await?,
        Decision::DifferentPatients => {
            split(tx, &patient, &attribute, &other, &study, now).await?;
        }
    }
    Ok(studies)
}

async fn set_value(
    tx: &mut Connection,
    patient: &str,
    attribute: &str,
    value: &str,
    now: i64,
) -> Result<(), DbError> {
    db::query(
        "UPDATE patients SET birth_date = CASE WHEN $1 = 'birth_date' THEN $2 ELSE birth_date END,
             sex = CASE WHEN $1 = 'sex' THEN $2 ELSE sex END, updated_at = $3 WHERE id = $4",
    )
    .bind(attribute)
    .bind(value)
    .bind(now)
    .bind(patient)
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes a second person under the same key and moves the study there, with
/// every other contradiction that the same study opened.
async fn split(
    tx: &mut Connection,
    patient: &str,
    attribute: &str,
    value: &str,
    study: &str,
    now: i64,
) -> Result<(), DbError> {
    let id = Uuid::now_v7().to_string();
    db::query(
        "INSERT INTO patients (id, tenant, issuer, patient_id, person, name, birth_date, sex, search, updated_at)
         SELECT $1, p.tenant, p.issuer, p.patient_id,
             (SELECT MAX(person) + 1 FROM patients q
              WHERE q.tenant = p.tenant AND q.issuer = p.issuer AND q.patient_id = p.patient_id),
             '', '', '', p.search, $2 FROM patients p WHERE p.id = $3",
    )
    .bind(&id)
    .bind(now)
    .bind(patient)
    .execute(&mut *tx)
    .await?;
    set_value(tx, &id, attribute, value, now).await?;
    let siblings = db::query(
        "UPDATE conflicts SET state = 'resolved', resolution = 'different-patients', resolved_at = $1
         WHERE patient = $2 AND other_study_uid = $3 AND state = 'open' RETURNING attribute, other_value",
    )
    .bind(now)
    .bind(patient)
    .bind(study)
    .fetch_all(&mut *tx)
    .await?;
    for sibling in siblings {
        let (attribute, value): (String, String) = (sibling.try_get(0)?, sibling.try_get(1)?);
        set_value(tx, &id, &attribute, &value, now).await?;
    }
    db::query("UPDATE studies SET patient = $1 WHERE patient = $2 AND study_uid = $3")
        .bind(&id)
        .bind(patient)
        .bind(study)
        .execute(tx)
        .await?;
    Ok(())
}

fn read_conflict(row: &Row) -> Result<ConflictRow, DbError> {
    Ok(ConflictRow {
        id: row.try_get("id")?,
        issuer: row.try_get("issuer")?,
        patient_id: row.try_get("patient_id")?,
        attribute: row.try_get("attribute")?,
        kept_value: row.try_get("kept_value")?,
        kept_study_uid: row.try_get("kept_study_uid")?,
        other_value: row.try_get("other_value")?,
        other_study_uid: row.try_get("other_study_uid")?,
        state: row.try_get("state")?,
        resolution: row.try_get("resolution")?,
        opened_at: row.try_get("opened_at")?,
    })
}
