//! Intake: what an association, a STOW-RS request or a run brings, taken in
//! one instance at a time. An instance is described from one walk over its
//! bytes, stored, and only then acknowledged; what can't be an instance goes to
//! the quarantine.

mod describe;
pub(crate) mod dimse;
mod import;
mod live;
mod part10;
mod refused;
mod rejection;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hilum_archive::{ArchiveError, NewInstance, Origin, StoreOutcome};
use hilum_contracts::ids::CorrelationId;
use hilum_dataset::text::CharacterSet;
use hilum_dataset::{ScanError, ScanOptions};
use hilum_platform::scope::TenantScope;
use hilum_platform::traces::{self, Work};

use crate::ImagingService;
use crate::domain::readiness::Ending;
use crate::ended::Ended;
use crate::limits::TOUCHED_SERIES;
use crate::spool::{Spool, Spooled};

pub(crate) use describe::{folded, person_name};
pub use import::Imported;
pub(crate) use live::{GoingOn, Live};
pub(crate) use part10::FileSpool;
pub(crate) use refused::{NotTaken, Refused};

/// Where instances come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// An association.
    Dimse { calling_ae_title: String },
    /// A STOW-RS request.
    Stow,
    /// A run of ours.
    Hilum,
    /// Files that an operator names.
    Import,
}

impl Source {
    const fn name(&self) -> &'static str {
        match self {
            Self::Dimse { .. } => "association",
            Self::Stow => "store request",
            Self::Hilum => "results",
            Self::Import => "import",
        }
    }
}

/// One association or request.
#[derive(Clone)]
pub(crate) struct Intake {
    service: ImagingService,
    scope: TenantScope,
    id: CorrelationId,
    source: Source,
    sent: Arc<Mutex<Sent>>,
    /// What it leads to is traced behind it.
    _work: Work,
    /// The last clone to go says that this intake no longer goes on.
    _going_on: Arc<live::GoingOn>,
}

/// What came, by study and series.
#[derive(Default)]
struct Sent {
    /// Of everything acknowledged, repeats included.
    touched: BTreeSet<(String, String)>,
    /// Of what was not taken and has to come again,
    lacking: BTreeSet<(String, String)>,
    /// some of which is not known.
    lacks_unknown: bool,
}

impl Sent {
    fn lacks(&self, series: &(String, String)) -> bool {
        self.lacks_unknown || self.lacking.contains(series)
    }
}

/// The UIDs that a C-STORE request claims for its data set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimed<'a> {
    pub(crate) sop_class_uid: &'a str,
    pub(crate) sop_instance_uid: &'a str,
}

/// An acknowledged instance.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) study_uid: String,
    pub(crate) series_uid: String,
    pub(crate) sop_class_uid: String,
    pub(crate) sop_instance_uid: String,
    pub(crate) outcome: StoreOutcome,
}

impl Intake {
    pub(crate) fn begin(
        service: ImagingService,
        scope: TenantScope,
        id: CorrelationId,
        source: Source,
    ) -> Self {
        let (name, tenant) = (source.name(), scope.tenant());
        let work = match source {
            Source::Dimse { .. } | Source::Stow => Work::first(name, id, tenant),
            // A part of the run, or of what an operator takes in, which began it.
            Source::Hilum | Source::Import => {
                Work::part(name, id, traces::current().as_deref(), tenant)
            }
        };
        Self {
            _work: work,
            _going_on: Arc::new(service.live.begin(id)),
            service,
            scope,
            id,
            source,
            sent: Arc::default(),
        }
    }

    /// Whether its tenant is being moved to another shard.
    pub(crate) fn is_moving(&self) -> bool {
        let known = self.service.tenants.known();
        known.place(self.scope.tenant()).is_moving
    }

    pub(crate) fn id(&self) -> CorrelationId {
        self.id
    }

    /// A spool for the next data set.
    pub(crate) fn spool(&self) -> Spool {
        self.service.spools.begin()
    }

    /// Takes in a data set, without file meta information. When this returns
    /// `Ok`, the instance is durable.
    pub(crate) async fn receive(
        &self,
        transfer_syntax_uid: &str,
        spooled: Spooled,
        claimed: Option<Claimed<'_>>,
    ) -> Result<Received, Refused> {
        let instance = self.described(transfer_syntax_uid, &spooled).await?;
        if claimed.is_some_and(|claimed| !matches(&instance, claimed)) {
            return Err(Refused::DoesNotMatch);
        }
        self.store(instance).await
    }

