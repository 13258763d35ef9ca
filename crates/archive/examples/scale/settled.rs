//! Settled studies that the archive stores and packs itself, so that questions
//! by UID are answered as in earnest: from the look-up, verified in the pack.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use hilum_archive::{
    Body, Folded, InstanceAttributes, NewInstance, Origin, PatientIdentity, PersonName,
    SeriesAttributes, StudyAttributes, sha256_hex,
};
use hilum_contracts::ids::CorrelationId;
use hilum_platform::clock::from_millis;
use rusqlite::Connection;

use crate::hospital::Study;
use crate::{Failure, open, scope};

/// Packing goes on in so many steps, each of which also writes a run of the
/// look-up from what the bulk left as rows.
const STEPS: usize = 25;
/// Instances of the series that is asked for as a whole.
const LONG: u64 = 1_000;

/// Stores and packs these studies with so many instances each; the first one
/// has a third series, whose SOP Instance UIDs are returned.
pub(crate) async fn through_archive(
    dir: &Path,
    studies: &[(Study, u64)],
) -> Result<Vec<String>, Failure> {
    let (archive, scope) = (open(dir).await?, scope()?);
    let long: Vec<String> = studies
        .first()
        .map(|(study, _)| (1..=LONG).map(|n| format!("{}.3.{n}", study.uid)).collect())
        .unwrap_or_default();
    for (at, some) in studies
        .chunks(studies.len().div_ceil(STEPS).max(1))
        .enumerate()
    {
        let mut all = Vec::new();
        for (study, instances) in some {
            for series in 1..=2 {
                for number in 1..=Study::instances_of(series, *instances) {
                    all.push(instance(study, series, number)?);
                }
            }
        }
        if let (0, Some((study, _))) = (at, some.first()) {
            for number in 1..=LONG {
                all.push(instance(study, 3, number)?);
            }
        }
        try_join_all(all.into_iter().map(|new| archive.store(&scope, new))).await?;
        let report = archive.pack(Duration::ZERO).await?;
        eprintln!("packed {} series", report.series);
    }
    archive.sweep().await?;
    archive.close().await;
    // The bulk's rows of the look-up were more than an archive ever has at once.
    Connection::open(dir.join("archive.sqlite"))?.execute_batch("VACUUM")?;
    Ok(long)
}

fn instance(study: &Study, series: u64, number: u64) -> Result<NewInstance, Failure> {
    let uid = format!("{}.{series}.{number}", study.uid);
    let body = Bytes::from(uid.repeat(32));
    let digest = sha256_hex(&body);
    let mut sha256 = [0; 32];
    for (to, pair) in sha256.iter_mut().zip(digest.as_bytes().chunks(2)) {
        *to = u8::from_str_radix(std::str::from_utf8(pair)?, 16)?;
    }
    let folded = |value: &str| Folded {
        value: value.to_owned(),
        key: value.to_lowercase(),
    };
    let metadata = serde_json::json!({
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00080018": {"vr": "UI", "Value": [uid]},
        "00080060": {"vr": "CS", "Value": [study.modality_of(series)]},
        "00100020": {"vr": "LO", "Value": [study.patient_id]},
        "0020000D": {"vr": "UI", "Value": [study.uid]},
        "00200013": {"vr": "IS", "Value": [number]},
        "00200032": {"vr": "DS", "Value": [-180.0, -180.0, number]},
    });
    Ok(NewInstance {
        sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
        sop_instance: uid,
        series: format!("{}.{series}", study.uid),
        study: study.uid.clone(),
        transfer_syntax: "1.2.840.10008.1.2.1".to_owned(),
        sha256,
        comparison: None,
        metadata: serde_json::to_vec(&metadata)?.into(),
        layout: Bytes::from_static(b"{}"),
        body: Body::Memory(body),
        patient: PatientIdentity {
            issuer: Some("HOSPITAL".to_owned()),
            id: Some(study.patient_id.clone()),
            name: Some(PersonName {
                value: study.patient_name.to_uppercase(),
                alphabetic: Some(study.patient_name.clone()),
                ..PersonName::default()
            }),
            birth_date: Some(study.birth_date.clone()),
            sex: Some(study.sex.to_owned()),
        },
        study_attributes: StudyAttributes {
            date: Some(study.date.clone()),
            time: Some(study.time.clone()),
            accession: Some(study.accession.clone()),
            id: Some(study.id.clone()),
            description: Some(folded(&format!("{} examination", study.modality))),
            ..StudyAttributes::default()
        },
        series_attributes: SeriesAttributes {
            modality: Some(study.modality_of(series).to_owned()),
            number: Some(i64::try_from(series)?),
            description: Some(folded("Series")),
            ..SeriesAttributes::default()
        },
        instance_attributes: InstanceAttributes {
            number: Some(i64::try_from(number)?),
            rows: Some(512),
            columns: Some(512),
            bits_allocated: Some(16),
            frames: Some(1),
        },
        flags: Vec::new(),
        rejects: None,
        origin: Origin::Import,
        correlation: CorrelationId::new(),
        received_at: from_millis(i64::try_from(study.received)?),
    })
}
