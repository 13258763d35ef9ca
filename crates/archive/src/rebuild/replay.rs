//! What an object tells is committed again, by the transaction that did so at
//! intake.

use crate::db::{Connection, Whose};
use crate::index::stores::Stores;
use hilum_contracts::ids::TenantId;

use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::index::commit::{self, Publication, Unit};
use crate::index::objects::{self, Name};
use crate::index::quarantine::{self, Bounds};
use crate::index::schema::state;
use crate::index::{again, query, tombstone};
use crate::model::RebuildReport;
use crate::moved::MovedAway;
use crate::note::Written;
use crate::pack::Packs;

use super::found::{Buried, Found};
use super::note;
use super::notes;
use super::told::Told;

/// Commits what an object tells.
pub(super) fn replay(
    db: &mut Connection,
    packs: &Packs,
    mut told: Told,
    (buried, moved): (&mut Buried, &MovedAway),
    report: &mut RebuildReport,
) -> Result<()> {
    report.erased += told.erased;
    for fault in std::mem::take(&mut told.faults) {
        note(report, fault);
    }
    if told.instances.is_empty() && told.quarantined.is_none() && told.note.is_none() {
        return Ok(());
    }
    let (created, kind, bytes) = (told.found.created, told.kind, told.bytes);
    let tenant = TenantId::new(told.found.tenant.clone()).map_err(|_| ArchiveError::Corrupt)?;
    let (row, name) = reserved(db, &told.found)?;
    if let Some((descriptor, offset)) = told.quarantined {
        report.quarantined += 1;
        let bounds = Bounds {
            items: u64::MAX,
            bytes: u64::MAX,
        };
        let place = quarantine::Place {
            name,
            bytes,
            offset,
        };
        quarantine::keep(db, row, &place, &descriptor, bounds, None, created)?;
        return Ok(());
    }
    if let Some((note, written)) = told.note {
        let written = Written { name, ..written };
        return notes::replay(db, (&tenant, row), note, written, buried, created);
    }
    let owner = told.found.tenant;
    if kind == Kind::Moved && !moved.counts(&name.name) {
        // Written for a move that was not made.
        objects::transition(db, name.row, state::RESERVED, state::DEAD, created)?;
        return Ok(());
    }
    told.instances
        .retain(|record| moved.stays(&owner, record, (kind, created)));
    let mut dead_keys = Vec::new();
    told.instances.retain(|record| {
        let marks = record.marks.0;
        for (level, mark) in marks.into_iter().enumerate() {
            let Some((at, found)) = buried.get_mut(&(owner.clone(), mark)) else {
                continue;
            };
            if *at >= created {
                found.insert((name.name, record.segment));
                if level == 0 {
                    dead_keys.push(record.key);
                }
                return false;
            }
        }
        true
    });
    for key in dead_keys {
        // The deletion was committed and the key not yet destroyed: the next
        // opening does it.
        tombstone::doom(db, row, &key)?;
    }
    if told.instances.is_empty() && told.erased > 0 {
        // Nothing is buried because a key is missing: it may come back.
        objects::transition(db, name.row, state::RESERVED, state::GONE, created)?;
        return again::keep_referred(db, name.row, kind, bytes);
    }
    report.instances += told.instances.len() as u64;
    if kind == Kind::Moved {
        commit::publish_again(db, row, &told.instances, created)?;
    }
    let key = told
        .instances
        .first()
        .filter(|_| kind != Kind::Moved)
        .and_then(|record| record.descriptor.publication.clone());
    // A pack of the result set may have told of it already.
    let key = match key {
        Some(key) if query::published(db, row, &key)?.is_some() => None,
        other => other,
    };
    let unit = Unit {
        tenant,
        tenant_row: row,
        name,
        kind,
        bytes,
        records: told.instances,
        // It was taken then.
        takes_resends: true,
        as_it_was: true,
        publication: key.map(|key| Publication {
            key,
            events: Vec::new(),
        }),
    };
    commit::commit(db, packs, &Stores::default(), &unit, created, None)?;
    again::keep_referred(db, name.row, kind, bytes)
}

/// The rows of an object and its tenant, as if its name had just been reserved.
pub(super) fn reserved(db: &mut Connection, found: &Found) -> Result<(i64, Name)> {
    let tx = db.begin(Whose::Every)?;
    let tenant = objects::tenant_row(&tx, &found.tenant)?;
    let row = objects::reserve_as(&tx, tenant, &found.name, found.created)?;
    tx.commit()?;
    let name = Name {
        row,
        name: found.name,
    };
    Ok((tenant, name))
}
