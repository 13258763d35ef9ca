//! The index and the keys against themselves: what SQLite notices, and what it
//! does not. A bit of a name that flips leaves a database that is well formed;
//! the row's digest tells.

use crate::db::Connection;
use crate::engine::Engine;
use crate::error::Result;
use crate::index::row_digest::{self, Of};
use crate::index::schema::state;
use crate::index::{erase, objects};
use crate::model::ObjectFault;

impl Engine {
    /// What is wrong with them. Blocks.
    pub(super) fn check_databases(&self) -> Result<Vec<ObjectFault>> {
        let mut faults = self.readers.read_anew(|db| {
            let mut faults = Vec::new();
            if let Some(detail) = db.damage()? {
                faults.push(database("archive.sqlite", detail));
            }
            for of in [Of::Study, Of::Series] {
                for (tenant, row) in row_digest::damaged(db, of)? {
                    let level = of.table().to_owned();
                    faults.push(ObjectFault::Row { tenant, level, row });
                }
            }
            faults.extend(contradictory(db)?);
            Ok(faults)
        })?;
        let detail = match self.keys.damage()? {
            None if self.has_unknown_key()? => Some("a study's key is not found".to_owned()),
            other => other,
        };
        faults.extend(detail.map(|detail| database("keys.sqlite", detail)));
        Ok(faults)
    }

    /// Whether a study's key is not found by its name: what comes for it would
    /// get another one, and its erasure would not destroy this one.
    fn has_unknown_key(&self) -> Result<bool> {
        self.readers.read_here(|db| {
            let mut unknown = false;
            for (row, tenant) in objects::tenants(db)? {
                erase::each_study(db, row, |study| {
                    unknown |= self.keys.id_of(&tenant, &study)?.is_none();
                    Ok(())
                })?;
            }
            Ok(unknown)
        })
    }
}

fn database(file: &str, detail: String) -> ObjectFault {
    ObjectFault::Database {
        file: file.to_owned(),
        detail,
    }
}

/// Rows that contradict each other: counts that are not those of the rows below,
/// another tenant than the row above, or an object that is not live.
fn contradictory(db: &Connection) -> Result<Vec<ObjectFault>> {
    let mut query = db.prepare(
        "SELECT n.name, 'series', s.id FROM series s JOIN tenant n ON n.id = s.tenant
         WHERE s.instances <> (SELECT count(*) FROM instance WHERE series = s.id AND standing = 0)
            + coalesce((SELECT served FROM pack WHERE series = s.id), 0)
         UNION SELECT n.name, 'series', s.id FROM instance i JOIN series s ON s.id = i.series
            JOIN object o ON o.id = i.object JOIN tenant n ON n.id = s.tenant
         WHERE i.tenant <> s.tenant OR o.tenant <> s.tenant OR o.state <> ?1
         UNION SELECT n.name, 'series', s.id FROM pack p JOIN series s ON s.id = p.series
            JOIN object o ON o.id = p.object JOIN tenant n ON n.id = s.tenant
         WHERE p.tenant <> s.tenant OR o.tenant <> s.tenant OR o.state <> ?1
         UNION SELECT n.name, 'quarantine', q.id FROM quarantine q
            JOIN object o ON o.id = q.object JOIN tenant n ON n.id = o.tenant
         WHERE q.tenant <> o.tenant OR o.state <> ?1
         UNION SELECT n.name, 'study', t.id FROM study t JOIN tenant n ON n.id = t.tenant
         WHERE t.instances <> (SELECT coalesce(sum(instances), 0) FROM series WHERE study = t.id)
            OR t.series <> (SELECT count(*) FROM series WHERE study = t.id AND instances > 0)",
    )?;
    let rows = query.query_map([state::LIVE], |row| {
        Ok(ObjectFault::Row {
            tenant: row.get(0)?,
            level: row.get(1)?,
            row: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}
