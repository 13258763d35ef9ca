//! Corrections: what queries answer with, and what reads lay over bytes.

use std::sync::Arc;

use hilum_contracts::audit::{Act, Entry, Subject};
use hilum_platform::scope::TenantScope;

use crate::archive::{Archive, blocking};
use crate::error::{ArchiveError, Result};
use crate::index::correct::{self, Unit};
use crate::limits;
use crate::model::{Corrected, CorrectionRow, NewCorrection};
use crate::note::Note;

impl Archive {
    /// Corrects a study or a series; its version after it. The received bytes
    /// stay what they are.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`]; [`ArchiveError::Outdated`] when the row
    /// changed since its revision was read: read it again.
    pub async fn correct(&self, scope: &TenantScope, correction: NewCorrection) -> Result<u64> {
        let too_long = |text: &str, most| text.len() > most;
        if too_long(&correction.reason, limits::REASON_BYTES)
            || too_long(&correction.by, limits::REASON_BYTES)
            || too_long(&correction.overlay, limits::OVERLAY_BYTES)
            || too_long(&correction.detail, limits::OVERLAY_BYTES)
        {
            return Err(ArchiveError::Invalid(
                "the correction is too long, or the study was corrected too often",
            ));
        }
        let tenant = self.engine.tenant(scope).await?;
        let (engine, scope) = (Arc::clone(&self.engine), scope.clone());
        let mut entry = Entry::new(Act::Correct).about(Subject::study(&*correction.study));
        if let Corrected::Study { patient, .. } = &correction.corrected
            && let Some(id) = &patient.id
        {
            entry = entry.about(Subject::patient(&**id, patient.issuer.as_deref()));
        }
        blocking(move || {
            let (series, patient, study_attributes, series_attributes) =
                match correction.corrected.clone() {
                    Corrected::Study {
                        patient,
                        attributes,
                    } => (None, Some(patient), Some(attributes), None),
                    Corrected::Series { series, attributes } => {
                        (Some(series), None, None, Some(attributes))
                    }
                };
            let note = Note::Corrected {
                study: correction.study.clone(),
                series,
                patient: patient.map(Box::new),
                study_attributes: study_attributes.map(Box::new),
                series_attributes: series_attributes.map(Box::new),
                overlay: correction.overlay.clone(),
                detail: correction.detail.clone(),
                reason: correction.reason.clone(),
                by: correction.by.clone(),
                at: engine.clock.now_millis(),
            };
            let unit = Unit {
                // Under the study's key: erasing the study erases it.
                note: engine.write_note(&tenant, &correction.study, &note)?,
                told: Some(engine.told(&tenant, &scope, entry)?),
                tenant: tenant.id.clone(),
                tenant_row: tenant.row,
                correction,
            };
            engine.carry_out(&tenant, unit.note.name, move |db, context| {
                let version = correct::correct(db, &unit, context.clock.now_millis())?;
                context.bell.notify_one();
                Ok(version)
            })
        })
        .await
    }

    /// The overlay of a study, or of a series of it.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn overlay(
        &self,
        scope: &TenantScope,
        study: &str,
        series: Option<&str>,
    ) -> Result<Option<String>> {
        let (study, series) = (study.to_owned(), series.map(str::to_owned));
        self.ask(scope, None, move |db, tenant| {
            correct::overlay(db, tenant, &study, series.as_deref())
        })
        .await
    }

    /// The corrections of a study and its series, the oldest first.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn corrections(
        &self,
        scope: &TenantScope,
        study: &str,
    ) -> Result<Vec<CorrectionRow>> {
        let study = study.to_owned();
        self.ask(scope, Vec::new(), move |db, tenant| {
            correct::list(db, tenant, &study)
        })
        .await
    }
}