    /// A spool for the next part-10 file.
    pub(crate) fn file_spool(&self) -> FileSpool {
        FileSpool::new(self.spool())
    }

    /// Takes in a part-10 file. `study_uid`: the only study that it may belong
    /// to (PS3.18 §10.5.1.1).
    pub(crate) async fn receive_file(
        &self,
        file: FileSpool,
        study_uid: Option<&str>,
    ) -> Result<Received, NotTaken> {
        let file = match file.finish() {
            Ok(Ok(file)) => file,
            Ok(Err((refusal, whole))) => {
                self.quarantine(refusal, None, &whole).await;
                return Err(Refused::NotAnInstance(refusal).into());
            }
            Err(error) => {
                self.lacks_something();
                return Err(Refused::from(error).into());
            }
        };
        let transfer_syntax_uid = &file.part10.transfer_syntax_uid;
        let mut instance = self.described(transfer_syntax_uid, &file.data_set).await?;
        if study_uid.is_some_and(|study_uid| study_uid != instance.study) {
            return Err(NotTaken {
                instance: Some((instance.sop_class, instance.sop_instance)),
                refused: Refused::DoesNotMatch,
            });
        }
        let flags = describe::file_flags(&file.part10, &instance);
        instance.flags.extend(flags);
        instance.flags.truncate(hilum_archive::limits::FLAGS);
        let uids = (instance.sop_class.clone(), instance.sop_instance.clone());
        self.store(instance).await.map_err(|refused| NotTaken {
            instance: Some(uids),
            refused,
        })
    }

    /// Describes a data set, and keeps what can't be an instance.
    async fn described(
        &self,
        transfer_syntax_uid: &str,
        spooled: &Spooled,
    ) -> Result<NewInstance, Refused> {
        match self.describe(transfer_syntax_uid, spooled).await {
            Ok(instance) => Ok(instance),
            Err(ScanError::Refused(refusal)) => {
                self.quarantine(refusal, Some(transfer_syntax_uid), spooled)
                    .await;
                Err(Refused::NotAnInstance(refusal))
            }
            Err(ScanError::Source(error)) => {
                tracing::error!(correlation_id = %self.id, %error, "the spool can't be read");
                self.lacks_something();
                Err(Refused::Unavailable)
            }
        }
    }

    async fn store(&self, instance: NewInstance) -> Result<Received, Refused> {
        let mut received = Received {
            study_uid: instance.study.clone(),
            series_uid: instance.series.clone(),
            sop_class_uid: instance.sop_class.clone(),
            sop_instance_uid: instance.sop_instance.clone(),
            outcome: StoreOutcome::Stored,
        };
        let bytes = instance.body.len();
        let stored = self.service.archive.store(&self.scope, instance).await;
        if matches!(stored, Err(ArchiveError::Deleted)) {
            self.refuse_resend().await;
        }
        received.outcome = stored.inspect_err(|error| {
            if *error == ArchiveError::Deleted {
                return;
            }
            self.sent()
                .lacking
                .insert((received.study_uid.clone(), received.series_uid.clone()));
            tracing::error!(correlation_id = %self.id, %error, "an instance was not stored");
            metrics::counter!("hilum_instances_total", "outcome" => "failed").increment(1);
        })?;
        if received.outcome == StoreOutcome::Conflict {
            self.service.comparison_bell.notify_one();
        }
        let outcome = match received.outcome {
            StoreOutcome::Stored => "stored",
            StoreOutcome::Duplicate => "duplicate",
            StoreOutcome::Variant => "variant",
            StoreOutcome::Conflict => "conflict",
        };
        metrics::counter!("hilum_instances_total", "outcome" => outcome).increment(1);
        metrics::counter!("hilum_instance_bytes_total").increment(bytes);
        // What was moved is another series by now.
        let (study, series) = (&received.study_uid, &received.series_uid);
        let followed = self.service.archive.followed(&self.scope, study, series);
        if let Some(followed) = followed.await? {
            (received.study_uid, received.series_uid) = (followed.study, followed.series);
        }
        self.service.merge_bell.notify_one();
        self.touch(&received.study_uid, &received.series_uid).await;
        Ok(received)
    }

