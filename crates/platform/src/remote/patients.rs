//! Patients over the network: both ends.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::error::ServiceError;
use hilum_contracts::patients::{PatientState, Patients};
use hilum_contracts::scope::TenantScope;

use super::{Answering, Asking, Neighbour};

/// Patients in another process.
#[derive(Clone, Debug)]
pub struct RemotePatients(pub Neighbour);

#[async_trait]
impl Patients for RemotePatients {
    async fn state_of_study(
        &self,
        scope: &TenantScope,
        study_uid: &str,
    ) -> Result<PatientState, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0
            .ask(asking, "state-of-study", Some(scope), study_uid)
            .await
    }
}

/// Answers for `patients`.
pub fn answer(answering: Answering, patients: Arc<dyn Patients>) -> Answering {
    answering.on("state-of-study", move |scope, study_uid: String| {
        let patients = Arc::clone(&patients);
        async move { patients.state_of_study(&scope, &study_uid).await }
    })
}
