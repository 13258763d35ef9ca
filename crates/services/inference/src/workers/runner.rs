//! Carries out one run after another: fetch, compute in a worker, publish,
//! record. Every step may be cut short at any moment; the run row names the
//! results, and the first result set under a run's key wins, so a repeat
//! leaves what one whole run leaves.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::{InputSetId, RunId};
use hilum_contracts::imaging::{Imaging, InstanceRef, ResultInstance, ResultSet};
use hilum_platform::auth;
use hilum_platform::clock::from_millis;
use hilum_platform::flags::About;
use hilum_platform::jobs::{self, Job, Leases, backoff};
use hilum_platform::limits::{JOB_AWAY, JOB_POLL};
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;
use hilum_platform::traces::Work;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::instances;
use crate::api::ResultInstanceItem;
use crate::limits::{
    PROGRESS_EVERY, RETRY_FIRST, RETRY_MAX, RUN_ATTEMPTS_MAX, SOURCE_ATTEMPTS_MAX,
};
use crate::pipeline::{RunContext, Superseded};
use crate::service::{InferenceService, flag_of};
use crate::store::{Ending, JOB_KIND, RunRow};
use crate::worker::{Failure, Finished, RunInput};

pub(crate) struct Runner {
    pub(crate) service: InferenceService,
    pub(crate) imaging: Arc<dyn Imaging>,
}

#[async_trait]
impl jobs::Worker for Runner {
    fn leases(&self) -> Leases<'_> {
        Leases {
            db: self.service.store.db(),
            clock: &*self.service.clock,
            kind: JOB_KIND,
            bell: &self.service.bell,
        }
    }

    async fn attempt(&self, job: &Job, owner: &str, stop: &CancellationToken) {
        let scope = auth::service(&job.tenant, "inference");
        let store = &self.service.store;
        let run = match store
            .begin_attempt(&scope, &job.subject, self.service.clock.now_millis())
            .await
        {
            Ok(Some(run)) => run,
            Ok(None) => return self.close(job, owner).await,
            Err(error) => {
                // It is taken up again as soon as the database answers.
                tracing::error!(correlation_id = %job.correlation_id, %error, "a run could not be begun");
                tokio::time::sleep(JOB_POLL).await;
                return;
            }
        };
        self.tell(&scope, &run);
        let ending = tokio::select! {
            ending = self.compute(&scope, &run, job) => ending,
            () = jobs::keep_lease(self.leases(), job, owner) => return,
            () = stop.cancelled() => Ending::HandedBack,
        };
        tracing::info!(correlation_id = %job.correlation_id, run = %run.id, model = %run.model, outcome = ending.name(), "run");
        metrics::counter!("hilum_runs_total", "model" => run.model.clone(), "outcome" => ending.name()).increment(1);
        let recorded = store
            .end_attempt(
                &scope,
                &self.service.trail,
                &run,
                (job, owner),
                &ending,
                self.service.clock.now_millis(),
            )
            .await;
        match recorded {
            Ok(true) => self.service.outbox.ring(),
            Ok(false) => {
                tracing::warn!(correlation_id = %job.correlation_id, run = %run.id, "the lease was lost before the end was recorded")
            }
            Err(error) => {
                tracing::error!(correlation_id = %job.correlation_id, %error, "the end of a run was not recorded")
            }
        }
        self.tell(&scope, &run);
        if matches!(ending, Ending::NotYet { .. }) {
            // One after the other asks in vain: that need not be often.
            stop.run_until_cancelled(tokio::time::sleep(JOB_POLL)).await;
        }
    }
}

impl Runner {
    /// A job whose run has ended meanwhile.
    async fn close(&self, job: &Job, owner: &str) {
        let closed = async {
            let mut tx = self.service.store.db().begin(&job.tenant).await?;
            jobs::finish(&mut tx, job, owner, jobs::End::Done).await?;
            tx.commit().await
        };
        if let Err(error) = closed.await {
            tracing::error!(correlation_id = %job.correlation_id, %error, "a job could not be closed");
        }
    }

    fn tell(&self, scope: &TenantScope, run: &RunRow) {
        self.service
            .notices
            .tell(scope.tenant(), Topic::Runs, Some(&run.study_uid));
    }

