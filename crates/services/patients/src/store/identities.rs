//! Records, as images confirm or contradict them.

use hilum_contracts::imaging::PatientIdentity;
use hilum_platform::db::{self, Connection, DbError};
use hilum_platform::scope::TenantScope;
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
    tx: &mut Connection,
    scope: &TenantScope,
    (study_uid, patient): (&str, &PatientIdentity),
    now: i64,
) -> Result<(), DbError> {
    if patient.id.is_empty() {
        return link(tx, scope, study_uid, None).await;
    }
    let seen = Demographics::new(&patient.birth_date, &patient.sex);
    let persons = persons(tx, scope, &patient.issuer, &patient.id).await?;
    let fitting = persons
        .iter()
        .find(|person| person.demographics.contradictions(&seen).is_empty());
    let record = match (fitting, persons.first()) {
        (Some(person), _) => {
            complete(tx, scope, person, patient, &seen, now).await?;
            person.id.clone()
        }
        (None, Some(first)) => {
            for contradiction in first.demographics.contradictions(&seen) {
                open_conflict(tx, scope, &first.id, &contradiction, study_uid, now).await?;
            }
            first.id.clone()
        }
        (None, None) => insert_person(tx, scope, patient, &seen, 0, now).await?,
    };
    link(tx, scope, study_uid, Some(&record)).await
}

/// A study is another patient's, or its patient is named otherwise: what it
/// said before counts no more.
pub(crate) async fn correct(
    tx: &mut Connection,
    scope: &TenantScope,
    (study_uid, patient): (&str, &PatientIdentity),
    now: i64,
) -> Result<(), DbError> {
    let tenant = scope.tenant().as_str();
    let before: Vec<String> = db::query_scalar(
        "SELECT patient FROM studies
         WHERE tenant = $1 AND study_uid = $2 AND patient IS NOT NULL",
    )
    .bind(tenant)
    .bind(study_uid)
    .fetch_all(&mut *tx)
    .await?;
    for sql in [
        "DELETE FROM conflicts WHERE tenant = $1 AND other_study_uid = $2 AND state = 'open'",
        "DELETE FROM studies WHERE tenant = $1 AND study_uid = $2",
    ] {
        db::query(sql)
            .bind(tenant)
            .bind(study_uid)
            .execute(&mut *tx)
            .await?;
    }
    // A record that only this study made is made anew, or not at all.
    for record in before {
        for sql in [
            "DELETE FROM conflicts WHERE tenant = $1 AND patient = $2
             AND NOT EXISTS (SELECT 1 FROM studies WHERE patient = $2)",
            "DELETE FROM patients WHERE tenant = $1 AND id = $2
             AND NOT EXISTS (SELECT 1 FROM studies WHERE patient = $2)",
        ] {
            db::query(sql)
                .bind(tenant)
                .bind(&record)
                .execute(&mut *tx)
                .await?;
        }
    }
    confirm(tx, scope, (study_uid, patient), now).await
}

/// Lower case without accents, for searching.
pub(crate) fn fold(text: &str) -> String {
    text.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect()
}

async fn persons(
    tx: &mut Connection,
    scope: &TenantScope,
    issuer: &str,
    id: &str,
) -> Result<Vec<Person>, DbError> {
    let rows = db::query(
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
    tx: &mut Connection,
    scope: &TenantScope,
    person: &Person,
    patient: &PatientIdentity,
    seen: &Demographics,
    now: i64,
) -> Result<(), DbError> {
    let completed = person.demographics.completed(seen);
    let name = if person.name.is_empty() {
        &patient.name
    } else {
        &person.name
    };
    if completed == person.demographics && *name == person.name {
        return Ok(());
    }
    db::query(
        "UPDATE patients SET name = $1, birth_date = $2, sex = $3, search = $4, updated_at = $5
         WHERE id = $6 AND tenant = $7",
    )
    .bind(name)
    .bind(&completed.birth_date)
    .bind(&completed.sex)
    .bind(fold(&format!("{} {name}", patient.id)))
    .bind(now)
    .bind(&person.id)
    .bind(scope.tenant().as_str())
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_person(
    tx: &mut Connection,
    scope: &TenantScope,
    patient: &PatientIdentity,
    seen: &Demographics,
    person: i64,
    now: i64,
) -> Result<String, DbError> {
    let id = Uuid::now_v7().to_string();
    db::query(
        "INSERT INTO patients (id, tenant, issuer, patient_id, person, name, birth_date, sex, search, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&id)
    .bind(scope.tenant().as_str())
    .bind(&patient.issuer)
    .bind(&patient.id)
    .bind(person)
    .bind(&patient.name)
    .bind(&seen.birth_date)
    .bind(&seen.sex)
    .bind(fold(&format!("{} {}", patient.id, patient.name)))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(id)
}

/// Opens a conflict, unless this very value was shown to a person before.
async fn open_conflict(
    tx: &mut Connection,
    scope: &TenantScope,
    patient: &str,
    contradiction: &Contradiction,
    study_uid: &str,
    now: i64,
) -> Result<(), DbError> {
    db::query(
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
    tx: &mut Connection,
    scope: &TenantScope,
    study_uid: &str,
    patient: Option<&str>,
) -> Result<(), DbError> {
    // NULLs are distinct in a primary key: look first.
    db::query(
        "INSERT INTO studies (tenant, study_uid, patient) SELECT $1, $2, $3
         WHERE NOT EXISTS (SELECT 1 FROM studies WHERE tenant = $1 AND study_uid = $2 AND patient IS NOT DISTINCT FROM $3)
         ON CONFLICT DO NOTHING",
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
