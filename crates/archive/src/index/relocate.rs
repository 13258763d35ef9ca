//! The one transaction of a move: the new object goes live, rows get their new
//! series and place, what they left dies, and later arrivals follow.

use std::collections::{BTreeMap, BTreeSet};

use hilum_contracts::Event;
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::imaging::{InstancesMoved, StudyCorrected};
use hilum_platform::clock::from_millis;

use super::audit::Told;
use super::conflict::recount;
use super::delete::{Emptied, remove_empty};
use super::levels::wire_patient;
use super::moving::{Source, admits, sources};
use super::objects::{self, Name};
use super::schema::state;
use super::tombstone::{self, Marks, study_row};
use super::{attributes, note, outbox, packs, placement, row_digest};
use crate::db::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::model::{MoveOf, MoveTo, Moved, NewMove, Overlay};
use crate::note::Written;
use crate::steps;

/// Where its bytes are since.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub segment: u32,
    pub offset: u64,
}

/// A move whose object and note are durable.
pub(crate) struct Unit {
    pub tenant: TenantId,
    pub tenant_row: i64,
    pub asked: NewMove,
    pub sources: Vec<Source>,
    /// Of each source, in order.
    pub sealed: Vec<Sealed>,
    /// The object that they are in.
    pub name: Name,
    pub bytes: u64,
    /// The key that it is sealed with.
    pub key: [u8; 16],
    /// Of what the first becomes.
    pub marks: Marks,
    pub note: Written,
    pub told: Told,
}

/// Runs the transaction.
pub(crate) fn relocate(db: &mut Connection, unit: &Unit, now: i64) -> Result<Moved> {
    let tx = db.begin(unit.tenant_row)?;
    let tenant = unit.tenant_row;
    let asked = &unit.asked;
    let from = admits(&tx, (tenant, asked), Some(&unit.marks))?;
    if tombstone::is_dead_key(&tx, tenant, &unit.key)? {
        return Err(ArchiveError::Outdated);
    }
    if sources(&tx, tenant, &asked.study, &asked.of)? != unit.sources {
        return Err(ArchiveError::Outdated);
    }
    let told = unit.told.clone().with_patient(&tx, tenant)?;
    told.count(unit.sources.len() as u64).keep(&tx, now)?;
    let holds = (Kind::Moved, unit.bytes);
    objects::settle(&tx, &unit.name, state::LIVE, holds, now)?;
    let to = target_study(&tx, tenant, (from, &asked.to))?;
    let overlays = overlays(&tx, tenant, asked)?;
    let mut series = BTreeMap::new();
    let (mut left, mut objects) = (BTreeSet::new(), BTreeSet::new());
    for (source, sealed) in unit.sources.iter().zip(&unit.sealed) {
        let target = match series.get(&source.series) {
            Some(target) => *target,
            None => {
                let target = target_series(&tx, tenant, to, source, &asked.to)?;
                series.insert(source.series, target);
                target
            }
        };
        if target == source.series {
            return Err(ArchiveError::Invalid("it is there already"));
        }
        let placement = overlays
            .iter()
            .find(|(before, _)| *before == source.overlay)
            .map(|(_, row)| *row)
            .ok_or(ArchiveError::Outdated)?;
        tx.prepare_cached(
            "UPDATE instance SET series = ?2, object = ?3, segment = ?4, \"offset\" = ?5,
                placement = ?6 WHERE id = ?1",
        )?
        .execute(params![
            source.id,
            target,
            unit.name.row,
            sealed.segment,
            sealed.offset,
            placement
        ])?;
        left.insert(source.series);
        objects.insert(source.object);
    }
    follow(&tx, tenant, unit, &overlays)?;
    objects::bury_unused(&tx, objects, now)?;
    let version = count(&tx, (from, to), &series, now)?;
    tell(&tx, unit, &series, now)?;
    let emptied = remove_empty(&tx, from)?;
    let objects = remember(&tx, unit, &emptied, version, now)?;
    objects::bury_unused(&tx, objects, now)?;
    placement::forget_unused(&tx, tenant)?;
    steps::at("move.indexed");
    tx.commit()?;
    Ok(Moved {
        instances: unit.sources.len() as u64,
    })
}

/// Rows of the overlays that the caller gave.
fn overlays(tx: &Connection, tenant: i64, asked: &NewMove) -> Result<Vec<(Option<Overlay>, i64)>> {
    asked
        .overlays
        .iter()
        .map(|(before, after)| Ok((before.clone(), placement::keep(tx, tenant, after)?)))
        .collect()
}

