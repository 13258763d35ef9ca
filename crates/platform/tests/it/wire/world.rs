//! Services that always answer the same, with every field filled in, and everything
//! that a neighbour asks them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use futures::StreamExt as _;
use hilum_contracts::access::Role;
use hilum_contracts::audit::{Act, Entry, Outcome, Subject};
use hilum_contracts::erasure::{EndedTenant, EndsTenants, Forgets};
use hilum_contracts::error::ServiceError;
use hilum_contracts::export::{ExportPage, Exports};
use hilum_contracts::identity::{
    Admitted, AdmittedDevice, DeviceAdmission, DeviceAsks, DeviceRejection, Identity, Names,
};
use hilum_contracts::ids::{ApiKeyId, CorrelationId, InputSetId, PersonId, TenantId};
use hilum_contracts::imaging::{DataSetStream, Imaging, InstanceRef, Published, ResultSet};
use hilum_contracts::patients::{PatientState, Patients};
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use hilum_contracts::service::ServiceName;
use hilum_platform::audit::{
    AuditSource, Filter, Find, Found, Head, KeyError, Raw, Record, SealedSubject, TellsAll,
    TenantKeys,
};
use hilum_platform::events::{DeadLetter, DeadLetters};
use hilum_platform::jobs::{Backlog, Jobs, Listed, State};
use hilum_platform::remote::member::{Readiness, Ready};
use hilum_platform::remote::{
    Answering, audit, directory, identity, imaging, keys, member, patients,
};
use hilum_platform::tenants::Directory;
use zeroize::Zeroizing;

use super::values::{ID, acting, ended, entry, head, known, reference, subjects};
use crate::tenant;

/// Every service at once.
#[derive(Clone)]
pub(super) struct Fixed;

type Answer<T> = Result<T, ServiceError>;

#[async_trait]
impl Imaging for Fixed {
    async fn input_set(&self, _: &TenantScope, _: InputSetId) -> Answer<Vec<InstanceRef>> {
        Ok(vec![reference()])
    }
    async fn data_set(&self, _: &TenantScope, _: &str) -> Answer<DataSetStream> {
        Ok(futures::stream::iter([Ok(Bytes::from_static(b"DICM"))]).boxed())
    }
    async fn instances(&self, _: &TenantScope, _: &[String]) -> Answer<Vec<InstanceRef>> {
        Ok(vec![reference()])
    }
    async fn publish_results(&self, _: &TenantScope, results: ResultSet) -> Answer<Published> {
        let length = results
            .instances
            .first()
            .map_or(0, |one| one.data_set.len());
        Ok(Published::Now(vec![InstanceRef {
            length: length as u64,
            ..reference()
        }]))
    }
}

#[async_trait]
impl Patients for Fixed {
    async fn state_of_study(&self, _: &TenantScope, _: &str) -> Answer<PatientState> {
        Ok(PatientState::NoPatientId)
    }
}

#[async_trait]
impl Identity for Fixed {
    async fn session(&self, _: &str, _: Option<IpAddr>) -> Answer<Option<Admitted>> {
        let (tenant, acting) = (tenant(), acting());
        Ok(Some(Admitted {
            tenant,
            acting,
            pass: None,
        }))
    }
    async fn api_key(&self, _: &str, _: Option<IpAddr>) -> Answer<Option<Admitted>> {
        let acting = Acting {
            principal: Principal::ApiKey(ApiKeyId(ID)),
            right: Right::Role(Role::Integration),
            ..acting()
        };
        let tenant = tenant();
        Ok(Some(Admitted {
            tenant,
            acting,
            pass: None,
        }))
    }
    async fn device(&self, asks: &DeviceAsks) -> Answer<DeviceAdmission> {
        if asks.calling == "NOBODY" {
            return Ok(DeviceAdmission::Rejected(DeviceRejection::CallingUnknown));
        }
        Ok(DeviceAdmission::Admitted(AdmittedDevice {
            tenant: tenant(),
            ae_title: asks.calling.clone(),
            issuer: Some("north".to_owned()),
            quiet_seconds: Some(1.5),
            fallback_charset: Some("ISO_IR 100".to_owned()),
        }))
    }
    async fn is_still(&self, _: &TenantScope) -> Answer<bool> {
        Ok(true)
    }
}

#[async_trait]
impl Names for Fixed {
    async fn people(&self, _: &TenantScope, _: &[PersonId]) -> Answer<HashMap<PersonId, String>> {
        Ok([(PersonId(ID), "Ada".to_owned())].into())
    }
    async fn keys(&self, _: &TenantScope, _: &[ApiKeyId]) -> Answer<HashMap<ApiKeyId, String>> {
        Ok([(ApiKeyId(ID), "sync".to_owned())].into())
    }
}

#[async_trait]
impl TenantKeys for Fixed {
    async fn derive(&self, _: &TenantId, _: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        Ok(Zeroizing::new([7; 32]))
    }
}

