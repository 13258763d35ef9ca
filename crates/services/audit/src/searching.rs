//! Search over every trail of a tenant, merged by time.

use std::collections::HashMap;

use hilum_contracts::audit::Subject;
use hilum_contracts::error::ServiceError;
use hilum_platform::audit::{Filter, Find, Found};
use hilum_platform::scope::TenantScope;

use crate::AuditService;
use crate::domain::page::{After, merge};
use crate::limits::{PATIENTS_REMEMBERED, STUDIES_OF_PATIENT};

/// Patients of studies whose entries name none, remembered along an export.
#[derive(Default)]
pub(crate) struct Patients(HashMap<Subject, Vec<Subject>>);

impl AuditService {
    /// Whom to look for to find what is about a patient: the patient, and every
    /// study that a trail knows to be theirs.
    pub(crate) async fn about_patient(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Vec<Find>, ServiceError> {
        let patient = Find::PatientId(id.to_owned());
        let mut all = vec![patient.clone()];
        for source in self.sources.iter() {
            for subject in source.beside(scope, &patient, STUDIES_OF_PATIENT).await? {
                let find = Find::Subject(subject);
                if matches!(find, Find::Subject(Subject::Study(_))) && !all.contains(&find) {
                    all.push(find);
                }
            }
        }
        Ok(all)
    }

    /// A page of what `filter` asks for, the newest first, and after which
    /// entry the next one begins.
    pub(crate) async fn search(
        &self,
        scope: &TenantScope,
        filter: &Filter,
        after: Option<&After>,
        limit: u32,
    ) -> Result<(Vec<Found>, Option<After>), ServiceError> {
        let one_more = limit.saturating_add(1);
        let pages = self.sources.iter().map(|source| {
            let before = after.map(|after| after.in_trail(source.writer()));
            source.search(scope, filter, before, one_more)
        });
        let pages = futures::future::try_join_all(pages).await?;
        let mut page = merge(pages, one_more as usize);
        let is_last = page.len() <= limit as usize;
        page.truncate(limit as usize);
        let next = page.last().filter(|_| !is_last).map(After::of);
        Ok((page, next))
    }

    /// The patients of the studies that an entry is about, when it names none.
    pub(crate) async fn patients_of(
        &self,
        scope: &TenantScope,
        found: &Found,
        known: &mut Patients,
    ) -> Result<Vec<Subject>, ServiceError> {
        let mut patients = Vec::new();
        for subject in found.subjects.iter().flatten() {
            match subject {
                Subject::Patient { .. } => return Ok(Vec::new()),
                Subject::Query(_) | Subject::Reason(_) | Subject::Account(_) => {}
                Subject::Study(_) => {
                    for patient in self.patients_of_study(scope, subject, known).await? {
                        if !patients.contains(&patient) {
                            patients.push(patient);
                        }
                    }
                }
            }
        }
        Ok(patients)
    }

    async fn patients_of_study(
        &self,
        scope: &TenantScope,
        study: &Subject,
        known: &mut Patients,
    ) -> Result<Vec<Subject>, ServiceError> {
        if let Some(patients) = known.0.get(study) {
            return Ok(patients.clone());
        }
        let mut patients = Vec::new();
        let find = Find::Subject(study.clone());
        for source in self.sources.iter() {
            for subject in source.beside(scope, &find, STUDIES_OF_PATIENT).await? {
                if matches!(subject, Subject::Patient { .. }) && !patients.contains(&subject) {
                    patients.push(subject);
                }
            }
        }
        if known.0.len() >= PATIENTS_REMEMBERED {
            known.0.clear();
        }
        known.0.insert(study.clone(), patients.clone());
        Ok(patients)
    }
}
