//! Two patients that are one (HL7 A40): the studies of the prior one are
//! corrected to the surviving one, and so is what comes for it later.

use hilum_archive::{Page, PatientIdentity, StudyFilter, StudyRow, TextPattern};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_dataset::patch::Change;
use hilum_platform::auth;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;
use tokio_util::sync::CancellationToken;

use crate::ImagingService;
use crate::api::correct;
use crate::limits::{MERGE_AGAIN, MERGE_PAUSE, MERGED_STUDIES, MERGES_FOLLOWED};
use crate::store::patient_merges::{PatientKey, PatientMerge};

/// Attributes of the patient that a merge gives.
const TAGS: [u32; 5] = [
    0x0010_0010,
    0x0010_0020,
    0x0010_0021,
    0x0010_0030,
    0x0010_0040,
];

impl ImagingService {
    /// Corrects every study of the prior patient; how many.
    pub(crate) async fn carry_out_merge(
        &self,
        scope: &TenantScope,
        merge: &PatientMerge,
    ) -> Result<u64, ServiceError> {
        let mut corrected = 0;
        for study in self.studies_of(scope, &merge.prior).await? {
            corrected += u64::from(self.merge_study(scope, merge, &study).await?);
        }
        Ok(corrected)
    }

    /// Corrects what comes for patients who are others by now, until told to
    /// stop; also what a call left undone that was cut off.
    pub(crate) async fn follow_merges(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let mut again = None;
            for tenant in self.tenants.here() {
                let scope = auth::service(&tenant.name, "imaging");
                match self.follow_merges_of(&scope).await {
                    Ok(0) => {}
                    // Whoever it belongs to now may be somebody else as well.
                    Ok(_) => again = again.or(Some(MERGE_PAUSE)),
                    Err(error) => {
                        tracing::error!(%error, "a merge of patients was not followed");
                        again = Some(MERGE_AGAIN);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => {}
                () = self.merge_bell.notified() => tokio::time::sleep(MERGE_PAUSE).await,
            }
        }
    }

    /// How many studies were corrected.
    async fn follow_merges_of(&self, scope: &TenantScope) -> Result<u64, ServiceError> {
        let mut followed: u64 = 0;
        let merges = self.store.patient_merges(scope).await;
        for merge in merges.map_err(|error| database_error(&error))? {
            let corrected = self.carry_out_merge(scope, &merge).await?;
            if corrected > 0 {
                tracing::info!(studies = corrected, "followed a merge of patients");
            }
            followed = followed.saturating_add(corrected);
        }
        Ok(followed)
    }

    /// Whether merges lead from one patient to another.
    pub(crate) async fn leads_to(
        &self,
        scope: &TenantScope,
        from: &PatientKey,
        to: &PatientKey,
    ) -> Result<bool, ServiceError> {
        let mut at = from.clone();
        for _ in 0..MERGES_FOLLOWED {
            let merge = self.store.merge_of(scope, &at).await;
            match merge.map_err(|error| database_error(&error))? {
                None => return Ok(false),
                Some(merge) if merge.surviving == *to => return Ok(true),
                Some(merge) => at = merge.surviving,
            }
        }
        Ok(true)
    }

    async fn merge_study(
        &self,
        scope: &TenantScope,
        merge: &PatientMerge,
        study: &StudyRow,
    ) -> Result<bool, ServiceError> {
        let known = self.studies_of(scope, &merge.surviving).await?;
        let mut patient = match known.into_iter().next() {
            Some(study) => study.patient,
            // Nothing else is known of the surviving patient: the same person.
            None => study.patient.clone(),
        };
        patient.id = Some(merge.surviving.id.clone());
        patient.issuer = Some(merge.surviving.issuer.clone()).filter(|issuer| !issuer.is_empty());
        let before = serde_json::to_string(&study.patient)
            .map_err(|_| ServiceError::internal("The patient can't be written."))?;
        self.store
            .keep_before_merge(scope, merge.id, &study.uid, &before)
            .await
            .map_err(|error| database_error(&error))?;
        let changes = identity(&study.patient, &patient);
        if changes.is_empty() {
            return Ok(false);
        }
        correct(self, scope, (&study.uid, None), &changes, &merge.reason).await?;
        Ok(true)
    }

    /// Gives the studies that a merge corrected back to the prior patient; those
    /// that belong to somebody else since stay. `None`: there is no such merge.
    pub(crate) async fn take_back_merge(
        &self,
        scope: &TenantScope,
        id: i64,
        reason: &str,
    ) -> Result<Option<u64>, ServiceError> {
        let merges = self.store.patient_merges(scope).await;
        let merges = merges.map_err(|error| database_error(&error))?;
        let Some(merge) = merges.into_iter().find(|merge| merge.id == id) else {
            return Ok(None);
        };
        let now = self.clock.now_millis();
        let studies = self.store.undo_merge(scope, &self.trail, &merge, now).await;
        let Some(studies) = studies.map_err(|error| database_error(&error))? else {
            return Ok(None);
        };
        let mut given = 0;
        for (uid, before) in studies {
            let before: PatientIdentity = serde_json::from_str(&before)
                .map_err(|_| ServiceError::internal("The patient can't be read."))?;
            let Some(study) = self.archive.study(scope, &uid).await? else {
                continue;
            };
            let changes = identity(&study.patient, &before);
            if key(&study.patient) == merge.surviving && !changes.is_empty() {
                correct(self, scope, (&uid, None), &changes, reason).await?;
                given += 1;
            }
        }
        Ok(Some(given))
    }

    /// Studies of a patient, the newest first.
    async fn studies_of(
        &self,
        scope: &TenantScope,
        patient: &PatientKey,
    ) -> Result<Vec<StudyRow>, ServiceError> {
        let filter = StudyFilter {
            patient_id: Some(TextPattern(patient.id.clone())),
            ..StudyFilter::default()
        };
        let page = Page::first(MERGED_STUDIES);
        let mut found = self.archive.studies(scope, &filter, page).await?;
        if found.len() >= MERGED_STUDIES as usize {
            let text = "There are too many studies under this Patient ID for a merge.";
            return Err(ServiceError::new(ErrorCode::Exhausted, text));
        }
        // A Patient ID may hold what stands for anything in a pattern.
        found.retain(|study| key(&study.patient) == *patient);
        Ok(found)
    }
}

fn key(patient: &PatientIdentity) -> PatientKey {
    PatientKey {
        issuer: patient.issuer.clone().unwrap_or_default(),
        id: patient.id.clone().unwrap_or_default(),
    }
}

/// What makes one identity of another.
fn identity(from: &PatientIdentity, to: &PatientIdentity) -> Vec<Change> {
    let study = hilum_archive::StudyAttributes::default();
    let value = |of, tag| crate::domain::correction::known(of, &study, None, tag);
    TAGS.into_iter()
        .filter(|tag| value(from, *tag) != value(to, *tag))
        .filter_map(|tag| match (tag, value(to, tag)) {
            (0x0010_0021, None) => Change::new(tag, None).ok(),
            (_, value) => Change::new(tag, Some(value.unwrap_or_default())).ok(),
        })
        .collect()
}
