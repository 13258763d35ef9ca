//! Merges of patients, and the studies that they corrected.

use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_platform::audit::Trail;
use hilum_platform::clock::from_millis;
use hilum_platform::db::{self, DbError, Row};
use hilum_platform::scope::TenantScope;
use time::OffsetDateTime;

use super::Store;

/// A Patient ID and who issued it; empty: nobody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatientKey {
    pub(crate) issuer: String,
    pub(crate) id: String,
}

impl PatientKey {
    fn subject(&self) -> Subject {
        Subject::patient(&*self.id, Some(&self.issuer))
    }
}

/// A merge of two patients.
#[derive(Clone, Debug)]
pub(crate) struct PatientMerge {
    pub(crate) id: i64,
    pub(crate) prior: PatientKey,
    pub(crate) surviving: PatientKey,
    pub(crate) reason: String,
    pub(crate) by: String,
    pub(crate) at: OffsetDateTime,
    /// How many studies it corrected.
    pub(crate) studies: i64,
}

const COLUMNS: &str =
    "m.id, m.prior_issuer, m.prior_id, m.issuer, m.patient_id, m.reason, m.by, m.at,
    (SELECT count(*) FROM patient_merge_studies s WHERE s.merge = m.id) AS studies";

impl Store {
    /// Remembers and records a merge; its number. One that stands is that one.
    pub(crate) async fn merge_patients(
        &self,
        scope: &TenantScope,
        trail: &Trail,
        (prior, surviving): (&PatientKey, &PatientKey),
        (reason, by, at): (&str, &str, i64),
    ) -> Result<i64, DbError> {
        let mut tx = self.db().begin(scope).await?;
        let id = db::query_scalar(
            "INSERT INTO patient_merges (tenant, prior_issuer, prior_id, issuer, patient_id, reason, by, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (tenant, prior_id, prior_issuer) WHERE undone_at IS NULL
             DO UPDATE SET issuer = excluded.issuer, patient_id = excluded.patient_id,
                 reason = excluded.reason, by = excluded.by, at = excluded.at
             RETURNING id",
        )
        .bind(scope.tenant().as_str())
        .bind(&prior.issuer)
        .bind(&prior.id)
        .bind(&surviving.issuer)
        .bind(&surviving.id)
        .bind(reason)
        .bind(by)
        .bind(at)
        .fetch_one(&mut *tx)
        .await?;
        let entry = Entry::new(Act::MergePatients)
            .about(prior.subject())
            .about(surviving.subject())
            .about(Subject::reason(reason))
            .with(Detail::Change, "merged");
        trail.append(&mut tx, scope, entry).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Merges that stand, the newest first.
    pub(crate) async fn patient_merges(
        &self,
        scope: &TenantScope,
    ) -> Result<Vec<PatientMerge>, DbError> {
        let rows = db::query(db::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM patient_merges m WHERE m.tenant = $1 AND m.undone_at IS NULL
             ORDER BY m.id DESC LIMIT 10000"
        )))
        .bind(scope.tenant().as_str())
        .fetch_all(self.db().read(scope))
        .await?;
        rows.iter().map(read).collect()
    }

    /// The merge whose prior patient this is.
    pub(crate) async fn merge_of(
        &self,
        scope: &TenantScope,
        prior: &PatientKey,
    ) -> Result<Option<PatientMerge>, DbError> {
        let row = db::query(db::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM patient_merges m WHERE m.tenant = $1 AND m.prior_id = $2
                 AND m.prior_issuer = $3 AND m.undone_at IS NULL"
        )))
        .bind(scope.tenant().as_str())
        .bind(&prior.id)
        .bind(&prior.issuer)
        .fetch_optional(self.db().read(scope))
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// Remembers what a study was before a merge corrects it; the first time counts.
    pub(crate) async fn keep_before_merge(
        &self,
        scope: &TenantScope,
        merge: i64,
        study_uid: &str,
        before: &str,
    ) -> Result<(), DbError> {
        let mut tx = self.db().begin(scope).await?;
        db::query(
            "INSERT INTO patient_merge_studies (merge, tenant, study_uid, before)
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(merge)
        .bind(scope.tenant().as_str())
        .bind(study_uid)
        .bind(before)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// A merge stands no more; the studies that it corrected and what each was
    /// before. `None`: there is no such merge that stands.
    pub(crate) async fn undo_merge(
        &self,
        scope: &TenantScope,
        trail: &Trail,
        merge: &PatientMerge,
        now: i64,
    ) -> Result<Option<Vec<(String, String)>>, DbError> {
        let id = merge.id;
        let mut tx = self.db().begin(scope).await?;
        let undone = db::query(
            "UPDATE patient_merges SET undone_at = $3
             WHERE id = $1 AND tenant = $2 AND undone_at IS NULL",
        )
        .bind(id)
        .bind(scope.tenant().as_str())
        .bind(now)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if undone == 0 {
            return Ok(None);
        }
        let rows: Vec<(String, String)> =
            db::query_as("SELECT study_uid, before FROM patient_merge_studies WHERE merge = $1")
                .bind(id)
                .fetch_all(&mut *tx)
                .await?;
        let entry = Entry::new(Act::MergePatients)
            .about(merge.prior.subject())
            .about(merge.surviving.subject())
            .with(Detail::Change, "undone");
        trail.append(&mut tx, scope, entry).await?;
        tx.commit().await?;
        Ok(Some(rows))
    }
}

fn read(row: &Row) -> Result<PatientMerge, DbError> {
    Ok(PatientMerge {
        id: row.try_get("id")?,
        prior: PatientKey {
            issuer: row.try_get("prior_issuer")?,
            id: row.try_get("prior_id")?,
        },
        surviving: PatientKey {
            issuer: row.try_get("issuer")?,
            id: row.try_get("patient_id")?,
        },
        reason: row.try_get("reason")?,
        by: row.try_get("by")?,
        at: from_millis(row.try_get("at")?),
        studies: row.try_get("studies")?,
    })
}
