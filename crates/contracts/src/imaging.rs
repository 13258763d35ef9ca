//! What Imaging tells and answers: series as they were received, input sets
//! that are complete, and results that were published.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::ServiceError;
use crate::event::{Event, Payload};
use crate::ids::{CorrelationId, InputSetId, RunId};
use crate::scope::TenantScope;

/// A patient as an image names them. Empty means absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientIdentity {
    /// Issuer of Patient ID (0010,0021), or the device's default issuer.
    pub issuer: String,
    /// Patient ID (0010,0020).
    pub id: String,
    /// Patient's Name (0010,0010), UTF-8, as received.
    pub name: String,
    /// Patient's Birth Date (0010,0030), `YYYYMMDD`.
    pub birth_date: String,
    /// Patient's Sex (0010,0040).
    pub sex: String,
}

/// `imaging.instances.stored.v1`: instances of one series became durable.
/// Subject: the Series Instance UID.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstancesStored {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// Modality of the series; empty when absent.
    pub modality: String,
    /// The patient as the first of these instances names them.
    pub patient: PatientIdentity,
    /// How many instances became durable in this commit.
    pub added: u64,
    /// Who brought them: an association's or request's id.
    pub intake_id: CorrelationId,
    /// `dimse:AETITLE`, `stow` or `hilum` for our own outputs.
    pub origin: String,
    /// When the last of them became durable.
    #[serde(with = "time::serde::rfc3339")]
    pub last_stored_at: OffsetDateTime,
}

impl Payload for InstancesStored {
    const KIND: &'static str = "imaging.instances.stored.v1";
    const SOURCE: &'static str = "/imaging";
}

impl InstancesStored {
    /// One event that says what two say, one after the other; `None` unless both are of
    /// what one sender brings of one series.
    #[must_use]
    pub fn joined(earlier: &Event, later: &Event) -> Option<Event> {
        let are_stored = earlier.kind == Self::KIND && later.kind == Self::KIND;
        if !are_stored || earlier.tenant != later.tenant || earlier.subject != later.subject {
            return None;
        }
        let (one, mut all): (Self, Self) = (earlier.payload().ok()?, later.payload().ok()?);
        let of = |one: &Self| {
            let uids = [one.study_uid.clone(), one.series_uid.clone()];
            let said = [one.modality.clone(), one.origin.clone()];
            (uids, said, one.intake_id, one.patient.clone())
        };
        if of(&one) != of(&all) {
            return None;
        }
        all.added = all.added.checked_add(one.added)?;
        all.last_stored_at = all.last_stored_at.max(one.last_stored_at);
        let data = serde_json::to_value(&all).ok()?;
        Some(Event {
            data,
            ..later.clone()
        })
    }
}

/// `imaging.instances.deleted.v1`: a study, a series or an instance is gone.
/// Subject: the Study Instance UID.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstancesDeleted {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID; absent when the whole study went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_uid: Option<String>,
    /// SOP Instance UID, when it was one instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sop_instance_uid: Option<String>,
    /// How many instances went.
    pub instances: u64,
}

impl Payload for InstancesDeleted {
    const KIND: &'static str = "imaging.instances.deleted.v1";
    const SOURCE: &'static str = "/imaging";
}

/// `imaging.instances.rejected.v1`: a rejection note took instances of a series
/// out of what is answered, or its deletion brought them back. Subject: the
/// Series Instance UID.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstancesRejected {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// SOP Instance UIDs.
    pub sop_instance_uids: Vec<String>,
    /// `false`: they are answered again.
    pub rejected: bool,
    /// How many instances of the series are answered now.
    pub left: u64,
}

impl Payload for InstancesRejected {
    const KIND: &'static str = "imaging.instances.rejected.v1";
    const SOURCE: &'static str = "/imaging";
}

/// `imaging.instances.moved.v1`: instances belong to another series since.
/// Subject: the Series Instance UID that they went to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstancesMoved {
    /// Study Instance UID that they left.
    pub from_study_uid: String,
    /// Series Instance UID that they left.
    pub from_series_uid: String,
    /// Study Instance UID that they went to.
    pub study_uid: String,
    /// Series Instance UID that they went to.
    pub series_uid: String,
    /// SOP Instance UIDs.
    pub sop_instance_uids: Vec<String>,
    /// How many instances the series that they left has now.
    pub left: u64,
    /// How many the other one has.
    pub total: u64,
}

impl Payload for InstancesMoved {
    const KIND: &'static str = "imaging.instances.moved.v1";
    const SOURCE: &'static str = "/imaging";
}

/// `imaging.study.corrected.v1`: a person corrected attributes of a study or of
/// a series. Subject: the Study Instance UID; sequence: the version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StudyCorrected {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID, when a series was corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_uid: Option<String>,
    /// The patient from now on, when the study was corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<PatientIdentity>,
}

impl Payload for StudyCorrected {
    const KIND: &'static str = "imaging.study.corrected.v1";
    const SOURCE: &'static str = "/imaging";
}

