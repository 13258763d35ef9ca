//! What the index holds of a patient: whose studies there are, and what names
//! them beside the rows that a deletion removes.

use super::audit::Told;
use hilum_platform::clock::from_millis;

use crate::db::{Connection, OptionalExtension, Whose, params};
use crate::error::{ArchiveError, Result};
use crate::index::packs;
use crate::limits;
use crate::model::{ErasedPatient, ErasureRow};
use crate::pack::Packs;

/// Studies under a Patient ID, as received or as corrected.
pub(crate) fn studies(
    db: &Connection,
    tenant: i64,
    patient: &ErasedPatient,
) -> Result<Vec<String>> {
    let mut query = db.prepare_cached(
        "SELECT uid FROM study WHERE tenant = ?1 AND patient_id = ?2 AND issuer IS NOT DISTINCT FROM ?3 ORDER BY id",
    )?;
    let rows = query.query_map(params![tenant, patient.id, patient.issuer], |row| {
        row.get(0)
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Studies of an erasure of this patient that was begun and is not certified;
/// `None`: there is none.
pub(crate) fn begun(
    db: &Connection,
    tenant: i64,
    patient: &ErasedPatient,
) -> Result<Option<Vec<String>>> {
    let studies: Option<String> = db
        .prepare_cached(
            "SELECT studies FROM erasing WHERE tenant = ?1 AND patient_id = ?2 AND issuer IS NOT DISTINCT FROM ?3",
        )?
        .query_row(params![tenant, patient.id, patient.issuer], |row| {
            row.get(0)
        })
        .optional()?;
    studies
        .map(|studies| serde_json::from_str(&studies).map_err(|_| ArchiveError::Corrupt))
        .transpose()
}

/// Remembers that the erasure of a patient is begun, until it is certified.
pub(crate) fn begin(
    db: &mut Connection,
    tenant: i64,
    patient: &ErasedPatient,
    by: &str,
    studies: &[String],
    (told, now): (&Told, i64),
) -> Result<()> {
    let studies = serde_json::to_string(studies).map_err(|_| ArchiveError::Corrupt)?;
    let tx = db.begin(tenant)?;
    tx.execute(
        "DELETE FROM erasing WHERE tenant = ?1 AND patient_id = ?2 AND issuer IS NOT DISTINCT FROM ?3",
        params![tenant, patient.id, patient.issuer],
    )?;
    tx.execute(
        "INSERT INTO erasing (tenant, patient_id, issuer, by, studies) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![tenant, patient.id, patient.issuer, by, studies],
    )?;
    told.keep(&tx, now)?;
    tx.commit()?;
    Ok(())
}

/// Erasures of a tenant that are begun and not certified: whom, and by whom.
pub(crate) fn unfinished(db: &Connection, tenant: i64) -> Result<Vec<(ErasedPatient, String)>> {
    let mut query = db.prepare_cached(
        "SELECT patient_id, issuer, by FROM erasing
         WHERE tenant = ?1 AND patient_id IS NOT NULL AND record IS NULL ORDER BY id",
    )?;
    let rows = query.query_map([tenant], |row| {
        let (id, issuer) = (row.get(0)?, row.get(1)?);
        Ok((ErasedPatient { id, issuer }, row.get(2)?))
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Every patient who has a study or a hold.
pub(crate) fn patients(db: &Connection, tenant: i64) -> Result<Vec<ErasedPatient>> {
    let mut query = db.prepare(
        "SELECT patient_id, issuer FROM study WHERE tenant = ?1 AND patient_id IS NOT NULL
         UNION SELECT patient_id, issuer FROM hold WHERE tenant = ?1 AND patient_id IS NOT NULL",
    )?;
    let rows = query.query_map([tenant], |row| {
        Ok(ErasedPatient {
            id: row.get(0)?,
            issuer: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Calls `each` with the UID of every study.
pub(crate) fn each_study(
    db: &Connection,
    tenant: i64,
    mut each: impl FnMut(String) -> Result<()>,
) -> Result<()> {
    let mut query =
        db.prepare("SELECT uid FROM study WHERE tenant = ?1 AND uid > ?2 ORDER BY uid LIMIT ?3")?;
    let mut after = String::new();
    loop {
        let rows = query.query_map(params![tenant, after, limits::ROWS_LOOKED_THROUGH], |row| {
            row.get::<String>(0)
        })?;
        let some = rows.collect::<crate::db::Result<Vec<_>>>()?;
        let Some(last) = some.last() else {
            return Ok(());
        };
        after.clone_from(last);
        for study in some {
            each(study)?;
        }
    }
}

/// Calls `each` with the UIDs of every study and series.
pub(crate) fn each_series(
    db: &Connection,
    tenant: i64,
    mut each: impl FnMut(String, String) -> Result<()>,
) -> Result<()> {
    let mut query = db.prepare(
        "SELECT t.uid, s.uid FROM series s JOIN study t ON t.id = s.study WHERE t.tenant = ?1",
    )?;
    let mut rows = query.query([tenant])?;
    while let Some(row) = rows.next()? {
        each(row.get(0)?, row.get(1)?)?;
    }
    Ok(())
}

/// Calls `each` with the UIDs of study, series and instance, of every instance.
pub(crate) fn each_instance(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    mut each: impl FnMut(&str, &str, &str) -> Result<()>,
) -> Result<()> {
    let mut query = db.prepare(
        "SELECT t.uid, s.uid, i.uid FROM instance i JOIN series s ON s.id = i.series
         JOIN study t ON t.id = s.study WHERE i.tenant = ?1",
    )?;
    let mut rows = query.query([tenant])?;
    while let Some(row) = rows.next()? {
        let text = |at: usize| row.get::<String>(at);
        each(&text(0)?, &text(1)?, &text(2)?)?;
    }
    let mut query = db.prepare("SELECT id FROM pack WHERE tenant = ?1 AND series IS NOT NULL")?;
    let mut rows = query.query([tenant])?;
    while let Some(row) = rows.next()? {
        if let Some(pack) = packs::by_id(db, tenant, row.get(0)?)? {
            let packed = packs.open(db, pack)?;
            for entry in &packed.block.entries {
                let row = &packed.row;
                each(&row.study_uid, &row.series_uid, &entry.sop_instance)?;
            }
        }
    }
    Ok(())
}

/// Remembers that an erasure is carried out again, and of which studies; with
/// those of an attempt before.
pub(crate) fn begin_again(
    db: &mut Connection,
    tenant: i64,
    record: &str,
    studies: &[String],
) -> Result<Vec<String>> {
    let tx = db.begin(tenant)?;
    let before: Option<String> = tx
        .query_row(
            "DELETE FROM erasing WHERE record = ?1 AND patient_id IS NOT NULL RETURNING studies",
            [record],
            |row| row.get(0),
        )
        .optional()?;
    let mut all: Vec<String> = before
        .map(|studies| serde_json::from_str(&studies).map_err(|_| ArchiveError::Corrupt))
        .transpose()?
        .unwrap_or_default();
    for study in studies {
        if !all.contains(study) {
            all.push(study.clone());
        }
    }
    let text = serde_json::to_string(&all).map_err(|_| ArchiveError::Corrupt)?;
    // No Patient ID is empty: it is about nobody by name.
    tx.execute(
        "INSERT INTO erasing (tenant, patient_id, by, studies, record) VALUES (?1, '', '', ?2, ?3)",
        params![tenant, text, record],
    )?;
    tx.commit()?;
    Ok(all)
}

/// Nobody keeps anything of it; what was deleted may still stand in free pages.
pub(crate) fn end_again(db: &Connection, record: &str) -> Result<()> {
    db.execute(
        "UPDATE erasing SET patient_id = NULL, studies = '[]' WHERE record = ?1",
        [record],
    )?;
    Ok(())
}

/// What is certified and may still stand in free pages or logs.
pub(crate) fn unscrubbed(db: &Connection) -> Result<Vec<i64>> {
    let mut query = db.prepare_cached("SELECT id FROM erasing WHERE patient_id IS NULL")?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// These stand nowhere any more.
pub(crate) fn scrubbed(db: &mut Connection, certified: &[i64]) -> Result<()> {
    let tx = db.begin(Whose::Every)?;
    for id in certified {
        tx.prepare_cached("DELETE FROM erasing WHERE id = ?1")?
            .execute([id])?;
    }
    tx.commit()?;
    Ok(())
}

/// Deletes events of a tenant that name one of these studies, sent or not:
/// whoever follows them is told to forget the studies.
pub(crate) fn forget_events(db: &mut Connection, tenant: &str, studies: &[String]) -> Result<()> {
    let tx = db.begin(Whose::Every)?;
    for study in studies {
        tx.prepare_cached(tx.each(
            "DELETE FROM outbox WHERE json_extract(event, '$.tenant') = ?1
             AND instr(event, '\"' || ?2 || '\"') > 0",
            "DELETE FROM outbox WHERE event::json ->> 'tenant' = ?1
             AND instr(event, '\"' || ?2 || '\"') > 0",
        ))?
        .execute(params![tenant, study])?;
    }
    tx.commit()?;
    Ok(())
}

/// Keeps the certificate of an erasure in the place of what it was about.
pub(crate) fn certify(
    db: &mut Connection,
    tenant: i64,
    patient: &ErasedPatient,
    now: i64,
    certificate: &str,
    told: &Told,
) -> Result<i64> {
    let tx = db.begin(tenant)?;
    let id = tx
        .prepare("INSERT INTO erasure (tenant, at, certificate) VALUES (?1, ?2, ?3)")?
        .insert(params![tenant, now, certificate])?;
    tx.execute(
        "UPDATE erasing SET patient_id = NULL, issuer = NULL, studies = '[]'
         WHERE tenant = ?1 AND patient_id = ?2 AND issuer IS NOT DISTINCT FROM ?3",
        params![tenant, patient.id, patient.issuer],
    )?;
    told.keep(&tx, now)?;
    tx.commit()?;
    Ok(id)
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
    Ok(rows.collect::<crate::db::Result<_>>()?)
}
