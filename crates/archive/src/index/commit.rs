//! The one transaction that makes an object's instances exist: the object goes
//! from `reserved` to `live`, the same-UID rule is applied, rows of study,
//! series and instances are written, and the events are appended.

use std::collections::HashMap;

use hilum_contracts::Event;
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::imaging::{InstancesStored, PatientIdentity as WirePatient};
use hilum_platform::clock::from_millis;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::objects::{self, Name};
use super::schema::{NO_NUMBER, state};
use super::{outbox, query};
use crate::descriptor::{Blocks, Descriptor, Digest};
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::model::{Origin, PatientIdentity, Standing, StoreOutcome};

/// An object whose file is durable, about to go live.
pub(crate) struct Unit {
    pub tenant: TenantId,
    pub tenant_row: i64,
    pub name: Name,
    pub kind: Kind,
    pub bytes: u64,
    pub records: Vec<Record>,
    pub publication: Option<Publication>,
}

/// One segment of it.
pub(crate) struct Record {
    pub segment: u32,
    pub offset: u64,
    pub descriptor: Descriptor,
    pub blocks: Blocks,
}

/// A result set that is published by this commit.
pub(crate) struct Publication {
    pub key: String,
    pub events: Vec<Event>,
}

/// What the transaction decided.
pub(crate) enum Committed {
    Stored(Vec<StoreOutcome>),
    AlreadyPublished(Vec<String>),
}

/// Runs the transaction. On an error nothing changed, except when the answer
/// of COMMIT itself was unclear: the caller reads the state then.
pub(crate) fn commit(
    db: &mut Connection,
    unit: &Unit,
    now: i64,
    more_names: Option<(i64, usize)>,
) -> Result<(Committed, Vec<Name>)> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(publication) = &unit.publication
        && let Some(instances) = query::published(&tx, unit.tenant_row, &publication.key)?
    {
        objects::transition(&tx, unit.name.row, state::RESERVED, state::DEAD, now)?;
        tx.commit()?;
        return Ok((Committed::AlreadyPublished(instances), Vec::new()));
    }
    let mut levels = Levels::default();
    let mut outcomes = Vec::with_capacity(unit.records.len());
    for record in &unit.records {
        outcomes.push(insert(&tx, unit, record, &mut levels)?);
    }
    let kept = outcomes
        .iter()
        .any(|outcome| *outcome != StoreOutcome::Duplicate);
    let to = if kept { state::LIVE } else { state::DEAD };
    let changed = tx
        .prepare_cached(
            "UPDATE object SET state = ?2, kind = ?3, bytes = ?4, changed_at = ?5
             WHERE id = ?1 AND state = ?6",
        )?
        .execute(params![
            unit.name.row,
            to,
            unit.kind.code(),
            unit.bytes,
            now,
            state::RESERVED
        ])?;
    if changed != 1 {
        // Somebody buried the name meanwhile: then nothing of it may live.
        return Err(ArchiveError::Index("the reserved name was lost".to_owned()));
    }
    levels.finish(&tx, unit, now)?;
    if let Some(publication) = &unit.publication {
        let uids: Vec<&str> = unit
            .records
            .iter()
            .map(|record| record.descriptor.sop_instance.as_str())
            .collect();
        tx.prepare_cached(
            "INSERT INTO publication (tenant, key, instances, published_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![unit.tenant_row, publication.key, uids.join("\\"), now])?;
        for event in &publication.events {
            outbox::append(&tx, event)?;
        }
    }
    let names = match more_names {
        Some((opening, count)) => objects::reserve(&tx, unit.tenant_row, opening, now, count)?,
        None => Vec::new(),
    };
    tx.commit()?;
    Ok((Committed::Stored(outcomes), names))
}