/// The study's row; a new one begins when the other did.
fn target_study(tx: &Connection, tenant: i64, (from, to): (i64, &MoveTo)) -> Result<i64> {
    match study_row(tx, tenant, &to.study) {
        Err(ArchiveError::NotFound) => {}
        other => return other,
    }
    let of_row: [&dyn ToSql; 2] = [&from, &to.study];
    let attributes = attributes::of_study(&to.patient, &to.study_attributes);
    let says = attributes.iter().map(|value| value as _);
    let row = tx
        .prepare_cached(
            "INSERT INTO study (tenant, uid, issuer, patient_id, patient_name, patient_name_a,
                patient_name_i, patient_name_p, birth_date, sex, date, time, timezone, accession,
                study_id, description, description_key, referring, referring_a, referring_i,
                referring_p, first_received, last_received)
             SELECT tenant, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                ?18, ?19, ?20, ?21, first_received, last_received FROM study WHERE id = ?1",
        )?
        .insert(params_from_iter(of_row.into_iter().chain(says)))?;
    row_digest::write(tx, row_digest::Of::Study, row)?;
    Ok(row)
}

/// The series' row in the study; a new one has what the other answered with.
fn target_series(
    tx: &Connection,
    tenant: i64,
    study: i64,
    source: &Source,
    to: &MoveTo,
) -> Result<i64> {
    let uid = to.series.as_ref().unwrap_or(&source.series_uid);
    let known: Option<i64> = tx
        .prepare_cached("SELECT id FROM series WHERE study = ?1 AND uid = ?2")?
        .query_row(params![study, uid], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let row = tx
        .prepare_cached(
            "INSERT INTO series (study, tenant, uid, modality, number, description,
                description_key, body_part, laterality, date, time, protocol, manufacturer,
                station, frame_of_reference, performed_step_date, performed_step_time,
                scheduled_step_id, requested_procedure_id, first_received, last_received)
             SELECT ?2, tenant, ?3, modality, number, description, description_key, body_part,
                laterality, date, time, protocol, manufacturer, station, frame_of_reference,
                performed_step_date, performed_step_time, scheduled_step_id,
                requested_procedure_id, first_received, last_received
             FROM series WHERE id = ?1 AND tenant = ?4",
        )?
        .insert(params![source.series, study, uid, tenant])?;
    if let Some(given) = &to.series_attributes {
        let description = given.description.as_ref();
        tx.prepare_cached(
            "UPDATE series SET number = ?2, description = ?3, description_key = ?4 WHERE id = ?1",
        )?
        .execute(params![
            row,
            given.number,
            description.map(|text| &text.value),
            description.map(|text| &text.key)
        ])?;
    }
    row_digest::write(tx, row_digest::Of::Series, row)?;
    Ok(row)
}

/// Later arrivals follow what moved whole.
fn follow(
    tx: &Connection,
    tenant: i64,
    unit: &Unit,
    overlays: &[(Option<Overlay>, i64)],
) -> Result<()> {
    let asked = &unit.asked;
    if matches!(asked.of, MoveOf::Instances { .. }) {
        return Ok(());
    }
    let mut done = BTreeSet::new();
    for source in &unit.sources {
        if !done.insert(&source.series_uid) {
            continue;
        }
        // What comes next under these UIDs is read as what has not moved before.
        let before = source.overlay.as_ref().and_then(Overlay::unplaced);
        let placement = overlays
            .iter()
            .find(|(of, _)| *of == before)
            .map(|(_, row)| *row)
            .ok_or(ArchiveError::Outdated)?;
        let uid = asked.to.series.as_ref().unwrap_or(&source.series_uid);
        let to = (asked.to.study.as_str(), uid.as_str());
        placement::redirect(
            tx,
            tenant,
            (&asked.study, &source.series_uid),
            to,
            placement,
        )?;
        if asked.of == MoveOf::Study && done.len() == 1 {
            let to = (asked.to.study.as_str(), "");
            placement::redirect(tx, tenant, (&asked.study, ""), to, placement)?;
        }
    }
    Ok(())
}

