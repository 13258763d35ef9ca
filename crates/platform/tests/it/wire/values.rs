//! What is asked about and answered, with every field filled in.

use hilum_contracts::access::{Action, Role};
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::erasure::EndedTenant;
use hilum_contracts::ids::{BreakGlassId, CorrelationId, PersonId, SessionId};
use hilum_contracts::imaging::InstanceRef;
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use hilum_platform::audit::Head;
use hilum_platform::auth;
use hilum_platform::config::{Device, Retention, Tenant, TenantArchive, UnknownDevices};
use hilum_platform::tenants::{Known, Rules};
use uuid::Uuid;

use crate::tenant;

/// The same at each run.
pub(super) const ID: Uuid = Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001);

pub(super) fn reference() -> InstanceRef {
    InstanceRef {
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.4".to_owned(),
        sop_instance_uid: "1.2.3.1".to_owned(),
        series_uid: "1.2.3".to_owned(),
        transfer_syntax_uid: "1.2.840.10008.1.2.1".to_owned(),
        length: 7,
    }
}

pub(super) fn subjects() -> Vec<Subject> {
    vec![Subject::patient("77", Some("north")), Subject::study("1.2")]
}

pub(super) fn entry() -> Entry {
    Entry::new(Act::Erase)
        .about(Subject::patient("77", Some("north")))
        .with(Detail::Reason, "asked for")
        .from(Some([192, 0, 2, 7].into()))
        .part_of(CorrelationId(ID))
}

pub(super) fn head() -> Head {
    Head {
        position: 9,
        hash: [1; 32],
        removed: 2,
        anchor: [2; 32],
    }
}

pub(super) fn ended() -> EndedTenant {
    EndedTenant {
        name: tenant(),
        begun_at: 1,
        by: "local operator".to_owned(),
        by_right: "owner".to_owned(),
        holds: 2,
        people: 3,
        api_keys: 4,
        devices: 5,
        holdings: Some("{}".to_owned()),
        ended_at: Some(6),
        certificate: Some("{}".to_owned()),
    }
}

/// Somebody with everything that a scope can have.
pub(super) fn scope() -> TenantScope {
    auth::admitted(&tenant(), acting())
}

pub(super) fn acting() -> Acting {
    Acting {
        principal: Principal::Person {
            id: PersonId(ID),
            session: SessionId(ID),
        },
        right: Right::BreakGlass {
            role: Role::Radiologist,
            access: BreakGlassId(ID),
        },
        limited_to: Some([Action::ViewStudies].into_iter().collect()),
        from: Some([192, 0, 2, 7].into()),
    }
}

pub(super) fn known() -> Known {
    let rule = Retention {
        modalities: vec!["MR".to_owned()],
        keep_days: Some(30),
        expire_days: Some(60),
        ..Retention::default()
    };
    let archive = TenantArchive {
        quota_bytes: Some(1),
        quota_instances: Some(2),
        retention: vec![rule],
        ..TenantArchive::default()
    };
    let device = Device {
        ae_title: "MR1".to_owned(),
        tenant: tenant(),
        address: Some("192.0.2.7".to_owned()),
        certificate_sha256: Some("ab".repeat(32)),
        issuer: Some("north".to_owned()),
        quiet_seconds: Some(1.5),
        fallback_charset: Some("ISO_IR 100".to_owned()),
    };
    let of = Tenant {
        name: tenant(),
        ae_title: "HILUM".to_owned(),
        archive,
    };
    let rules = Rules::new(Some(9), UnknownDevices::AdmitFromLoopback);
    Known::new(vec![of], vec![device]).with([(tenant(), rules)])
}