/// The same-UID rule (design.md): what an arriving instance is.
pub(crate) fn judge(
    db: &Connection,
    tenant: i64,
    uid: &str,
    sha256: &[u8; 32],
    comparison: Option<Digest>,
) -> Result<StoreOutcome> {
    let mut query = db.prepare_cached(
        "SELECT standing, sha256, comparison FROM instance WHERE tenant = ?1 AND uid = ?2",
    )?;
    let mut rows = query.query(params![tenant, uid])?;
    let mut outcome = StoreOutcome::Stored;
    while let Some(row) = rows.next()? {
        let known: [u8; 32] = row.get(1)?;
        if known == *sha256 {
            return Ok(StoreOutcome::Duplicate);
        }
        let compares: Option<[u8; 32]> = row.get(2)?;
        let served = row.get::<_, i64>(0)? == standing_code(Standing::Served);
        let same = matches!((compares, comparison), (Some(a), Some(Digest(b))) if a == b);
        if served && same {
            outcome = StoreOutcome::Variant;
        } else if outcome == StoreOutcome::Stored {
            outcome = StoreOutcome::Conflict;
        }
    }
    Ok(outcome)
}

fn insert(
    tx: &Transaction<'_>,
    unit: &Unit,
    record: &Record,
    levels: &mut Levels,
) -> Result<StoreOutcome> {
    let of = &record.descriptor;
    let outcome = judge(
        tx,
        unit.tenant_row,
        &of.sop_instance,
        &of.sha256,
        of.comparison,
    )?;
    let standing = match outcome {
        StoreOutcome::Duplicate => return Ok(outcome),
        StoreOutcome::Stored => Standing::Served,
        StoreOutcome::Variant => Standing::Variant,
        StoreOutcome::Conflict => Standing::Conflict,
    };
    let level = levels.of(tx, unit.tenant_row, of)?;
    if outcome == StoreOutcome::Stored {
        level.added += 1;
        let intake = level
            .intakes
            .iter_mut()
            .find(|intake| intake.correlation == of.correlation && intake.origin == of.origin);
        match intake {
            Some(intake) => intake.added += 1,
            None => level.intakes.push(Intake {
                correlation: of.correlation,
                origin: of.origin.clone(),
                patient: of.patient.clone(),
                added: 1,
            }),
        }
    }
    level.latest = level.latest.max(of.received_at);
    let attributes = &of.instance_attributes;
    let origin = serde_json::to_string(&of.origin)
        .map_err(|_| ArchiveError::Invalid("the origin cannot be written"))?;
    let id = tx
        .prepare_cached(
            "INSERT INTO instance (tenant, series, sop_class, uid, transfer_syntax, number, rows,
                columns, bits, frames, flags, origin, received_at, standing, sha256, comparison,
                object, segment, offset, length)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                ?19, ?20)",
        )?
        .insert(params![
            unit.tenant_row,
            level.series,
            of.sop_class,
            of.sop_instance,
            of.transfer_syntax,
            attributes.number.unwrap_or(NO_NUMBER),
            attributes.rows,
            attributes.columns,
            attributes.bits_allocated,
            attributes.frames,
            of.flags.join(" "),
            origin,
            of.received_at,
            standing_code(standing),
            of.sha256,
            of.comparison.map(|digest| digest.0),
            unit.name.row,
            record.segment,
            record.offset,
            of.length,
        ])?;
    tx.prepare_cached(
        "INSERT INTO instance_block (instance, metadata, layout) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![id, record.blocks.metadata, record.blocks.layout])?;
    Ok(outcome)
}

pub(crate) fn standing_code(standing: Standing) -> i64 {
    match standing {
        Standing::Served => 0,
        Standing::Variant => 1,
        Standing::Conflict => 2,
        Standing::Superseded => 3,
    }
}

/// The studies and series that one commit touches.
#[derive(Default)]
struct Levels {
    by_uid: HashMap<(String, String), Level>,
}

struct Level {
    study: i64,
    series: i64,
    modality: Option<String>,
    added: u64,
    latest: i64,
    intakes: Vec<Intake>,
}

struct Intake {
    correlation: CorrelationId,
    origin: Origin,
    patient: PatientIdentity,
    added: u64,
}

