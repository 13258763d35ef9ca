//! What the index holds of a patient: whose studies there are, and what names
//! them beside the rows that a deletion removes.

use hilum_platform::clock::from_millis;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::Result;
use crate::model::{ErasedPatient, ErasureRow};

/// Studies under a Patient ID, as received or as corrected.
pub(crate) fn studies(
    db: &Connection,
    tenant: i64,
    patient: &ErasedPatient,
) -> Result<Vec<String>> {
    let mut query = db.prepare_cached(
        "SELECT uid FROM study WHERE tenant = ?1 AND patient_id = ?2 AND issuer IS ?3 ORDER BY id",
    )?;
    let rows = query.query_map(params![tenant, patient.id, patient.issuer], |row| {
        row.get(0)
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes events of a tenant that name one of these studies, sent or not:
/// whoever follows them is told to forget the studies.
pub(crate) fn forget_events(db: &mut Connection, tenant: &str, studies: &[String]) -> Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for study in studies {
        tx.prepare_cached(
            "DELETE FROM outbox WHERE json_extract(event, '$.tenant') = ?1
             AND instr(event, '\"' || ?2 || '\"') > 0",
        )?
        .execute(params![tenant, study])?;
    }
    tx.commit()?;
    Ok(())
}

pub(crate) fn keep_certificate(
    db: &Connection,
    tenant: i64,
    now: i64,
    certificate: &str,
) -> Result<i64> {
    db.execute(
        "INSERT INTO erasure (tenant, at, certificate) VALUES (?1, ?2, ?3)",
        params![tenant, now, certificate],
    )?;
    Ok(db.last_insert_rowid())
}

pub(crate) fn certificates(db: &Connection, tenant: i64, limit: u32) -> Result<Vec<ErasureRow>> {
    let mut query = db.prepare_cached(
        "SELECT id, at, certificate FROM erasure WHERE tenant = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let limit = limit.min(crate::limits::PAGE_ROWS);
    let rows = query.query_map(params![tenant, limit], |row| {
        Ok(ErasureRow {
            id: row.get(0)?,
            at: from_millis(row.get(1)?),
            certificate: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
