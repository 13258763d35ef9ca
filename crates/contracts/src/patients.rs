//! What Patients answers: whether an identity that images carry is one person.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::ServiceError;
use crate::event::Payload;
use crate::scope::TenantScope;

/// What is known of the patient whom a study names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatientState {
    /// Images are stored; Patients has not seen their event yet.
    Pending,
    /// One person, as far as the images tell.
    Confirmed,
    /// Images under one key contradict each other; a person has to decide.
    Conflict,
    /// The images carry no Patient ID.
    NoPatientId,
}

/// `patients.conflict.resolved.v1`: a person decided. Subject: the conflict's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConflictResolved {
    /// Studies that may be delivered again.
    pub study_uids: Vec<String>,
}

impl Payload for ConflictResolved {
    const KIND: &'static str = "patients.conflict.resolved.v1";
    const SOURCE: &'static str = "/patients";
}

/// What Patients answers to its neighbours.
#[async_trait]
pub trait Patients: Send + Sync {
    /// What is known of the patient whom a study names.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    async fn state_of_study(
        &self,
        scope: &TenantScope,
        study_uid: &str,
    ) -> Result<PatientState, ServiceError>;
}
