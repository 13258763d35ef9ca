//! The envelope of every event: CloudEvents 1.0 with the tenant, the
//! correlation id and the W3C trace context as extension attributes. Patient
//! data may stand in `data` only.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use crate::ids::{CorrelationId, EventId, TenantId};

/// Something that happened, told by the service that owns it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// CloudEvents version, always `1.0`.
    pub specversion: String,
    /// Unique for ever.
    pub id: EventId,
    /// What happened, with its version: `imaging.input-set.ready.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The service that tells it: `/imaging`.
    pub source: String,
    /// The aggregate it is about: a series UID, a run id.
    pub subject: String,
    /// Order within the aggregate; a consumer ignores what is not newer.
    pub sequence: u64,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Whose event it is.
    pub tenant: TenantId,
    /// The work it belongs to.
    #[serde(rename = "correlationid")]
    pub correlation_id: CorrelationId,
    /// W3C trace context of the work that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The payload, as its kind defines it.
    pub data: serde_json::Value,
}

/// A payload and the kind of event that carries it.
pub trait Payload: Serialize + DeserializeOwned {
    /// The event's `type`.
    const KIND: &'static str;
    /// The event's `source`.
    const SOURCE: &'static str;
}

impl Event {
    /// An event about `subject` that carries `payload`.
    ///
    /// # Errors
    /// When the payload can't be written as JSON.
    pub fn new<P: Payload>(
        tenant: TenantId,
        correlation_id: CorrelationId,
        time: OffsetDateTime,
        subject: impl Into<String>,
        sequence: u64,
        payload: &P,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            specversion: "1.0".to_owned(),
            id: EventId::new(),
            kind: P::KIND.to_owned(),
            source: P::SOURCE.to_owned(),
            subject: subject.into(),
            sequence,
            time,
            tenant,
            correlation_id,
            traceparent: None,
            data: serde_json::to_value(payload)?,
        })
    }

    /// The payload, when this event is of its kind.
    ///
    /// # Errors
    /// When the data does not have the payload's form.
    pub fn payload<P: Payload>(&self) -> Result<P, serde_json::Error> {
        P::deserialize(&self.data)
    }
}