impl Levels {
    fn of(&mut self, tx: &Transaction<'_>, tenant: i64, of: &Descriptor) -> Result<&mut Level> {
        let key = (of.study.clone(), of.series.clone());
        let entry = self.by_uid.entry(key);
        Ok(match entry {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let study = upsert_study(tx, tenant, of)?;
                let series = upsert_series(tx, tenant, study, of)?;
                new.insert(Level {
                    study,
                    series,
                    modality: of.series_attributes.modality.clone(),
                    added: 0,
                    latest: of.received_at,
                    intakes: Vec::new(),
                })
            }
        })
    }

    /// Writes the counters and appends one event per series and intake.
    fn finish(self, tx: &Transaction<'_>, unit: &Unit, now: i64) -> Result<()> {
        for ((study_uid, series_uid), level) in self.by_uid {
            let revision = count(tx, &level)?;
            for intake in level.intakes {
                let stored = InstancesStored {
                    study_uid: study_uid.clone(),
                    series_uid: series_uid.clone(),
                    modality: level.modality.clone().unwrap_or_default(),
                    patient: wire_patient(&intake.patient),
                    added: intake.added,
                    intake_id: intake.correlation,
                    origin: wire_origin(&intake.origin),
                    last_stored_at: from_millis(now),
                };
                let event = Event::new(
                    unit.tenant.clone(),
                    intake.correlation,
                    from_millis(now),
                    series_uid.clone(),
                    revision,
                    &stored,
                )
                .map_err(|_| ArchiveError::Invalid("the event cannot be written"))?;
                outbox::append(tx, &event)?;
            }
        }
        Ok(())
    }
}

/// Adds to the counters of a series and its study; the series' revision.
fn count(tx: &Transaction<'_>, level: &Level) -> Result<u64> {
    let (total, revision): (u64, u64) = tx
        .prepare_cached(
            "UPDATE series SET instances = instances + ?2, last_received = max(last_received, ?3),
                revision = revision + 1 WHERE id = ?1 RETURNING instances, revision",
        )?
        .query_row(params![level.series, level.added, level.latest], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let began = level.added > 0 && total == level.added;
    tx.prepare_cached(
        "UPDATE study SET instances = instances + ?2, series = series + ?3,
            last_received = max(last_received, ?4), revision = revision + 1 WHERE id = ?1",
    )?
    .execute(params![
        level.study,
        level.added,
        i64::from(began),
        level.latest
    ])?;
    if began {
        refresh_modalities(tx, level.study)?;
    }
    Ok(revision)
}

/// Modalities in Study, each between backslashes: `\CT\MR\`.
pub(crate) fn refresh_modalities(tx: &Connection, study: i64) -> Result<()> {
    tx.prepare_cached(
        "UPDATE study SET modalities = coalesce((SELECT '\\' || group_concat(modality, '\\') || '\\'
            FROM (SELECT DISTINCT modality FROM series
                WHERE study = ?1 AND instances > 0 AND modality IS NOT NULL ORDER BY modality)), '')
         WHERE id = ?1",
    )?
    .execute([study])?;
    Ok(())
}

