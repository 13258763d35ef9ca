//! What an instance is: one walk over its bytes gives identity, metadata and
//! layout, and the archive never parses it again.

use std::fs::File;

use bytes::Bytes;
use hilum_archive::{
    Body, Folded, InstanceAttributes, NewInstance, PatientIdentity, PersonName, SeriesAttributes,
    StudyAttributes,
};
use hilum_dataset::part10::Part10;
use hilum_dataset::text::fold;
use hilum_dataset::{
    Encoding, FileSource, Flag, Identity, PixelLayout, Refusal, Scan, ScanError, ScanOptions, scan,
};

use super::Intake;
use crate::comparison::identify;
use crate::digest::Sha256;
use crate::layout::Layout;
use crate::spool::Spooled;

/// Walks the data set and describes the instance.
pub(super) async fn describe(
    intake: &Intake,
    transfer_syntax_uid: &str,
    spooled: &Spooled,
    options: ScanOptions,
) -> Result<NewInstance, ScanError> {
    let scan = match spooled.body() {
        // The walk skips over pixels, so a data set in memory takes microseconds.
        Body::Memory(bytes) => scan(bytes.as_ref(), transfer_syntax_uid, &options)?,
        Body::Spool { path, .. } => {
            let (path, transfer_syntax) = (path.clone(), transfer_syntax_uid.to_owned());
            let walk = move || {
                let source = FileSource::new(File::open(path)?)?;
                scan(&source, &transfer_syntax, &options)
            };
            tokio::task::spawn_blocking(walk)
                .await
                .map_err(|error| ScanError::Source(std::io::Error::other(error)))??
        }
    };
    Ok(instance(intake, transfer_syntax_uid, spooled, scan))
}

fn instance(
    intake: &Intake,
    transfer_syntax_uid: &str,
    spooled: &Spooled,
    scan: Scan,
) -> NewInstance {
    let issuer = intake.device().and_then(|device| device.issuer.clone());
    let identity = &scan.identity;
    NewInstance {
        sop_class: identity.sop_class_uid.clone(),
        sop_instance: identity.sop_instance_uid.clone(),
        series: identity.series_instance_uid.clone(),
        study: identity.study_instance_uid.clone(),
        transfer_syntax: transfer_syntax_uid.to_owned(),
        body: spooled.body().clone(),
        sha256: spooled.sha256(),
        comparison: comparison(spooled.body(), &scan),
        layout: Layout::of(&scan).to_bytes().unwrap_or_default().into(),
        patient: PatientIdentity {
            issuer: text(&identity.issuer_of_patient_id).or(issuer),
            id: text(&identity.patient_id),
            name: person_name(&identity.patient_name),
            birth_date: text(&identity.patient_birth_date),
            sex: text(&identity.patient_sex),
        },
        study_attributes: study_attributes(identity),
        series_attributes: series_attributes(identity),
        instance_attributes: instance_attributes(identity),
        flags: flag_codes(&scan.flags),
        origin: intake.origin(),
        correlation: intake.id(),
        received_at: intake.service.clock.now(),
        rejects: super::rejection::rejection(&identity.sop_class_uid, &scan.json),
        metadata: Bytes::from(scan.json),
    }
}

fn study_attributes(identity: &Identity) -> StudyAttributes {
    StudyAttributes {
        date: text(&identity.study_date),
        time: text(&identity.study_time),
        timezone: text(&identity.timezone_offset),
        accession: text(&identity.accession_number),
        id: text(&identity.study_id),
        description: folded(&identity.study_description),
        referring_physician: person_name(&identity.referring_physician_name),
    }
}

fn series_attributes(identity: &Identity) -> SeriesAttributes {
    SeriesAttributes {
        modality: text(&identity.modality),
        number: identity.series_number,
        description: folded(&identity.series_description),
        body_part: text(&identity.body_part_examined),
        date: text(&identity.series_date),
        time: text(&identity.series_time),
        protocol: text(&identity.protocol_name),
        manufacturer: text(&identity.manufacturer),
        station: text(&identity.station_name),
        frame_of_reference: text(&identity.frame_of_reference_uid),
        performed_step_date: text(&identity.performed_procedure_step_start_date),
        performed_step_time: text(&identity.performed_procedure_step_start_time),
        ..SeriesAttributes::default()
    }
}

fn instance_attributes(identity: &Identity) -> InstanceAttributes {
    let small = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    InstanceAttributes {
        number: identity.instance_number,
        rows: small(identity.rows),
        columns: small(identity.columns),
        bits_allocated: small(identity.bits_allocated),
        frames: small(identity.number_of_frames),
    }
}