/// Counts both sides anew; the version that the target's overlay has now.
fn count(
    tx: &Connection,
    (from, to): (i64, i64),
    series: &BTreeMap<i64, i64>,
    now: i64,
) -> Result<u64> {
    for (source, target) in series {
        recount(tx, *source)?;
        recount(tx, *target)?;
        tx.prepare_cached(
            "UPDATE series SET overlay_version = overlay_version + 1,
                first_received = min(first_received, (SELECT first_received FROM series WHERE id = ?2)),
                last_received = max(last_received, (SELECT last_received FROM series WHERE id = ?2))
             WHERE id = ?1",
        )?
        .execute([target, source])?;
        packs::unsettle(tx, *source, now)?;
        packs::unsettle(tx, *target, now)?;
    }
    Ok(tx
        .prepare_cached(
            "UPDATE study SET overlay_version = overlay_version + 1,
                first_received = min(first_received, (SELECT first_received FROM study WHERE id = ?2)),
                last_received = max(last_received, (SELECT last_received FROM study WHERE id = ?2))
             WHERE id = ?1 RETURNING overlay_version",
        )?
        .query_row([to, from], |row| row.get(0))?)
}

fn tell(tx: &Connection, unit: &Unit, series: &BTreeMap<i64, i64>, now: i64) -> Result<()> {
    let correlation = CorrelationId::new();
    let at = from_millis(now);
    let asked = &unit.asked;
    let invalid = |_| ArchiveError::Invalid("the event cannot be written");
    let counted = |row: i64| -> Result<(u64, u64)> {
        Ok(tx
            .prepare_cached("SELECT instances, revision FROM series WHERE id = ?1")?
            .query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?)
    };
    for (source, target) in series {
        let moved = unit.sources.iter().filter(|one| one.series == *source);
        let uids: Vec<String> = moved.clone().map(|one| one.uid.clone()).collect();
        let Some(first) = moved.clone().next() else {
            continue;
        };
        let to_series = asked.to.series.as_ref().unwrap_or(&first.series_uid);
        let (left, _) = counted(*source)?;
        let (total, revision) = counted(*target)?;
        let told = InstancesMoved {
            from_study_uid: asked.study.clone(),
            from_series_uid: first.series_uid.clone(),
            study_uid: asked.to.study.clone(),
            series_uid: to_series.clone(),
            sop_instance_uids: uids,
            left,
            total,
        };
        let tenant = unit.tenant.clone();
        let event = Event::new(tenant, correlation, at, to_series, revision, &told);
        outbox::append(tx, &event.map_err(invalid)?)?;
    }
    let corrected = StudyCorrected {
        study_uid: asked.to.study.clone(),
        series_uid: None,
        patient: Some(wire_patient(&asked.to.patient)),
    };
    let study = &asked.to.study;
    let version = u64::try_from(now).unwrap_or(0);
    let tenant = unit.tenant.clone();
    let event = Event::new(tenant, correlation, at, study, version, &corrected);
    outbox::append(tx, &event.map_err(invalid)?)?;
    Ok(())
}

/// The history: of the study that it went to, which has that of the other one
/// when nothing is left of it. A correction of what is no more corrects nothing
/// that comes there later: its note goes, and the entry stays with the move's.
fn remember(
    tx: &Connection,
    unit: &Unit,
    emptied: &Emptied,
    version: u64,
    now: i64,
) -> Result<Vec<i64>> {
    let (tenant, asked) = (unit.tenant_row, &unit.asked);
    let note = note::keep(tx, tenant, &unit.note, now)?;
    let series = match &asked.of {
        MoveOf::Study => None,
        MoveOf::Series(series) | MoveOf::Instances { series, .. } => {
            Some(asked.to.series.as_ref().unwrap_or(series))
        }
    };
    tx.prepare_cached(
        "INSERT INTO correction
            (tenant, study, series, version, detail, reason, by, at, note, of_move)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)",
    )?
    .execute(params![
        tenant,
        asked.to.study,
        series,
        version,
        asked.detail,
        asked.reason,
        asked.by,
        now,
        note
    ])?;
    let mut notes: Vec<i64> = Vec::new();
    for series in emptied.levels() {
        let told = params![tenant, asked.study, series];
        let of = "tenant = ?1 AND study = ?2 AND (series = ?3 OR ?3 IS NULL) AND of_move = 0";
        let mut query = tx.prepare_cached(&format!("SELECT note FROM correction WHERE {of}"))?;
        for told in query.query_map(told, |row| row.get(0))? {
            notes.push(told?);
        }
        tx.prepare_cached(&format!(
            "UPDATE correction SET note = ?4, of_move = 1 WHERE {of}"
        ))?
        .execute(params![tenant, asked.study, series, note])?;
    }
    if emptied.study {
        tx.prepare_cached("UPDATE correction SET study = ?3 WHERE tenant = ?1 AND study = ?2")?
            .execute(params![tenant, asked.study, asked.to.study])?;
    }
    note::forget_unused(tx, &notes)
}
