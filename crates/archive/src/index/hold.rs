//! What stands against a deletion: legal holds and minimal retention. Asked in
//! the transaction that deletes, so that nothing can come in between.

use super::audit::Told;
use hilum_contracts::audit::Detail;
use hilum_platform::clock::from_millis;

use super::retention::{Facts, window};
use super::{note, objects, tombstone};
use crate::db::{Connection, OptionalExtension, params};
use crate::error::{ArchiveError, Result};
use crate::model::{ErasedPatient, HoldOn, HoldRow, Keeping, RetentionRule};
use crate::note::Written;

/// Whether a study, or a part of it, may be deleted now.
///
/// # Errors
/// [`crate::ArchiveError::Held`] when a hold or a rule keeps it.
pub(crate) fn may_delete(tx: &Connection, tenant: i64, study: i64, now: i64) -> Result<()> {
    let keeping = keeping(tx, tenant, study)?;
    let kept = keeping
        .keep_until
        .is_some_and(|until| until > from_millis(now));
    if kept || !keeping.holds.is_empty() {
        return Err(ArchiveError::Held);
    }
    Ok(())
}

/// What stands against deleting a study, and when its time is over.
pub(crate) fn keeping(db: &Connection, tenant: i64, study: i64) -> Result<Keeping> {
    let (uid, issuer, id, facts) = db
        .prepare_cached(
            "SELECT uid, issuer, patient_id, date, last_received, modalities FROM study
             WHERE id = ?1 AND tenant = ?2",
        )?
        .query_row(params![study, tenant], |row| {
            let facts = Facts {
                date: row.get(3)?,
                last_received: row.get(4)?,
                modalities: row.get(5)?,
            };
            Ok((
                row.get::<String>(0)?,
                row.get::<Option<String>>(1)?,
                row.get::<Option<String>>(2)?,
                facts,
            ))
        })
        .optional()?
        .ok_or(ArchiveError::NotFound)?;
    let window = window(&rules(db, tenant)?, &facts);
    let sql = format!(
        "SELECT {COLUMNS} FROM hold WHERE tenant = ?1 AND lifted_at IS NULL AND (study = ?2
         OR (patient_id = ?3 AND (issuer IS NULL OR issuer = ?4 OR ?4 IS NULL))) ORDER BY id"
    );
    let mut query = db.prepare_cached(&sql)?;
    let holds = query.query_map(params![tenant, uid, id, issuer], hold)?;
    Ok(Keeping {
        holds: holds.collect::<crate::db::Result<_>>()?,
        keep_until: window.keep_until.map(from_millis),
        expires_at: window.expires_at.map(from_millis),
    })
}

/// The tenant's rules, as it was opened with.
pub(crate) fn rules(db: &Connection, tenant: i64) -> Result<Vec<RetentionRule>> {
    let text: Option<String> = db
        .prepare_cached("SELECT rules FROM retention WHERE tenant = ?1")?
        .query_row([tenant], |row| row.get(0))
        .optional()?;
    text.map_or(Ok(Vec::new()), |text| {
        serde_json::from_str(&text).map_err(|_| ArchiveError::Corrupt)
    })
}

pub(crate) fn set_rules(db: &Connection, tenant: i64, rules: &[RetentionRule]) -> Result<()> {
    let text = serde_json::to_string(rules)
        .map_err(|_| ArchiveError::Invalid("the retention rules cannot be written"))?;
    db.execute(
        "INSERT INTO retention (tenant, rules) VALUES (?1, ?2)
         ON CONFLICT (tenant) DO UPDATE SET rules = excluded.rules",
        params![tenant, text],
    )?;
    Ok(())
}

/// Studies after row `after` whose time is over and that nothing keeps: UIDs,
/// and the row to go on after.
pub(crate) fn expired(
    db: &Connection,
    tenant: i64,
    after: i64,
    limit: u32,
    now: i64,
) -> Result<(Vec<String>, Option<i64>)> {
    let rules = rules(db, tenant)?;
    let mut query = db.prepare_cached(
        "SELECT id, uid, date, last_received, modalities FROM study
         WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = query.query(params![tenant, after, limit])?;
    let (mut found, mut last, mut seen) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        (last, seen) = (Some(id), seen + 1);
        let facts = Facts {
            date: row.get(2)?,
            last_received: row.get(3)?,
            modalities: row.get(4)?,
        };
        let over = window(&rules, &facts)
            .expires_at
            .is_some_and(|at| at <= now);
        if over && may_delete(db, tenant, id, now).is_ok() {
            found.push(row.get(1)?);
        }
    }
    Ok((found, last.filter(|_| seen == limit)))
}