/// Why an input set was considered complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyReason {
    /// Believed: the association was released, then nothing came for the quiet time.
    AssociationReleased,
    /// Believed: the STOW-RS request ended, then nothing came for the quiet time.
    StowEnded,
    /// A person said that it is complete as it is.
    AcceptedByPerson,
    /// A rejection note or a person changed which of its images count; nobody
    /// sends any more.
    ContentChanged,
}

/// `imaging.input-set.ready.v1`: an input set is complete, and why.
/// Subject: the Series Instance UID; sequence: the revision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputSetReady {
    /// This revision of the input set.
    pub input_set: InputSetId,
    /// 1 for the first; a late image starts the next.
    pub revision: u32,
    /// The revision that this one supersedes.
    pub supersedes: Option<InputSetId>,
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// Modality of the series; empty when absent.
    pub modality: String,
    /// How many instances it holds.
    pub instance_count: u64,
    /// SHA-256 over its sorted SOP Instance UIDs and their data-set hashes, hex.
    pub digest: String,
    /// Why it was considered complete.
    pub reason: ReadyReason,
    /// The same as a sentence for people.
    pub reason_text: String,
    /// When its last instance became durable.
    #[serde(with = "time::serde::rfc3339")]
    pub last_instance_at: OffsetDateTime,
}

impl Payload for InputSetReady {
    const KIND: &'static str = "imaging.input-set.ready.v1";
    const SOURCE: &'static str = "/imaging";
}

/// `imaging.results.published.v1`: a result set is visible. Subject: the run id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResultsPublished {
    /// The run that made them.
    pub run: RunId,
    /// Study Instance UID.
    pub study_uid: String,
    /// What was published.
    pub instances: Vec<InstanceRef>,
    /// The patient that the source images name.
    pub patient: PatientIdentity,
    /// The model that made them; empty in events from before it was told.
    #[serde(default)]
    pub model: String,
    /// Of the study, when they were published; empty in events from before it was told.
    #[serde(default)]
    pub study: StudyFacts,
}

/// What rules for results may ask of their study.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudyFacts {
    /// Modalities in Study (0008,0061).
    pub modalities: Vec<String>,
    /// Body Part Examined (0018,0015) of its series, each once.
    pub body_parts: Vec<String>,
    /// Study Description (0008,1030); empty when absent.
    pub description: String,
}

impl Payload for ResultsPublished {
    const KIND: &'static str = "imaging.results.published.v1";
    const SOURCE: &'static str = "/imaging";
}

/// Names one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRef {
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// Transfer syntax in which it is stored.
    pub transfer_syntax_uid: String,
    /// Bytes of its data set.
    pub length: u64,
}

/// A data set in pieces, with its first bytes first.
pub type DataSetStream = BoxStream<'static, Result<Bytes, ServiceError>>;

/// A result to publish: a data set in explicit VR little endian.
#[derive(Clone, Debug)]
pub struct ResultInstance {
    /// Its data set, without file meta information.
    pub data_set: Bytes,
}

/// A run's results, published together or not at all.
#[derive(Clone, Debug)]
pub struct ResultSet {
    /// The run that made them.
    pub run: RunId,
    /// Unique within the tenant: input revision, model and version. The first
    /// result set under a key wins.
    pub key: String,
    /// The study they belong to.
    pub study_uid: String,
    /// The model that made them.
    pub model: String,
    /// The work they belong to.
    pub correlation_id: CorrelationId,
    /// The instances.
    pub instances: Vec<ResultInstance>,
}

/// What became of a result set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Published {
    /// It is visible now.
    Now(Vec<InstanceRef>),
    /// An earlier one under the same key is; this one was discarded.
    Before(Vec<InstanceRef>),
}

impl Published {
    /// The instances that are visible under the key.
    #[must_use]
    pub fn instances(&self) -> &[InstanceRef] {
        match self {
            Self::Now(instances) | Self::Before(instances) => instances,
        }
    }
}

/// What Imaging answers to its neighbours.
#[async_trait]
pub trait Imaging: Send + Sync {
    /// The instances of one revision of an input set, in no order.
    ///
    /// # Errors
    /// `NotFound` when the revision does not exist for this tenant;
    /// `Conflict` when a newer one has superseded it.
    async fn input_set(
        &self,
        scope: &TenantScope,
        input_set: InputSetId,
    ) -> Result<Vec<InstanceRef>, ServiceError>;

    /// The data set of an instance, as received but for what was corrected.
    ///
    /// # Errors
    /// `NotFound`, or `Corrupt` when its bytes are not what was written.
    async fn data_set(
        &self,
        scope: &TenantScope,
        sop_instance_uid: &str,
    ) -> Result<DataSetStream, ServiceError>;

    /// Names instances that are known, in the order asked; unknown ones are left out.
    ///
    /// # Errors
    /// `Unavailable` when the index does not answer.
    async fn instances(
        &self,
        scope: &TenantScope,
        sop_instance_uids: &[String],
    ) -> Result<Vec<InstanceRef>, ServiceError>;

    /// Publishes a run's results in one transaction.
    ///
    /// # Errors
    /// `Invalid` when a data set is not a valid instance of the study.
    async fn publish_results(
        &self,
        scope: &TenantScope,
        results: ResultSet,
    ) -> Result<Published, ServiceError>;
}
