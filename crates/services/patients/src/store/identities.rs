//! Records, as images confirm or contradict them.

use hilum_contracts::imaging::InstancesStored;
use hilum_platform::db::DbError;
use hilum_platform::scope::TenantScope;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use uuid::Uuid;

use crate::domain::identity::{Contradiction, Demographics};

struct Person {
    id: String,
    demographics: Demographics,
    name: String,
}

/// Confirms an identity: makes or completes its record, or opens conflicts.
pub(crate) async fn confirm(
    tx: &mut SqliteConnection,
    scope: &TenantScope,
    stored: &InstancesStored,
    now: i64,
) -> Result<(), DbError> {
    if stored.patient.id.is_empty() {
        return link(tx, scope, &stored.study_uid, None).await;
    }
    let seen = Demographics::new(&stored.patient.birth_date, &stored.patient.sex);
    let persons = persons(tx, scope, &stored.patient.issuer, &stored.patient.id).await?;
    let fitting = persons
        .iter()
        .find(|person| person.demographics.contradictions(&seen).is_empty());
    let patient = match (fitting, persons.first()) {
        (Some(person), _) => {
            complete(tx, scope, person, stored, &seen, now).await?;
            person.id.clone()
        }
        (None, Some(first)) => {
            for contradiction in first.demographics.contradictions(&seen) {
                open_conflict(tx, scope, &first.id, &contradiction, &stored.study_uid, now).await?;
            }
            first.id.clone()
        }
        (None, None) => insert_person(tx, scope, stored, &seen, 0, now).await?,
    };
    link(tx, scope, &stored.study_uid, Some(&patient)).await
}

/// Lower case without accents, for searching.
pub(crate) fn fold(text: &str) -> String {
    text.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect()
}

async fn persons(
    tx: &mut SqliteConnection,
    scope: &TenantScope,
    issuer: &str,
    id: &str,
) -> Result<Vec<Person>, DbError> {
    let rows = sqlx::query(
        "SELECT id, name, birth_date, sex FROM patients
         WHERE tenant = $1 AND issuer = $2 AND patient_id = $3 ORDER BY person",
    )
    .bind(scope.tenant().as_str())
    .bind(issuer)
    .bind(id)
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            let (birth_date, sex): (String, String) =
                (row.try_get("birth_date")?, row.try_get("sex")?);
            Ok(Person {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                demographics: Demographics::new(&birth_date, &sex),
            })
        })
        .collect()
}

async fn complete(
    tx: &mut SqliteConnection,
    scope: &TenantScope,
    person: &Person,
    stored: &InstancesStored,
    seen: &Demographics,
    now: i64,
) -> Result<(), DbError> {
    let completed = person.demographics.completed(seen);
    let name = if person.name.is_empty() {
        &stored.patient.name
    } else {
        &person.name
    };
    if completed == person.demographics && *name == person.name {
        return Ok(());
    }
    sqlx::query(
        "UPDATE patients SET name = $1, birth_date = $2, sex = $3, search = $4, updated_at = $5
         WHERE id = $6 AND tenant = $7",
    )
    .bind(name)
    .bind(&completed.birth_date)
    .bind(&completed.sex)
    .bind(fold(&format!("{} {name}", stored.patient.id)))
    .bind(now)
    .bind(&person.id)
    .bind(scope.tenant().as_str())
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_person(
    tx: &mut SqliteConnection,
    scope: &TenantScope,
    stored: &InstancesStored,
    seen: &Demographics,
    person: i64,
    now: i64,
) -> Result<String, DbError> {
    let id = Uuid::now_v7().to_string();
    sqlx::query(
        "INSERT INTO patients (id, tenant, issuer, patient_id, person, name, birth_date, sex, search, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&id)
    .bind(scope.tenant().as_str())
    .bind(&stored.patient.issuer)
    .bind(&stored.patient.id)
    .bind(person)
    .bind(&stored.patient.name)
    .bind(&seen.birth_date)
    .bind(&seen.sex)
    .bind(fold(&format!("{} {}", stored.patient.id, stored.patient.name)))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(id)
}

/// Opens a conflict, unless this very value was shown to a person before.
async fn open_conflict(
    tx: &mut SqliteConnection,
    scope: &TenantScope,
    patient: &str,
    contradiction: &Contradiction,
    study_uid: &str,
    now: i64,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO conflicts (id, tenant, patient, attribute, kept_value, other_value, other_study_uid, state, opened_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, 'open', $8
         WHERE NOT EXISTS (SELECT 1 FROM conflicts WHERE patient = $3 AND attribute = $4
             AND state = 'resolved' AND $6 IN (kept_value, other_value))
         ON CONFLICT DO NOTHING",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(scope.tenant().as_str())
    .bind(patient)
    .bind(contradiction.attribute.as_str())
    .bind(&contradiction.kept)
    .bind(&contradiction.other)
    .bind(study_uid)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

async fn link(
    tx: &mut SqliteConnection,
    scope: &TenantScope,
    study_uid: &str,
    patient: Option<&str>,
) -> Result<(), DbError> {
    // NULLs are distinct in a primary key: look first.
    sqlx::query(
        "INSERT INTO studies (tenant, study_uid, patient) SELECT $1, $2, $3
         WHERE NOT EXISTS (SELECT 1 FROM studies WHERE tenant = $1 AND study_uid = $2 AND patient IS $3)",
    )
    .bind(scope.tenant().as_str())
    .bind(study_uid)
    .bind(patient)
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn searching_ignores_case_and_accents() {
        assert_eq!(fold("Jérôme^ŁUKASZ"), "jerome^łukasz");
    }
}