const COLUMNS: &str = "id, study, issuer, patient_id, reason, by, placed_at";

fn hold(row: crate::db::Row<'_>) -> crate::db::Result<HoldRow> {
    let study: Option<String> = row.get(1)?;
    Ok(HoldRow {
        id: row.get(0)?,
        on: match study {
            Some(study) => HoldOn::Study { study },
            None => HoldOn::Patient {
                issuer: row.get(2)?,
                id: row.get::<Option<String>>(3)?.unwrap_or_default(),
            },
        },
        reason: row.get(4)?,
        by: row.get(5)?,
        placed_at: from_millis(row.get(6)?),
    })
}

/// Holds that stand, the newest first.
pub(crate) fn list(db: &Connection, tenant: i64, limit: u32) -> Result<Vec<HoldRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM hold WHERE tenant = ?1 AND lifted_at IS NULL
         ORDER BY id DESC LIMIT ?2"
    );
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(params![tenant, limit], hold)?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

pub(crate) fn get(db: &Connection, tenant: i64, id: i64) -> Result<Option<HoldRow>> {
    let sql =
        format!("SELECT {COLUMNS} FROM hold WHERE tenant = ?1 AND id = ?2 AND lifted_at IS NULL");
    Ok(db
        .prepare_cached(&sql)?
        .query_row(params![tenant, id], hold)
        .optional()?)
}

/// Places a hold whose note is durable.
pub(crate) fn place(
    db: &mut Connection,
    tenant: i64,
    mark: &[u8; 16],
    (on, reason, by): (&HoldOn, &str, &str),
    written: &Written,
    told: Option<Told>,
    at: i64,
) -> Result<i64> {
    let tx = db.begin(tenant)?;
    let note = note::keep(&tx, tenant, written, at)?;
    let (study, issuer, patient) = match on {
        HoldOn::Study { study } => (Some(study), None, None),
        HoldOn::Patient { issuer, id } => (None, issuer.as_ref(), Some(id)),
    };
    let id = tx
        .prepare_cached(
            "INSERT INTO hold (tenant, mark, study, issuer, patient_id, reason, by, placed_at, note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .insert(params![
            tenant, mark, study, issuer, patient, reason, by, at, note
        ])?;
    keep(&tx, tenant, told, id, at)?;
    tx.commit()?;
    Ok(id)
}

/// The mark under which a hold's notes name it.
pub(crate) fn mark_of(db: &Connection, tenant: i64, id: i64) -> Result<[u8; 16]> {
    db.prepare_cached("SELECT mark FROM hold WHERE tenant = ?1 AND id = ?2 AND lifted_at IS NULL")?
        .query_row(params![tenant, id], |row| row.get(0))
        .optional()?
        .ok_or(ArchiveError::NotFound)
}

/// A hold that was lifted, with its note.
pub(crate) struct Lifted {
    pub id: i64,
    pub note: i64,
    pub on: HoldOn,
}

/// Lifted holds that name a patient, or one of these studies.
pub(crate) fn lifted(
    db: &Connection,
    tenant: i64,
    patient: Option<&ErasedPatient>,
    studies: &[String],
) -> Result<Vec<Lifted>> {
    let id = patient.map(|patient| &patient.id);
    let issuer = patient.and_then(|patient| patient.issuer.as_ref());
    let mut query = db.prepare_cached(
        "SELECT id, note, study, issuer, patient_id FROM hold
         WHERE tenant = ?1 AND lifted_at IS NOT NULL AND (study = ?2
            OR (patient_id = ?3 AND (issuer IS NULL OR issuer IS NOT DISTINCT FROM ?4)))",
    )?;
    let mut found: Vec<Lifted> = Vec::new();
    let of_patient = std::iter::once(None);
    for study in of_patient.chain(studies.iter().map(Some)) {
        let rows = query.query_map(params![tenant, study, id, issuer], |row| {
            Ok(Lifted {
                id: row.get(0)?,
                note: row.get(1)?,
                on: match row.get(2)? {
                    Some(study) => HoldOn::Study { study },
                    None => HoldOn::Patient {
                        issuer: row.get(3)?,
                        id: row.get(4)?,
                    },
                },
            })
        })?;
        for row in rows {
            let row = row?;
            if found.iter().all(|known| known.id != row.id) {
                found.push(row);
            }
        }
    }
    Ok(found)
}

