//! Digests of what the rows of studies and series say, written with them, so
//! that a bit that flips in a row does not answer for a patient. Counters and
//! times of reception are not in it: they change with every commit.

use aws_lc_rs::digest;

use crate::db::{Connection, Row, ValueRef, Whose, params};
use crate::error::Result;
use crate::limits;

/// Whose row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Study,
    Series,
}

impl Of {
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Study => "study",
            Self::Series => "series",
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Study => {
                "tenant, uid, issuer, patient_id, patient_name, patient_name_a, patient_name_i,
                 patient_name_p, birth_date, sex, date, time, timezone, accession, study_id,
                 description, description_key, referring, referring_a, referring_i, referring_p,
                 overlay"
            }
            Self::Series => {
                "tenant, uid, modality, number, description, description_key, body_part,
                 laterality, date, time, protocol, manufacturer, station, frame_of_reference,
                 performed_step_date, performed_step_time, scheduled_step_id,
                 requested_procedure_id, overlay"
            }
        }
    }
}

/// Writes the digest of a row that was written.
pub(crate) fn write(tx: &Connection, of: Of, row: i64) -> Result<()> {
    let (table, columns) = (of.table(), of.columns());
    let digest = tx
        .prepare_cached(&format!("SELECT {columns} FROM {table} WHERE id = ?1"))?
        .query_row([row], |row| digest(row, 0))?;
    tx.prepare_cached(&format!("UPDATE {table} SET digest = ?2 WHERE id = ?1"))?
        .execute(params![row, digest])?;
    Ok(())
}

/// Writes the digests of some rows from before there were any; whether there
/// may be more.
pub(crate) fn complete(db: &mut Connection, of: Of) -> Result<bool> {
    let tx = db.begin(Whose::Every)?;
    let table = of.table();
    let rows: Vec<i64> = tx
        .prepare_cached(&format!(
            "SELECT id FROM {table} WHERE digest IS NULL LIMIT ?1"
        ))?
        .query_map([limits::DIGESTS_COMPLETED], |row| row.get(0))?
        .collect::<crate::db::Result<_>>()?;
    for row in &rows {
        write(&tx, of, *row)?;
    }
    tx.commit()?;
    Ok(rows.len() as u64 == u64::from(limits::DIGESTS_COMPLETED))
}

/// Rows that say something else than was written: tenant and row.
pub(crate) fn damaged(db: &Connection, of: Of) -> Result<Vec<(String, i64)>> {
    let (table, columns) = (of.table(), of.columns());
    let mut query = db.prepare(&format!(
        "SELECT id, digest, (SELECT name FROM tenant WHERE id = {table}.tenant), {columns}
         FROM {table} WHERE digest IS NOT NULL AND id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let (mut found, mut after) = (Vec::new(), i64::MIN);
    loop {
        let mut rows = query.query(params![after, limits::ROWS_LOOKED_THROUGH])?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            last = Some(row.get(0)?);
            // One that is no number any more was changed, too.
            let written = row.get_ref(1)?.as_i64().ok();
            if written != Some(digest(row, 3)?) {
                let tenant: Option<String> = row.get(2)?;
                found.push((tenant.unwrap_or_default(), row.get(0)?));
            }
        }
        match last {
            Some(last) => after = last,
            None => return Ok(found),
        }
    }
}

/// Of the values from `first` on, each with its kind and length.
fn digest(row: Row<'_>, first: usize) -> crate::db::Result<i64> {
    let mut hash = digest::Context::new(&digest::SHA256);
    for at in first..row.columns() {
        update(&mut hash, row.get_ref(at)?);
    }
    let mut short = [0; 8];
    for (to, from) in short.iter_mut().zip(hash.finish().as_ref()) {
        *to = *from;
    }
    Ok(i64::from_le_bytes(short))
}

/// Adds a value to a hash, with its kind and length.
pub(crate) fn update(hash: &mut digest::Context, value: ValueRef<'_>) {
    let number;
    let (kind, bytes): (u8, &[u8]) = match value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(value) => {
            number = value.to_le_bytes();
            (1, &number)
        }
        ValueRef::Real(value) => {
            number = value.to_le_bytes();
            (2, &number)
        }
        ValueRef::Text(bytes) => (3, bytes),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    hash.update(&[kind]);
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