#[async_trait]
impl AuditSource for Fixed {
    fn writer(&self) -> &str {
        "imaging"
    }
    async fn heads(&self) -> Answer<Vec<(TenantId, Head)>> {
        Ok(vec![(tenant(), head()), (TenantId::installation(), head())])
    }
    async fn head(&self, _: &TenantScope) -> Answer<Head> {
        Ok(head())
    }
    async fn entries(&self, _: &TenantScope, _: u64, _: u32) -> Answer<Vec<Raw>> {
        Ok(vec![Raw {
            position: 1,
            at: 2,
            act: "erase".to_owned(),
            outcome: "success".to_owned(),
            who: "local operator".to_owned(),
            body: vec![3; 4],
            hash: vec![5; 32],
        }])
    }
    async fn search(
        &self,
        scope: &TenantScope,
        _: &Filter,
        _: Option<(i64, u64)>,
        _: u32,
    ) -> Answer<Vec<Found>> {
        let Entry { details, .. } = entry();
        let record = Record {
            version: 1,
            tenant: scope.tenant().clone(),
            writer: "imaging".to_owned(),
            position: 1,
            at: 2,
            principal: Principal::Service("imaging".to_owned()),
            right: Right::Continuation,
            from: Some([192, 0, 2, 7].into()),
            act: Act::Erase,
            outcome: Outcome::Refused,
            count: 3,
            subjects: vec![SealedSubject {
                handle: [4; 16],
                sealed: vec![5; 8],
            }],
            details,
            correlation: Some(CorrelationId(ID)),
        };
        let subjects = vec![Some(Subject::study("1.2")), None];
        Ok(vec![Found { record, subjects }])
    }
    async fn beside(&self, _: &TenantScope, _: &Find, _: u32) -> Answer<Vec<Subject>> {
        Ok(subjects())
    }
    async fn remove(&self, _: &TenantScope, position: u64) -> Answer<u64> {
        Ok(position)
    }
}

#[async_trait]
impl Forgets for Fixed {
    fn name(&self) -> &'static str {
        "patients"
    }
    async fn forget_audited(&self, _: &TenantScope, _: &[Subject]) -> Answer<()> {
        Ok(())
    }
    async fn forget_named(&self, _: &TenantScope, _: &[Subject]) -> Answer<u64> {
        Ok(1)
    }
    async fn forget(&self, _: &TenantScope, _: &[String]) -> Answer<u64> {
        Ok(2)
    }
    async fn forget_tenant(&self, _: &TenantScope) -> Answer<u64> {
        Ok(3)
    }
}

#[async_trait]
impl Exports for Fixed {
    async fn export(&self, _: &TenantScope, _: Option<&str>) -> Answer<ExportPage> {
        Ok(ExportPage {
            lines: vec!["{}".to_owned()],
            next: Some("2".to_owned()),
        })
    }
}

#[async_trait]
impl Jobs for Fixed {
    fn service(&self) -> &'static str {
        "inference"
    }
    async fn jobs(&self, _: &TenantScope, state: State) -> Answer<Vec<Listed>> {
        Ok(vec![Listed {
            id: ID.to_string(),
            subject: ID.to_string(),
            correlation_id: ID.to_string(),
            state,
            attempts: 1,
            due_at: 2,
            created_at: 3,
            reason: Some("it broke".to_owned()),
            what: "CT lung 1.0".to_owned(),
            study_uid: Some("1.2".to_owned()),
        }])
    }
    async fn backlog(&self) -> Answer<Backlog> {
        Ok(Backlog {
            waiting: 1,
            oldest: 2,
            dead: 3,
        })
    }
    async fn replay(&self, _: &TenantScope, _: &str) -> Answer<bool> {
        Ok(true)
    }
}

#[async_trait]
impl DeadLetters for Fixed {
    fn consumer(&self) -> &'static str {
        "patients.identities"
    }
    async fn dead_letters(&self, _: &TenantScope) -> Answer<Vec<DeadLetter>> {
        Ok(vec![DeadLetter {
            event_id: ID.to_string(),
            consumer: "patients.identities".to_owned(),
            kind: "imaging.instances.stored.v1".to_owned(),
            attempts: 1,
            last_error: Some("it broke".to_owned()),
            received_at: 2,
        }])
    }
    async fn backlog(&self) -> Answer<Backlog> {
        Jobs::backlog(self).await
    }
    async fn replay(&self, _: &TenantScope, _: &str) -> Answer<bool> {
        Ok(false)
    }
}

#[async_trait]
impl EndsTenants for Fixed {
    async fn begin_ending(&self, _: &TenantScope, _: u64) -> Answer<()> {
        Ok(())
    }
    async fn begin_ending_again(&self, _: &TenantScope) -> Answer<()> {
        Ok(())
    }
    async fn ended_tenants(&self) -> Answer<Vec<EndedTenant>> {
        Ok(vec![ended()])
    }
    async fn keep_holdings(&self, _: &TenantScope, _: &str) -> Answer<EndedTenant> {
        Ok(ended())
    }
    async fn certify_ending(&self, _: &TenantScope, _: &str, _: &str) -> Answer<()> {
        Ok(())
    }
}

#[async_trait]
impl TellsAll for Fixed {
    async fn tell_all(&self, _: Entry) -> Answer<()> {
        Ok(())
    }
}

#[async_trait]
impl Ready for Fixed {
    async fn ready(&self) -> Readiness {
        Readiness {
            ready: true,
            detail: Some("answers".to_owned()),
        }
    }
}

/// Every question there is, answered. The service is one of the six; which one makes
/// no difference to what is written.
pub(super) fn answering() -> Answering {
    let all = || Arc::new(Fixed);
    let answering = Answering::new(ServiceName::Imaging);
    let answering = imaging::answer(answering, all());
    let answering = patients::answer(answering, all());
    let answering = identity::answer(answering, &Fixed);
    let answering = directory::answer(answering, Directory::new(known()));
    let answering = keys::answer(answering, all());
    let answering = audit::answer(answering, all());
    let answering = member::answer_forgets(answering, all());
    let answering = member::answer_exports(answering, all());
    let answering = member::answer_jobs(answering, all());
    let answering = member::answer_inbox(answering, all());
    let answering = member::answer_ready(answering, all());
    let answering = member::answer_tells_all(answering, all());
    member::answer_ends_tenants(answering, all())
}