fn upsert_study(tx: &Transaction<'_>, tenant: i64, of: &Descriptor) -> Result<i64> {
    let patient = &of.patient;
    let study = &of.study_attributes;
    let name = patient.name.as_ref();
    let referring = study.referring_physician.as_ref();
    let description = study.description.as_ref();
    // What came first stays; what it left open is filled in.
    Ok(tx
        .prepare_cached(
            "INSERT INTO study (tenant, uid, issuer, patient_id, patient_name, patient_name_a,
                patient_name_i, patient_name_p, birth_date, sex, date, time, timezone, accession,
                study_id, description, description_key, referring, referring_a, referring_i,
                referring_p, first_received, last_received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                ?19, ?20, ?21, ?22, ?22)
             ON CONFLICT (tenant, uid) DO UPDATE SET
                issuer = coalesce(issuer, excluded.issuer),
                patient_id = coalesce(patient_id, excluded.patient_id),
                patient_name = coalesce(patient_name, excluded.patient_name),
                patient_name_a = coalesce(patient_name_a, excluded.patient_name_a),
                patient_name_i = coalesce(patient_name_i, excluded.patient_name_i),
                patient_name_p = coalesce(patient_name_p, excluded.patient_name_p),
                birth_date = coalesce(birth_date, excluded.birth_date),
                sex = coalesce(sex, excluded.sex),
                date = coalesce(date, excluded.date), time = coalesce(time, excluded.time),
                timezone = coalesce(timezone, excluded.timezone),
                accession = coalesce(accession, excluded.accession),
                study_id = coalesce(study_id, excluded.study_id),
                description = coalesce(description, excluded.description),
                description_key = coalesce(description_key, excluded.description_key),
                referring = coalesce(referring, excluded.referring),
                referring_a = coalesce(referring_a, excluded.referring_a),
                referring_i = coalesce(referring_i, excluded.referring_i),
                referring_p = coalesce(referring_p, excluded.referring_p)
             RETURNING id",
        )?
        .query_row(
            params![
                tenant,
                of.study,
                patient.issuer,
                patient.id,
                name.map(|name| &name.value),
                name.and_then(|name| name.alphabetic.as_ref()),
                name.and_then(|name| name.ideographic.as_ref()),
                name.and_then(|name| name.phonetic.as_ref()),
                patient.birth_date,
                patient.sex,
                study.date,
                study.time,
                study.timezone,
                study.accession,
                study.id,
                description.map(|text| &text.value),
                description.map(|text| &text.key),
                referring.map(|name| &name.value),
                referring.and_then(|name| name.alphabetic.as_ref()),
                referring.and_then(|name| name.ideographic.as_ref()),
                referring.and_then(|name| name.phonetic.as_ref()),
                of.received_at,
            ],
            |row| row.get(0),
        )?)
}

fn upsert_series(tx: &Transaction<'_>, tenant: i64, study: i64, of: &Descriptor) -> Result<i64> {
    let known: Option<i64> = tx
        .prepare_cached("SELECT id FROM series WHERE study = ?1 AND uid = ?2")?
        .query_row(params![study, of.series], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let series = &of.series_attributes;
    let description = series.description.as_ref();
    Ok(tx
        .prepare_cached(
            "INSERT INTO series (study, tenant, uid, modality, number, description, description_key,
                body_part, laterality, date, time, protocol, manufacturer, station,
                frame_of_reference, performed_step_date, performed_step_time, scheduled_step_id,
                requested_procedure_id, first_received, last_received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                ?19, ?20, ?20)",
        )?
        .insert(params![
            study,
            tenant,
            of.series,
            series.modality,
            series.number,
            description.map(|text| &text.value),
            description.map(|text| &text.key),
            series.body_part,
            series.laterality,
            series.date,
            series.time,
            series.protocol,
            series.manufacturer,
            series.station,
            series.frame_of_reference,
            series.performed_step_date,
            series.performed_step_time,
            series.scheduled_step_id,
            series.requested_procedure_id,
            of.received_at,
        ])?)
}

fn wire_patient(patient: &PatientIdentity) -> WirePatient {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    WirePatient {
        issuer: text(&patient.issuer),
        id: text(&patient.id),
        name: patient
            .name
            .as_ref()
            .map(|name| name.value.clone())
            .unwrap_or_default(),
        birth_date: text(&patient.birth_date),
        sex: text(&patient.sex),
    }
}

fn wire_origin(origin: &Origin) -> String {
    match origin {
        Origin::Dimse { calling_ae } => format!("dimse:{calling_ae}"),
        Origin::Stow => "stow".to_owned(),
        Origin::Hilum => "hilum".to_owned(),
        Origin::Import => "import".to_owned(),
    }
}