/// Notes that no row tells the meaning of, as those of liftings: row, object
/// and place.
pub(crate) fn unexplained(db: &Connection, tenant: i64) -> Result<Vec<(i64, [u8; 16], u64)>> {
    let mut query = db.prepare_cached(
        "SELECT n.id, o.name, n.offset FROM note n JOIN object o ON o.id = n.object
         WHERE n.tenant = ?1
         AND NOT EXISTS (SELECT 1 FROM deletion d WHERE d.note = n.id)
         AND NOT EXISTS (SELECT 1 FROM correction c WHERE c.note = n.id)
         AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.note = n.id)",
    )?;
    let rows = query.query_map([tenant], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Lifts every hold on these patients and studies, without a note: what they
/// are on is about to be forgotten, and they with it.
pub(crate) fn lift_all(
    db: &mut Connection,
    tenant: i64,
    patients: &[ErasedPatient],
    studies: &[String],
    by: &str,
    now: i64,
) -> Result<()> {
    let tx = db.begin(tenant)?;
    let lift = "UPDATE hold SET lifted_at = ?2, lifted_by = ?3
        WHERE tenant = ?1 AND lifted_at IS NULL AND";
    for study in studies {
        tx.execute(
            &format!("{lift} study = ?4"),
            params![tenant, now, by, study],
        )?;
    }
    for patient in patients {
        tx.execute(
            &format!(
                "{lift} patient_id = ?4 AND (issuer IS NULL OR issuer IS NOT DISTINCT FROM ?5)"
            ),
            params![tenant, now, by, patient.id, patient.issuer],
        )?;
    }
    Ok(tx.commit()?)
}

/// Forgets lifted holds: their rows and notes go, and their keys are doomed.
pub(crate) fn forget(
    db: &mut Connection,
    tenant: i64,
    holds: &[i64],
    notes: &[i64],
    keys: &[[u8; 16]],
    now: i64,
) -> Result<()> {
    let tx = db.begin(tenant)?;
    for hold in holds {
        tx.prepare_cached("DELETE FROM hold WHERE id = ?1 AND lifted_at IS NOT NULL")?
            .execute([hold])?;
    }
    let objects = note::forget_unused(&tx, notes)?;
    objects::bury_unused(&tx, objects, now)?;
    for key in keys {
        tombstone::doom(&tx, tenant, key)?;
    }
    Ok(tx.commit()?)
}

/// Lifts a hold whose lifting is noted.
pub(crate) fn lift(
    db: &mut Connection,
    tenant: i64,
    mark: &[u8; 16],
    by: &str,
    written: &Written,
    told: Option<(Told, i64)>,
    at: i64,
) -> Result<()> {
    let tx = db.begin(tenant)?;
    note::keep(&tx, tenant, written, at)?;
    let lifted = tx
        .prepare_cached(
            "UPDATE hold SET lifted_at = ?3, lifted_by = ?4
             WHERE tenant = ?1 AND mark = ?2 AND lifted_at IS NULL",
        )?
        .execute(params![tenant, mark, at, by])?;
    if lifted != 1 {
        return Err(ArchiveError::NotFound);
    }
    if let Some((told, id)) = told {
        keep(&tx, tenant, Some(told), id, at)?;
    }
    tx.commit()?;
    Ok(())
}

/// Says in the trail which hold it was.
fn keep(tx: &Connection, tenant: i64, told: Option<Told>, id: i64, at: i64) -> Result<()> {
    let Some(mut told) = told else {
        return Ok(());
    };
    told.entry = told.entry.with(Detail::Hold, id);
    told.with_patient(tx, tenant)?.keep(tx, at)
}