fn text(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\0']);
    (!value.is_empty()).then(|| value.to_owned())
}

pub(crate) fn folded(value: &str) -> Option<Folded> {
    let value = text(value)?;
    let key = fold(&value);
    Some(Folded { value, key })
}

/// A name with a matching key for each component group (PS3.5 §6.2.1.1).
pub(crate) fn person_name(value: &str) -> Option<PersonName> {
    let value = text(value)?;
    let mut groups = value.split('=').map(|group| {
        let key = fold(group.trim_matches(['^', ' ']));
        (!key.is_empty()).then_some(key)
    });
    let (alphabetic, ideographic, phonetic) = (
        groups.next().flatten(),
        groups.next().flatten(),
        groups.next().flatten(),
    );
    Some(PersonName {
        alphabetic,
        ideographic,
        phonetic,
        value,
    })
}

/// A digest of what an instance means, whatever its elements are encoded in:
/// equal under one SOP Instance UID when only the encoding differs. Of one without
/// pixels: its metadata, and every value that stands beside it; of uncompressed
/// pixels that are no samples (bits, floats): these, and what identifies it.
/// `None` where `comparison.rs` can decode both later: hashing the samples once
/// more is a tenth of what an image costs, and only a UID that comes again asks.
fn comparison(body: &Body, scan: &Scan) -> Option<[u8; 32]> {
    let (Body::Memory(bytes), false) = (body, scan.inflated) else {
        return None;
    };
    if scan.encoding == Encoding::ExplicitBig {
        return None;
    }
    let mut digest = Sha256::default();
    match &scan.pixels {
        Some(_) if matches!(scan.identity.bits_allocated, Some(8 | 16)) => return None,
        Some(PixelLayout::Native { offset, length, .. }) => {
            identify(&scan.identity, &mut digest);
            digest.update(part(bytes, *offset, *length)?);
        }
        Some(_) => return None,
        None => {
            digest.update(&scan.json);
            for value in &scan.bulk {
                digest.update(part(bytes, value.offset, value.length)?);
            }
        }
    }
    Some(digest.finish())
}

fn part(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}

/// `wrong-vr:00280106`: the kind of flag and the attribute that it is about.
fn flag_codes(flags: &[Flag]) -> Vec<String> {
    flags
        .iter()
        .filter_map(|flag| {
            let value = serde_json::to_value(flag).ok()?;
            let code = value.get("code")?.as_str()?.to_owned();
            Some(match flag.tag() {
                Some(tag) => format!("{code}:{:04X}{:04X}", tag.group(), tag.element()),
                None => code,
            })
        })
        .take(hilum_archive::limits::FLAGS)
        .collect()
}

/// What is odd about a file's head, against the data set that it brings.
pub(super) fn file_flags(part10: &Part10, instance: &NewInstance) -> Vec<String> {
    let mut flags = part10.flags.clone();
    let pairs = [
        (
            &part10.media_storage_sop_class_uid,
            &instance.sop_class,
            0x0008_0016,
        ),
        (
            &part10.media_storage_sop_instance_uid,
            &instance.sop_instance,
            0x0008_0018,
        ),
    ];
    for (meta, own, tag) in pairs {
        if !meta.is_empty() && meta != own {
            flags.push(Flag::MetaMismatch { tag });
        }
    }
    flag_codes(&flags)
}

/// A refusal as a word for lists and metrics.
pub(super) const fn refusal_code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotDicom => "not-dicom",
        Refusal::Truncated { .. } => "truncated",
        Refusal::Broken { .. } => "broken-structure",
        Refusal::MissingUid { .. } => "missing-uid",
        Refusal::UnusableUid { .. } => "unusable-uid",
        Refusal::OverLimit { .. } => "over-limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_by_component_group() {
        let name = person_name("Yamada^Tarou=山田^太郎=やまだ^たろう").unwrap();
        assert_eq!(name.alphabetic.as_deref(), Some("yamada^tarou"));
        assert_eq!(name.ideographic.as_deref(), Some("山田^太郎"));
        assert!(name.phonetic.is_some());
        assert_eq!(person_name("^^^^ ").unwrap().alphabetic, None);
        assert!(person_name("  ").is_none());
    }

    #[test]
    fn a_flag_names_its_attribute() {
        let codes = flag_codes(&[Flag::WrongVr { tag: 0x0028_0106 }, Flag::NoPreamble]);
        assert_eq!(codes, ["wrong-vr:00280106", "no-preamble"]);
    }
}