    async fn compute(&self, scope: &TenantScope, run: &RunRow, job: &Job) -> Ending {
        let Some(model) = self
            .service
            .model(&run.model)
            .filter(|m| m.id().1 == run.version && m.digest == run.model_digest)
        else {
            return Ending::Failed {
                reason: format!(
                    "The model {} {} that this run was queued for is not installed any more.",
                    run.model, run.version
                ),
            };
        };
        let flag = flag_of(&run.model);
        let about = About {
            tenant: scope.tenant(),
            study_uid: &run.study_uid,
            version: &run.version,
        };
        if !self.service.flags.is_on(&flag, about).await {
            return switched_off(run);
        }
        let input = async {
            let input_set: InputSetId = run
                .input_set
                .parse()
                .map_err(|_| ServiceError::internal("The run names no input set."))?;
            let instances = self.imaging.input_set(scope, input_set).await?;
            let context = self.context(scope, run).await?;
            Ok::<_, ServiceError>((instances, context))
        };
        let (instances, context) = match input.await {
            Ok(input) => input,
            Err(error) => return self.source_failed(run, job, &error),
        };
        let input = RunInput {
            model,
            context,
            stored_bytes: instances::stored_bytes(&instances),
            instances: instances::fetch(Arc::clone(&self.imaging), scope.clone(), instances),
        };
        let (place, places) = watch::channel((String::new(), 0.0));
        let mut traced = Work::default();
        let mut at = String::new();
        let mut progress = |step: &str, fraction: f64| {
            if step != at {
                step.clone_into(&mut at);
                traced = Work::step("step").with("hilum.step", step);
            }
            let _nobody_listens = place.send((step.to_owned(), fraction));
        };
        let outcome = tokio::select! {
            outcome = self.service.supervisor.run(input, &mut progress) => outcome,
            () = self.record_places(scope, run, places) => return Ending::Superseded,
            () = self.service.flags.is_switched_off(&flag, about) => return switched_off(run),
        };
        match outcome {
            Ok(finished) => self.publish(scope, run, job, finished).await,
            Err(failure) => self.failed(run, job, failure),
        }
    }

    /// What the run row fixes, and what it supersedes.
    async fn context(&self, scope: &TenantScope, run: &RunRow) -> Result<RunContext, ServiceError> {
        let older = self
            .service
            .store
            .superseded_results(scope, run)
            .await
            .map_err(|e| hilum_platform::http::database_error(&e))?;
        let older: Vec<ResultInstanceItem> = older
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default();
        let superseded = older.into_iter().map(|i| Superseded {
            study_uid: run.study_uid.clone(),
            series_uid: i.series_uid,
            sop_class_uid: i.sop_class_uid,
            sop_instance_uid: i.sop_instance_uid,
        });
        Ok(RunContext {
            run: run
                .id
                .parse()
                .map_err(|_| ServiceError::internal("The run has no valid id."))?,
            created: from_millis(run.queued_at),
            software: self.service.software.clone(),
            superseded: superseded.collect(),
            revision: u32::try_from(run.revision).unwrap_or(1),
            memory_bytes: 0,
        })
    }

    /// Writes where the run is, now and then. Returns when the run is no longer wanted.
    async fn record_places(
        &self,
        scope: &TenantScope,
        run: &RunRow,
        mut places: watch::Receiver<(String, f64)>,
    ) {
        while places.changed().await.is_ok() {
            let (step, fraction) = places.borrow_and_update().clone();
            match self
                .service
                .store
                .advance(scope, &run.id, "running", &step, fraction)
                .await
            {
                Ok(true) => self.tell(scope, run),
                Ok(false) => return,
                Err(error) => tracing::warn!(run = %run.id, %error, "progress was not recorded"),
            }
            tokio::time::sleep(PROGRESS_EVERY).await;
        }
        // The run has ended and its own branch says how.
        std::future::pending::<()>().await;
    }

