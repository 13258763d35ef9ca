//! What Imaging answers to its neighbours.

use async_trait::async_trait;
use dicom_dictionary_std::uids;
use hilum_archive::{InstanceRow, Page, PublishOutcome, ResultKey, SeriesFilter, StudyFilter};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::InputSetId;
use hilum_contracts::imaging::{
    DataSetStream, Imaging, InstanceRef, Published, ResultSet, ResultsPublished, StudyFacts,
};
use hilum_contracts::{CorrelationId, Event};
use hilum_platform::http::database_error;
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;

use crate::ImagingService;
use crate::intake::{Intake, Source};
use crate::limits::{RESULT_MAX, SERIES_LOOKED_AT};

#[async_trait]
impl Imaging for ImagingService {
    async fn input_set(
        &self,
        scope: &TenantScope,
        input_set: InputSetId,
    ) -> Result<Vec<InstanceRef>, ServiceError> {
        let (state, uids) = self
            .store
            .input_set(scope, input_set)
            .await
            .map_err(|error| database_error(&error))?
            .ok_or_else(|| ServiceError::not_found("There is no such input set."))?;
        if state != "ready" {
            let text = format!("The input set is {state}, not ready.");
            return Err(ServiceError::new(ErrorCode::Conflict, text));
        }
        self.instances(scope, &uids).await
    }

    async fn data_set(
        &self,
        scope: &TenantScope,
        sop_instance_uid: &str,
    ) -> Result<DataSetStream, ServiceError> {
        let row = self
            .archive
            .lookup(scope, sop_instance_uid)
            .await?
            .ok_or_else(|| ServiceError::not_found("There is no such instance."))?;
        self.corrected(scope, &row).await
    }

    async fn instances(
        &self,
        scope: &TenantScope,
        sop_instance_uids: &[String],
    ) -> Result<Vec<InstanceRef>, ServiceError> {
        let mut found = Vec::with_capacity(sop_instance_uids.len());
        for uids in sop_instance_uids.chunks(hilum_archive::limits::UIDS_PER_FILTER) {
            let rows = self.archive.lookup_many(scope, uids).await?;
            found.extend(rows.iter().map(reference));
        }
        Ok(found)
    }

    async fn publish_results(
        &self,
        scope: &TenantScope,
        results: ResultSet,
    ) -> Result<Published, ServiceError> {
        let intake = Intake::begin(
            self.clone(),
            scope.clone(),
            results.correlation_id,
            Source::Hilum,
        );
        let mut instances = Vec::with_capacity(results.instances.len());
        let mut references = Vec::with_capacity(results.instances.len());
        let mut patient = None;
        for result in &results.instances {
            if result.data_set.len() > RESULT_MAX {
                return Err(ServiceError::new(
                    ErrorCode::Exhausted,
                    "A result is larger than what is published.",
                ));
            }
            let mut spool = self.spools.begin();
            spool
                .write(&result.data_set)
                .map_err(|error| ServiceError::new(ErrorCode::Exhausted, error.to_string()))?;
            let spooled = spool.finish();
            let instance = intake
                .describe(uids::EXPLICIT_VR_LITTLE_ENDIAN, &spooled)
                .await
                .map_err(|refusal| ServiceError::invalid(refusal.to_string()))?;
            if instance.study != results.study_uid {
                return Err(ServiceError::invalid("A result belongs to another study."));
            }
            references.push(InstanceRef {
                sop_class_uid: instance.sop_class.clone(),
                sop_instance_uid: instance.sop_instance.clone(),
                series_uid: instance.series.clone(),
                transfer_syntax_uid: instance.transfer_syntax.clone(),
                length: instance.body.len(),
            });
            patient.get_or_insert_with(|| instance.patient.clone());
            // The spool file, if any, must outlive the commit.
            instances.push((instance, spooled));
        }
        let study = self.study_facts(scope, &results.study_uid).await?;
        let event = self.published_event(scope, &results, &references, patient, study)?;
        let key = ResultKey(results.key.clone());
        let (instances, spools): (Vec<_>, Vec<_>) = instances.into_iter().unzip();
        let outcome = self
            .archive
            .publish(scope, key, instances, vec![event])
            .await?;
        drop(spools);
        let published = match outcome {
            PublishOutcome::Published => Published::Now(references),
            PublishOutcome::AlreadyPublished { instances } => {
                Published::Before(self.instances(scope, &instances).await?)
            }
        };
        tracing::info!(
            correlation_id = %results.correlation_id, run = %results.run,
            instances = published.instances().len(), "results published"
        );
        self.notices
            .tell(scope.tenant(), Topic::Studies, Some(&results.study_uid));
        Ok(published)
    }
}

impl ImagingService {
    /// What the rules of destinations ask of a study, as it is shown now.
    async fn study_facts(
        &self,
        scope: &TenantScope,
        study_uid: &str,
    ) -> Result<StudyFacts, ServiceError> {
        let Some(study) = self.archive.study(scope, study_uid).await? else {
            return Ok(StudyFacts::default());
        };
        let filter = SeriesFilter {
            study: StudyFilter {
                uids: vec![study_uid.to_owned()],
                ..StudyFilter::default()
            },
            ..SeriesFilter::default()
        };
        let page = Page::first(SERIES_LOOKED_AT);
        let series = self.archive.series(scope, &filter, page).await?;
        let mut body_parts: Vec<String> = series
            .into_iter()
            .filter_map(|(series, _)| series.attributes.body_part)
            .collect();
        body_parts.sort_unstable();
        body_parts.dedup();
        let description = study.attributes.description;
        Ok(StudyFacts {
            modalities: study.modalities,
            body_parts,
            description: description.map(|text| text.value).unwrap_or_default(),
        })
    }

    fn published_event(
        &self,
        scope: &TenantScope,
        results: &ResultSet,
        references: &[InstanceRef],
        patient: Option<hilum_archive::PatientIdentity>,
        study: StudyFacts,
    ) -> Result<Event, ServiceError> {
        let published = ResultsPublished {
            run: results.run,
            study_uid: results.study_uid.clone(),
            instances: references.to_vec(),
            patient: patient.map(plain_identity).unwrap_or_default(),
            model: results.model.clone(),
            study,
        };
        let correlation: CorrelationId = results.correlation_id;
        Event::new(
            scope.tenant().clone(),
            correlation,
            self.clock.now(),
            results.run.to_string(),
            1,
            &published,
        )
        .map_err(|error| ServiceError::internal(error.to_string()))
    }
}

fn plain_identity(
    patient: hilum_archive::PatientIdentity,
) -> hilum_contracts::imaging::PatientIdentity {
    hilum_contracts::imaging::PatientIdentity {
        issuer: patient.issuer.unwrap_or_default(),
        id: patient.id.unwrap_or_default(),
        name: patient.name.map(|name| name.value).unwrap_or_default(),
        birth_date: patient.birth_date.unwrap_or_default(),
        sex: patient.sex.unwrap_or_default(),
    }
}

fn reference(row: &InstanceRow) -> InstanceRef {
    InstanceRef {
        sop_class_uid: row.sop_class.clone(),
        sop_instance_uid: row.sop_instance.clone(),
        series_uid: row.series.clone(),
        transfer_syntax_uid: row.transfer_syntax.clone(),
        length: row.location.length(),
    }
}
