//! Erasure: what this service keeps of studies goes when their patient does, and
//! all of a tenant when that is ended.

use async_trait::async_trait;
use hilum_contracts::audit::Subject;
use hilum_contracts::erasure::Forgets;
use hilum_contracts::error::ServiceError;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::ImagingService;
use crate::store::erasure::{FORGET, FORGET_TENANT};

/// How a Patient ID (0010,0020) stands in a data set of any encoding (PS3.5
/// §7.1), so that it is found in bytes that are no instance.
#[must_use]
pub fn patient_id_elements(id: &str) -> Vec<Vec<u8>> {
    let mut value = id.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(b' ');
    }
    let Ok(short) = u16::try_from(value.len()) else {
        return Vec::new();
    };
    let little = [0x10, 0x00, 0x20, 0x00];
    let heads = [
        [&little[..], b"LO", &short.to_le_bytes()].concat(),
        [&little[..], &u32::from(short).to_le_bytes()].concat(),
        [&[0x00, 0x10, 0x00, 0x20][..], b"LO", &short.to_be_bytes()].concat(),
    ];
    heads
        .into_iter()
        .map(|head| [head, value.clone()].concat())
        .collect()
}

#[async_trait]
impl Forgets for ImagingService {
    fn name(&self) -> &'static str {
        "imaging"
    }

    async fn forget_audited(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<(), ServiceError> {
        let gone = self.trail.forget(scope, subjects).await;
        gone.map(drop).map_err(|error| database_error(&error))
    }

    async fn forget(
        &self,
        scope: &TenantScope,
        study_uids: &[String],
    ) -> Result<u64, ServiceError> {
        self.unrecorded.forget(scope.tenant(), Some(study_uids));
        self.store
            .db()
            .forget(scope.tenant(), study_uids, FORGET)
            .await
            .map_err(|error| database_error(&error))
    }

    async fn forget_tenant(&self, scope: &TenantScope) -> Result<u64, ServiceError> {
        self.trail.end(scope.tenant());
        self.unrecorded.forget(scope.tenant(), None);
        let db = self.store.db();
        db.end_tenant(scope.tenant(), FORGET_TENANT)
            .await
            .map_err(|error| database_error(&error))
    }
}
