//! What notes tell is carried out again.

use hilum_contracts::ids::TenantId;

use crate::db::Connection;
use crate::error::{ArchiveError, Result};
use crate::index::{correct, delete, hold};
use crate::model::{Corrected, NewCorrection};
use crate::note::{Note, Written};

use super::found::Buried;

/// Carries out what a note tells, in the order in which notes were begun.
pub(super) fn replay(
    db: &mut Connection,
    (tenant, row): (&TenantId, i64),
    note: Note,
    written: Written,
    buried: &Buried,
    created: i64,
) -> Result<()> {
    match note {
        Note::Deleted { mark, .. } => {
            let instances = buried
                .get(&(tenant.as_str().to_owned(), mark))
                .map_or(0, |(_, instances)| instances.len() as u64);
            delete::replay(db, row, &note, &written, instances)
        }
        Note::Corrected { .. } => correct_again(db, (tenant, row), note, written, created),
        // The object of what was moved tells the rest.
        Note::Moved { .. } => correct::keep_move(db, row, &note, &written),
        Note::Held {
            mark,
            on,
            reason,
            by,
            at,
        } => hold::place(db, row, &mark, (&on, &reason, &by), &written, None, at).map(drop),
        Note::Lifted { mark, by, at } => hold::lift(db, row, &mark, &by, &written, None, at),
    }
}

/// Carries out a correction again. One of a study that was deleted since is
/// left out with it.
fn correct_again(
    db: &mut Connection,
    (tenant, tenant_row): (&TenantId, i64),
    note: Note,
    written: Written,
    at: i64,
) -> Result<()> {
    let Note::Corrected {
        study,
        series,
        patient,
        study_attributes,
        series_attributes,
        overlay,
        detail,
        reason,
        by,
        ..
    } = note
    else {
        return Ok(());
    };
    let corrected = match (series, patient, study_attributes, series_attributes) {
        (None, Some(patient), Some(attributes), _) => Corrected::Study {
            patient: *patient,
            attributes: *attributes,
        },
        (Some(series), _, _, Some(attributes)) => Corrected::Series {
            series,
            attributes: *attributes,
        },
        _ => return Err(ArchiveError::Corrupt),
    };
    let mut unit = correct::Unit {
        tenant: tenant.clone(),
        tenant_row,
        correction: NewCorrection {
            study,
            revision: 0,
            corrected,
            overlay,
            detail,
            reason,
            by,
        },
        note: written,
        told: None,
    };
    let Some(revision) = correct::revision(db, tenant_row, &unit.correction)? else {
        return delete::give_up(db, &unit.note, at);
    };
    unit.correction.revision = revision;
    correct::correct(db, &unit, at).map(drop)
}
