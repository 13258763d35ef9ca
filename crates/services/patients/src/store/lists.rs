//! Patients and the state of studies, for pages and neighbours.

use hilum_contracts::patients::PatientState;
use hilum_platform::db::{self, DbError};
use hilum_platform::scope::TenantScope;

use super::Store;
use super::identities::fold;

/// A patient as a list shows them.
#[derive(Clone, Debug)]
pub(crate) struct PatientRow {
    pub(crate) id: String,
    pub(crate) issuer: String,
    pub(crate) patient_id: String,
    pub(crate) name: String,
    pub(crate) birth_date: String,
    pub(crate) sex: String,
    pub(crate) in_conflict: bool,
    pub(crate) studies: Vec<String>,
}

/// What is known of the patient of one study.
#[derive(Clone, Debug)]
pub(crate) struct StudyState {
    pub(crate) study_uid: String,
    pub(crate) state: PatientState,
    pub(crate) conflict: Option<String>,
}

impl Store {
    /// Patients whose id is `patient_id`, or whose id or name holds `text`.
    pub(crate) async fn patients(
        &self,
        scope: &TenantScope,
        patient_id: Option<&str>,
        text: Option<&str>,
        limit: u32,
    ) -> Result<Vec<PatientRow>, DbError> {
        let rows = db::query(
            db::each(
"SELECT p.id, p.issuer, p.patient_id, p.name, p.birth_date, p.sex,
                 EXISTS (SELECT 1 FROM conflicts c WHERE c.patient = p.id AND c.state = 'open') AS in_conflict,
                 (SELECT string_agg(study_uid, ' ') FROM studies s WHERE s.patient = p.id) AS studies
             FROM patients p
             WHERE p.tenant = $1 AND ($2 IS NULL OR p.patient_id = $2)
                 AND ($3 IS NULL OR instr(p.search, $3) > 0)
             ORDER BY p.updated_at DESC, p.id LIMIT $4",
"SELECT p.id, p.issuer, p.patient_id, p.name, p.birth_date, p.sex,
                 EXISTS (SELECT 1 FROM conflicts c WHERE c.patient = p.id AND c.state = 'open') AS in_conflict,
                 (SELECT string_agg(study_uid, ' ') FROM studies s WHERE s.patient = p.id) AS studies
             FROM patients p
             WHERE p.tenant = $1 AND ($2 IS NULL OR p.patient_id = $2)
                 AND ($3 IS NULL OR strpos(p.search, $3) > 0)
             ORDER BY p.updated_at DESC, p.id LIMIT $4",
),
        )
        .bind(scope.tenant().as_str())
        .bind(patient_id)
        .bind(text.map(fold))
        .bind(limit)
        .fetch_all(self.db().read(scope))
        .await?;
        rows.iter()
            .map(|row| {
                let studies: Option<String> = row.try_get("studies")?;
                Ok(PatientRow {
                    id: row.try_get("id")?,
                    issuer: row.try_get("issuer")?,
                    patient_id: row.try_get("patient_id")?,
                    name: row.try_get("name")?,
                    birth_date: row.try_get("birth_date")?,
                    sex: row.try_get("sex")?,
                    in_conflict: row.try_get("in_conflict")?,
                    studies: studies
                        .unwrap_or_default()
                        .split_whitespace()
                        .map(ToOwned::to_owned)
                        .collect(),
                })
            })
            .collect()
    }

    /// The states of studies; one that was not told of yet is pending.
    pub(crate) async fn states_of_studies(
        &self,
        scope: &TenantScope,
        study_uids: &[String],
    ) -> Result<Vec<StudyState>, DbError> {
        let mut states = Vec::with_capacity(study_uids.len());
        for study_uid in study_uids {
            let rows = db::query(
                "SELECT s.patient, (SELECT MIN(c.id) FROM conflicts c
                     WHERE c.patient = s.patient AND c.state = 'open') AS conflict
                 FROM studies s WHERE s.tenant = $1 AND s.study_uid = $2",
            )
            .bind(scope.tenant().as_str())
            .bind(study_uid)
            .fetch_all(self.db().read(scope))
            .await?;
            let mut state = PatientState::Pending;
            let mut conflict = None;
            for row in rows {
                let patient: Option<String> = row.try_get("patient")?;
                let open: Option<String> = row.try_get("conflict")?;
                state = match (&patient, &open, state) {
                    (_, Some(_), _) => PatientState::Conflict,
                    (Some(_), None, PatientState::Pending | PatientState::NoPatientId) => {
                        PatientState::Confirmed
                    }
                    (None, None, PatientState::Pending) => PatientState::NoPatientId,
                    (_, _, kept) => kept,
                };
                conflict = conflict.or(open);
            }
            states.push(StudyState {
                study_uid: study_uid.clone(),
                state,
                conflict,
            });
        }
        Ok(states)
    }
}
