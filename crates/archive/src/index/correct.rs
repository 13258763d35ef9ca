//! The transaction of a correction: the row answers with its new attributes
//! and carries its overlay from then on. Instances and their bytes stay.

use super::audit::Told;
use hilum_contracts::Event;
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::imaging::StudyCorrected;
use hilum_platform::clock::from_millis;

use super::levels::{refresh_modalities, wire_patient};
use super::tombstone::study_row;
use super::{attributes, note, outbox, placement, row_digest};
use crate::db::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use crate::error::{ArchiveError, Result};
use crate::model::{
    Corrected, CorrectionRow, MoveOf, NewCorrection, PatientIdentity, SeriesAttributes,
    StudyAttributes,
};
use crate::note::{Note, Written};

/// A correction whose note is durable.
pub(crate) struct Unit {
    pub tenant: TenantId,
    pub tenant_row: i64,
    pub correction: NewCorrection,
    pub note: Written,
    /// Nothing when an index is made again.
    pub told: Option<Told>,
}

/// The revision of the row that a correction is about; `None`: there is none.
pub(crate) fn revision(db: &Connection, tenant: i64, of: &NewCorrection) -> Result<Option<u64>> {
    let study = db
        .prepare_cached("SELECT id, revision FROM study WHERE tenant = ?1 AND uid = ?2")?
        .query_row(params![tenant, of.study], |row| {
            Ok((row.get::<i64>(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((study, revision)) = study else {
        return Ok(None);
    };
    let Corrected::Series { series, .. } = &of.corrected else {
        return Ok(Some(revision));
    };
    Ok(db
        .prepare_cached("SELECT revision FROM series WHERE study = ?1 AND uid = ?2")?
        .query_row(params![study, series], |row| row.get(0))
        .optional()?)
}

/// Runs the transaction; the version that the row has now.
pub(crate) fn correct(db: &mut Connection, unit: &Unit, now: i64) -> Result<u64> {
    let tx = db.begin(unit.tenant_row)?;
    let of = &unit.correction;
    let study = study_row(&tx, unit.tenant_row, &of.study)?;
    let told = match &unit.told {
        Some(told) => Some(told.clone().with_patient(&tx, unit.tenant_row)?),
        None => None,
    };
    let (series, version) = match &of.corrected {
        Corrected::Study {
            patient,
            attributes,
        } => {
            let row = (study, of.revision);
            let version = study_becomes(&tx, row, patient, attributes, &of.overlay)?;
            // Answers about its series and instances change too.
            tx.prepare_cached("UPDATE series SET revision = revision + 1 WHERE study = ?1")?
                .execute([study])?;
            (None, version)
        }
        Corrected::Series { series, attributes } => {
            let version =
                series_becomes(&tx, (study, of.revision), series, attributes, &of.overlay)?;
            tx.prepare_cached("UPDATE study SET revision = revision + 1 WHERE id = ?1")?
                .execute([study])?;
            refresh_modalities(&tx, study)?;
            (Some(series), version)
        }
    };
    let note = note::keep(&tx, unit.tenant_row, &unit.note, now)?;
    tx.prepare_cached(
        "INSERT INTO correction (tenant, study, series, version, detail, reason, by, at, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        unit.tenant_row,
        of.study,
        series,
        version,
        of.detail,
        of.reason,
        of.by,
        now,
        note
    ])?;
    let patient = match &of.corrected {
        Corrected::Study { patient, .. } => Some(wire_patient(patient)),
        Corrected::Series { .. } => None,
    };
    let corrected = StudyCorrected {
        study_uid: of.study.clone(),
        series_uid: series.cloned(),
        patient,
    };
    let event = Event::new(
        unit.tenant.clone(),
        CorrelationId::new(),
        from_millis(now),
        of.study.clone(),
        version,
        &corrected,
    )
    .map_err(|_| ArchiveError::Invalid("the event cannot be written"))?;
    outbox::append(&tx, &event)?;
    if let Some(told) = told {
        told.keep(&tx, now)?;
    }
    tx.commit()?;
    Ok(version)
}

fn study_becomes(
    tx: &Connection,
    (row, revision): (i64, u64),
    patient: &PatientIdentity,
    study: &StudyAttributes,
    overlay: &str,
) -> Result<u64> {
    let of_row: [&dyn ToSql; 2] = [&row, &revision];
    let attributes = attributes::of_study(patient, study);
    let says = attributes.iter().map(|value| value as _);
    let overlay: &dyn ToSql = &overlay;
    let version = tx
        .prepare_cached(
            "UPDATE study SET issuer = ?3, patient_id = ?4, patient_name = ?5, patient_name_a = ?6,
            patient_name_i = ?7, patient_name_p = ?8, birth_date = ?9, sex = ?10, date = ?11,
            time = ?12, timezone = ?13, accession = ?14, study_id = ?15, description = ?16,
            description_key = ?17, referring = ?18, referring_a = ?19, referring_i = ?20,
            referring_p = ?21, overlay = ?22, overlay_version = overlay_version + 1,
            revision = revision + 1
         WHERE id = ?1 AND revision = ?2 RETURNING overlay_version",
        )?
        .query_row(
            params_from_iter(of_row.into_iter().chain(says).chain([overlay])),
            |row| row.get(0),
        )
        .optional()?
        .ok_or(ArchiveError::Outdated)?;
    row_digest::write(tx, row_digest::Of::Study, row)?;
    Ok(version)
}

fn series_becomes(
    tx: &Connection,
    (study, revision): (i64, u64),
    uid: &str,
    series: &SeriesAttributes,
    overlay: &str,
) -> Result<u64> {
    let row: i64 = tx
        .prepare_cached("SELECT id FROM series WHERE study = ?1 AND uid = ?2")?
        .query_row(params![study, uid], |row| row.get(0))
        .optional()?
        .ok_or(ArchiveError::NotFound)?;
    let of_row: [&dyn ToSql; 2] = [&row, &revision];
    let attributes = attributes::of_series(series);
    let says = attributes.iter().map(|value| value as _);
    let overlay: &dyn ToSql = &overlay;
    let version = tx
        .prepare_cached(
            "UPDATE series SET modality = ?3, number = ?4, description = ?5, description_key = ?6,
            body_part = ?7, laterality = ?8, date = ?9, time = ?10, protocol = ?11,
            manufacturer = ?12, station = ?13, frame_of_reference = ?14,
            performed_step_date = ?15, performed_step_time = ?16, scheduled_step_id = ?17,
            requested_procedure_id = ?18, overlay = ?19, overlay_version = overlay_version + 1,
            revision = revision + 1
         WHERE id = ?1 AND revision = ?2 RETURNING overlay_version",
        )?
        .query_row(
            params_from_iter(of_row.into_iter().chain(says).chain([overlay])),
            |row| row.get(0),
        )
        .optional()?
        .ok_or(ArchiveError::Outdated)?;
    row_digest::write(tx, row_digest::Of::Series, row)?;
    Ok(version)
}

/// Puts what a note tells of a move into an index that is made again.
pub(crate) fn keep_move(
    db: &mut Connection,
    tenant: i64,
    told: &Note,
    written: &Written,
) -> Result<()> {
    let Note::Moved {
        from_study,
        series,
        study,
        to_series,
        of,
        overlay,
        detail,
        reason,
        by,
        at,
        ..
    } = told
    else {
        return Ok(());
    };
    let tx = db.begin(tenant)?;
    let note = note::keep(&tx, tenant, written, *at)?;
    if let Some(overlay) = overlay.as_ref().filter(|_| of.is_whole()) {
        let placement = placement::keep(&tx, tenant, overlay)?;
        for from in series {
            let to = (study.as_str(), to_series.as_ref().unwrap_or(from).as_str());
            placement::redirect(&tx, tenant, (from_study, from), to, placement)?;
        }
        if *of == MoveOf::Study {
            placement::redirect(&tx, tenant, (from_study, ""), (study, ""), placement)?;
        }
    }
    let moved = match of {
        MoveOf::Study => None,
        MoveOf::Series(series) | MoveOf::Instances { series, .. } => {
            Some(to_series.as_ref().unwrap_or(series))
        }
    };
    tx.prepare_cached(
        "INSERT INTO correction
            (tenant, study, series, version, detail, reason, by, at, note, of_move)
         VALUES (?1, ?2, ?3,
            (SELECT count(*) + 1 FROM correction WHERE tenant = ?1 AND study = ?2),
            ?4, ?5, ?6, ?7, ?8, 1)",
    )?
    .execute(params![tenant, study, moved, detail, reason, by, at, note])?;
    tx.commit()?;
    Ok(())
}

/// The overlay of a study's row, or of a series' row.
pub(crate) fn overlay(
    db: &Connection,
    tenant: i64,
    study: &str,
    series: Option<&str>,
) -> Result<Option<String>> {
    let found: Option<Option<String>> = match series {
        None => db
            .prepare_cached("SELECT overlay FROM study WHERE tenant = ?1 AND uid = ?2")?
            .query_row(params![tenant, study], |row| row.get(0))
            .optional()?,
        Some(series) => db
            .prepare_cached(
                "SELECT s.overlay FROM series s JOIN study t ON t.id = s.study
                 WHERE t.tenant = ?1 AND t.uid = ?2 AND s.uid = ?3",
            )?
            .query_row(params![tenant, study, series], |row| row.get(0))
            .optional()?,
    };
    Ok(found.flatten())
}

/// Corrections of a study and its series, the oldest first.
pub(crate) fn list(db: &Connection, tenant: i64, study: &str) -> Result<Vec<CorrectionRow>> {
    let mut query = db.prepare_cached(
        "SELECT id, series, version, detail, reason, by, at FROM correction
         WHERE tenant = ?1 AND study = ?2 ORDER BY id LIMIT ?3",
    )?;
    let rows = query.query_map(params![tenant, study, crate::limits::PAGE_ROWS], |row| {
        Ok(CorrectionRow {
            id: row.get(0)?,
            series: row.get(1)?,
            version: row.get(2)?,
            detail: row.get(3)?,
            reason: row.get(4)?,
            by: row.get(5)?,
            at: from_millis(row.get(6)?),
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}
