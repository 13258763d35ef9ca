//! What the workers store: instances made from numbers, so that whoever knows
//! the numbers knows the bytes.

use bytes::Bytes;
use hilum_archive::{
    Body, InstanceAttributes, NewInstance, NewQuarantined, Origin, PatientIdentity,
    SeriesAttributes, StudyAttributes,
};
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_platform::auth;
use hilum_platform::clock::from_millis;
use hilum_platform::scope::TenantScope;

use crate::chance::Chance;

pub(crate) fn scope() -> TenantScope {
    #[expect(clippy::expect_used, reason = "a constant that is a tenant's name")]
    let tenant = TenantId::new("default").expect("a tenant's name");
    auth::service(&tenant, "crash")
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that don't compress, and differ by `seed`.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut chance = Chance::new(seed);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&chance.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Instance `number` of series `series` of study `study`.
pub(crate) fn instance(study: u64, series: u64, number: u32, body: Vec<u8>) -> NewInstance {
    let uid = format!("1.2.{study}.{series}.{number}");
    NewInstance {
        sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
        sop_instance: uid.clone(),
        series: format!("1.2.{study}.{series}"),
        study: format!("1.2.{study}"),
        transfer_syntax: "1.2.840.10008.1.2.1".into(),
        sha256: sha256(&body),
        comparison: None,
        metadata: Bytes::from(format!(
            "{{\"00080018\":{{\"vr\":\"UI\",\"Value\":[\"{uid}\"]}}}}"
        )),
        layout: Bytes::from_static(b"layout"),
        body: Body::Memory(body.into()),
        patient: PatientIdentity {
            id: Some(format!("P{study}")),
            ..PatientIdentity::default()
        },
        study_attributes: StudyAttributes::default(),
        series_attributes: SeriesAttributes::default(),
        instance_attributes: InstanceAttributes {
            number: Some(number.into()),
            ..InstanceAttributes::default()
        },
        flags: Vec::new(),
        origin: Origin::Stow,
        correlation: CorrelationId::new(),
        received_at: from_millis(1_790_000_000_000 + i64::from(number)),
        rejects: None,
    }
}

/// Something refused.
pub(crate) fn refused(body: Vec<u8>) -> NewQuarantined {
    NewQuarantined {
        reason: "not-dicom".to_owned(),
        detail: String::new(),
        transfer_syntax: None,
        origin: Origin::Stow,
        correlation: CorrelationId::new(),
        received_at: from_millis(1_790_000_000_000),
        sha256: sha256(&body),
        body: Body::Memory(body.into()),
    }
}