    /// Records that what was deleted came again: who sent it and how often,
    /// nothing of what it was.
    async fn refuse_resend(&self) {
        metrics::counter!("hilum_instances_total", "outcome" => "deleted").increment(1);
        let mut spool = self.spool();
        let origin = crate::api::describe_origin(&self.origin());
        if let Err(error) = spool.write(origin.as_bytes()) {
            tracing::error!(correlation_id = %self.id, %error, "a refused resend was not recorded");
            return;
        }
        let spooled = spool.finish();
        let text = "deleted here before; this tenant refuses resends; not kept";
        self.keep_refused("deleted", text, None, &spooled).await;
    }

    async fn touch(&self, study_uid: &str, series_uid: &str) {
        // The end of an import says nothing about a series.
        if matches!(self.source, Source::Import) {
            return;
        }
        let full = {
            let mut sent = self.sent();
            sent.touched
                .insert((study_uid.to_owned(), series_uid.to_owned()));
            sent.touched.len() > TOUCHED_SERIES
        };
        if full {
            self.end(Ending::Released).await;
        }
    }

    /// What an instance is, from one walk over its bytes.
    pub(crate) async fn describe(
        &self,
        transfer_syntax_uid: &str,
        spooled: &Spooled,
    ) -> Result<NewInstance, ScanError> {
        let options = ScanOptions {
            fallback_charset: self
                .device()
                .and_then(|device| CharacterSet::parse(device.fallback_charset.as_deref()?)),
            max_inflated: self.service.config.inflated_max_mb.saturating_mul(1 << 20),
        };
        describe::describe(self, transfer_syntax_uid, spooled, options).await
    }

    fn device(&self) -> Option<hilum_platform::config::Device> {
        match &self.source {
            Source::Dimse { calling_ae_title } => self
                .service
                .tenants
                .known()
                .device(self.scope.tenant(), calling_ae_title)
                .cloned(),
            Source::Stow | Source::Hilum | Source::Import => None,
        }
    }

    fn origin(&self) -> Origin {
        match &self.source {
            Source::Dimse { calling_ae_title } => Origin::Dimse {
                calling_ae: calling_ae_title.clone(),
            },
            Source::Stow => Origin::Stow,
            Source::Hilum => Origin::Hilum,
            Source::Import => Origin::Import,
        }
    }

    /// The association or request is over.
    pub(crate) async fn end(&self, ending: Ending) {
        if let Err(error) = self.service.archive.end_store(&self.scope, self.id).await {
            tracing::error!(correlation_id = %self.id, %error, "what came in was not counted in the audit trail");
        }
        let sent = std::mem::take(&mut *self.sent());
        let (lacking, whole): (Vec<_>, Vec<_>) = sent
            .touched
            .iter()
            .cloned()
            .partition(|series| sent.lacks(series));
        // What was told to come again is not complete, however politely its sender left.
        self.tell_end(Ending::Aborted, lacking).await;
        self.tell_end(ending, whole).await;
    }

    async fn tell_end(&self, ending: Ending, touched: Vec<(String, String)>) {
        if touched.is_empty() {
            return;
        }
        let origin = crate::api::describe_origin(&self.origin());
        tracing::info!(
            correlation_id = %self.id, source = %origin, series = touched.len(), ending = ending.as_str(),
            "a sender ended"
        );
        let ended = Ended {
            scope: self.scope.clone(),
            intake: self.id,
            ending,
            touched,
            quiet_ms: self.service.quiet_ms(&self.scope, &origin),
            at: self.service.clock.now_millis(),
            _going_on: Arc::clone(&self._going_on),
        };
        self.service.sender_ended(ended).await;
    }

    /// Something was not taken that has to come again, and what it belongs to is not
    /// known: nothing of this sender's is complete.
    pub(crate) fn lacks_something(&self) {
        self.sent().lacks_unknown = true;
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// UIDs may be padded (PS3.5 §9.4); nothing else may differ.
fn matches(instance: &NewInstance, claimed: Claimed<'_>) -> bool {
    let same =
        |a: &str, b: &str| a.trim_end_matches(['\0', ' ']) == b.trim_end_matches(['\0', ' ']);
    same(&instance.sop_instance, claimed.sop_instance_uid)
        && same(&instance.sop_class, claimed.sop_class_uid)
}