    async fn publish(
        &self,
        scope: &TenantScope,
        run: &RunRow,
        job: &Job,
        finished: Finished,
    ) -> Ending {
        match self
            .service
            .store
            .advance(scope, &run.id, "publishing", "publish", 0.99)
            .await
        {
            Ok(true) => {}
            Ok(false) => return Ending::Superseded,
            Err(error) => {
                return self.source_failed(run, job, &hilum_platform::http::database_error(&error));
            }
        }
        let Ok(id) = run.id.parse::<RunId>() else {
            return Ending::Failed {
                reason: "The run has no valid id.".to_owned(),
            };
        };
        let results = ResultSet {
            run: id,
            key: format!("{}/{}/{}", run.input_set, run.model, run.version),
            study_uid: run.study_uid.clone(),
            model: run.model.clone(),
            correlation_id: job.correlation_id,
            instances: finished
                .objects
                .into_iter()
                .map(|data_set| ResultInstance { data_set })
                .collect(),
        };
        let published = match self.imaging.publish_results(scope, results).await {
            Ok(published) => published,
            Err(error) => return self.source_failed(run, job, &error),
        };
        let instances: Vec<ResultInstanceItem> =
            published.instances().iter().map(published_item).collect();
        let figures = finished.figures;
        let json = (
            serde_json::to_string(&figures.warnings),
            serde_json::to_string(&figures.measurements),
            serde_json::to_string(&instances),
        );
        let (Ok(warnings), Ok(measurements), Ok(instances)) = json else {
            return Ending::Failed {
                reason: "The figures of the run could not be written.".to_owned(),
            };
        };
        metrics::histogram!("hilum_run_seconds", "model" => run.model.clone())
            .record(figures.timings.steps);
        Ending::Succeeded {
            warnings,
            measurements,
            instances,
            seconds_model: figures.timings.steps,
        }
    }

    fn failed(&self, run: &RunRow, job: &Job, failure: Failure) -> Ending {
        match failure {
            Failure::Refused(refusal) => Ending::Refused {
                code: refusal.code(),
                reason: refusal.to_string(),
            },
            Failure::Failed(problem) => Ending::Failed {
                reason: format!("The model failed: {problem}"),
            },
            Failure::NoRuntime => Ending::Failed {
                reason: failure.to_string(),
            },
            Failure::Source(error) => self.source_failed(run, job, &error),
            Failure::Worker(reason) => {
                let tried = run.attempts.saturating_add(1);
                if tried >= i64::from(RUN_ATTEMPTS_MAX) {
                    return Ending::Failed {
                        reason: format!("Given up after {tried} tries. {reason}"),
                    };
                }
                Ending::Again {
                    at: self.later(tried),
                    reason,
                    counts: true,
                }
            }
        }
    }

    /// Imaging did not give or take what it should.
    fn source_failed(&self, run: &RunRow, job: &Job, error: &ServiceError) -> Ending {
        match error.code {
            ErrorCode::Conflict => Ending::Superseded,
            ErrorCode::NotFound => Ending::Refused {
                code: "input-gone".to_owned(),
                reason: "The images that this run was to compute were deleted.".to_owned(),
            },
            ErrorCode::Unavailable => {
                tracing::warn!(correlation_id = %job.correlation_id, run = %run.id, error = %error, "a run waits for a neighbour or the database");
                let now = self.service.clock.now_millis();
                Ending::NotYet {
                    at: now.saturating_add(i64::try_from(JOB_AWAY.as_millis()).unwrap_or(i64::MAX)),
                    reason: error.message.clone(),
                }
            }
            code if code.is_retryable() && job.attempts < SOURCE_ATTEMPTS_MAX => {
                tracing::warn!(correlation_id = %job.correlation_id, run = %run.id, error = %error, "a run waits for Imaging");
                Ending::Again {
                    at: self.later(job.attempts),
                    reason: error.message.clone(),
                    counts: false,
                }
            }
            _ => Ending::Failed {
                reason: error.message.clone(),
            },
        }
    }

    fn later(&self, attempts: i64) -> i64 {
        self.service
            .clock
            .now_millis()
            .saturating_add(backoff(attempts, RETRY_FIRST, RETRY_MAX))
    }
}

/// Refused, so that a person sees why, and starts it anew when the model is on again.
fn switched_off(run: &RunRow) -> Ending {
    Ending::Refused {
        code: "switched-off".to_owned(),
        reason: format!("The model {} is switched off.", run.model),
    }
}

fn published_item(instance: &InstanceRef) -> ResultInstanceItem {
    use dicom_dictionary_std::uids;
    let kind = match instance.sop_class_uid.as_str() {
        uids::SEGMENTATION_STORAGE => "SEG",
        uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE => "KO",
        _ => "SR",
    };
    ResultInstanceItem {
        sop_class_uid: instance.sop_class_uid.clone(),
        sop_instance_uid: instance.sop_instance_uid.clone(),
        series_uid: instance.series_uid.clone(),
        kind: kind.to_owned(),
    }
}
