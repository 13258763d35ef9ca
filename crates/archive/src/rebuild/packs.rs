//! Packs in an index that is made again. The newest whole pack of a series,
//! of which nothing was deleted since, is its pack; of the others what nothing
//! else holds becomes rows, as after a deletion. A pack counts as whole when
//! every body in it was read and hashed: one that a crash left behind must not
//! take the place of the bundles that it was made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::db::{Connection, Whose};
use crate::descriptor::hex;
use crate::error::{ArchiveError, Result};
use crate::format::{BLOCK_SEGMENT, Kind};
use crate::index::again::{self, Again};
use crate::index::history;
use crate::index::instances;
use crate::index::objects::{self, LiveObject, Name};
use crate::index::packs::PackRow;
use crate::index::schema::state;
use crate::index::tombstone::{self, Level, Marks, mark};
use crate::keys::KeyStore;
use crate::model::{ObjectFault, RebuildReport};
use crate::moved::MovedAway;
use crate::pack::{Block, Packs};
use crate::read::read_header;
use crate::verify::{Walked, segments, walk};

use super::found::{Buried, Found};
use super::note;

/// A pack whose block opens.
pub(super) struct Sealed {
    pub found: Found,
    key: [u8; 16],
    bytes: u64,
    block_at: u64,
    block_length: u64,
    series: (String, String),
    /// Everything in it reads.
    whole: bool,
    /// Instances whose bodies do not read, by their ordinals.
    broken: BTreeSet<u32>,
    /// Instances that were deleted or moved since, with what was deleted.
    gone: BTreeMap<u32, ([u8; 32], Level)>,
    /// It is its series' pack.
    pub is_pack: bool,
}

/// What a pack's file is.
pub(super) enum Opened {
    Sealed(Box<Sealed>),
    /// Its key was destroyed; so many segments.
    Erased(u64),
    /// Its block can't be had.
    Damaged(ObjectFault),
}

/// Reads a pack from end to end. Blocks.
pub(super) fn open(
    found: Found,
    keys: &KeyStore,
    packs: &Packs,
    since: (&Buried, &MovedAway),
) -> Opened {
    let fault = |segment| ObjectFault::Corrupt {
        tenant: found.tenant.clone(),
        object: hex::encode(&found.name),
        segment,
    };
    match read(&found, keys, packs, since) {
        Ok(Some(sealed)) => Opened::Sealed(Box::new(sealed)),
        Ok(None) => Opened::Erased(count(&found)),
        Err(_) => Opened::Damaged(fault(Some(BLOCK_SEGMENT))),
    }
}

fn count(found: &Found) -> u64 {
    let mut count = 0_u64;
    if let Ok(object) = found.open()
        && let Ok((_, encoded)) = read_header(&object)
    {
        // What can't be followed is not counted.
        count = segments(&object, &encoded, |_, _, _| ()).map_or(0, u64::from);
    }
    count
}

fn read(
    found: &Found,
    keys: &KeyStore,
    packs: &Packs,
    since: (&Buried, &MovedAway),
) -> Result<Option<Sealed>> {
    let object = found.open()?;
    let bytes = object.length()?;
    let (_, encoded) = read_header(&object)?;
    let mut block = None;
    let followed = segments(&object, &encoded, |segment, _, at| {
        if segment.ordinal == BLOCK_SEGMENT {
            block = Some((segment.key, at, segment.body));
        }
    });
    let (key, block_at, block_length) = block.ok_or(ArchiveError::Corrupt)?;
    match keys.by_id(&found.tenant, &key) {
        Err(ArchiveError::NotFound) => return Ok(None),
        other => other?,
    };
    let block = packs.block_at(&found.tenant, &found.name, block_at, block_length)?;
    let above = block.entries.first().map(|entry| &entry.above);
    let above = above.ok_or(ArchiveError::Corrupt)?;
    let row = PackRow {
        id: 0,
        tenant: 0,
        tenant_name: found.tenant.clone(),
        series: 0,
        series_uid: above.series.clone(),
        study_uid: above.study.clone(),
        object: found.name,
        instances: block.entries.len() as u64,
        block_at,
        block_length,
        overlay: None,
    };
    let texts = packs.check(&row);
    let live = LiveObject {
        row: 0,
        tenant: found.tenant.clone(),
        name: found.name,
        bytes,
    };
    let mut members = Walked::default();
    let walked = walk(&object, &live, keys, &mut members);
    let members = members.members;
    let mut broken = BTreeSet::new();
    for (entry, ordinal) in block.entries.iter().zip(0_u32..) {
        let here = entry.place.elsewhere.is_none();
        let member = members.get(&entry.place.segment);
        let reads = member.is_some_and(|member| {
            (member.offset, member.length, member.sha256)
                == (entry.place.offset, entry.length, entry.sha256)
        });
        if here && !reads {
            broken.insert(ordinal);
        }
    }
    Ok(Some(Sealed {
        key,
        bytes,
        block_at,
        block_length,
        series: (above.study.clone(), above.series.clone()),
        whole: followed.is_ok() && walked.is_ok() && texts.is_ok() && broken.is_empty(),
        broken,
        gone: gone(found, &block, keys, since)?,
        is_pack: false,
        found: found.clone(),
    }))
}

/// Instances of a block that were deleted, or moved away, after it was begun.
fn gone(
    found: &Found,
    block: &Block,
    keys: &KeyStore,
    (buried, moved): (&Buried, &MovedAway),
) -> Result<BTreeMap<u32, ([u8; 32], Level)>> {
    let mut gone = BTreeMap::new();
    for (entry, ordinal) in block.entries.iter().zip(0_u32..) {
        let content = (&*entry.sop_instance, &entry.sha256);
        if moved.left(&found.tenant, content, found.created) {
            // No deletion has this mark.
            gone.insert(ordinal, ([0; 32], Level::Instance));
        }
    }
    if buried.keys().all(|(tenant, _)| *tenant != found.tenant) {
        return Ok(gone);
    }
    for (entry, ordinal) in block.entries.iter().zip(0_u32..) {
        let marks = marks(found, entry, keys)?;
        let levels = [Level::Study, Level::Series, Level::Instance];
        for (mark, level) in marks.0.into_iter().zip(levels) {
            let deleted = buried.get(&(found.tenant.clone(), mark));
            if deleted.is_some_and(|(at, _)| *at >= found.created) {
                gone.entry(ordinal).or_insert((mark, level));
            }
        }
    }
    Ok(gone)
}

fn marks(found: &Found, of: &crate::pack::Entry, keys: &KeyStore) -> Result<Marks> {
    let (tenant, at, above) = (found.tenant.as_str(), found.created, &of.above);
    Ok(Marks([
        mark(keys, tenant, Level::Study, &above.study, "", at)?,
        mark(keys, tenant, Level::Series, &above.series, &above.study, at)?,
        mark(keys, tenant, Level::Instance, &of.sop_instance, "", at)?,
    ]))
}

/// Says which packs are those of their series.
pub(super) fn choose(sealed: &mut [Sealed]) {
    sealed.sort_by_key(|one| std::cmp::Reverse((one.found.created, one.found.name)));
    let mut known = BTreeSet::new();
    for one in sealed {
        let series = (one.found.tenant.clone(), one.series.clone());
        one.is_pack = one.whole && one.gone.is_empty() && known.insert(series);
    }
}

/// Makes rows of the packs, those of their series first, and of what reads and
/// only the others hold.
pub(super) fn take(
    db: &mut Connection,
    packs: &Packs,
    sealed: &[Sealed],
    others: &HashMap<[u8; 16], (Kind, u64)>,
    buried: &mut Buried,
    report: &mut RebuildReport,
) -> Result<()> {
    for one in sealed.iter().rev().filter(|one| one.is_pack) {
        with(db, packs, one, others, |tx, of| {
            again::whole(tx, packs, of)?;
            report.instances += of.block.entries.len() as u64;
            Ok(())
        })?;
    }
    for one in sealed.iter().filter(|one| !one.is_pack) {
        for (ordinal, (mark, level)) in &one.gone {
            if let Some((_, found)) = buried.get_mut(&(one.found.tenant.clone(), *mark)) {
                found.insert((one.found.name, *ordinal));
            }
            if *level == Level::Study {
                // The deletion was committed and the key not yet destroyed.
                let tx = db.begin(Whose::Every)?;
                let tenant = objects::tenant_row(&tx, &one.found.tenant)?;
                tombstone::doom(&tx, tenant, &one.key)?;
                tx.commit()?;
            }
        }
        rest(db, packs, one, others, report, |ordinal| {
            !one.broken.contains(&ordinal)
        })?;
        if !one.whole {
            let fault = ObjectFault::Corrupt {
                tenant: one.found.tenant.clone(),
                object: hex::encode(&one.found.name),
                segment: None,
            };
            note(report, fault);
        }
    }
    Ok(())
}

/// What only a damaged pack holds, so that verification says so. Packs of
/// which nothing was taken are buried when they are whole.
pub(super) fn take_broken(
    db: &mut Connection,
    packs: &Packs,
    sealed: &[Sealed],
    others: &HashMap<[u8; 16], (Kind, u64)>,
    report: &mut RebuildReport,
) -> Result<()> {
    for one in sealed.iter().filter(|one| !one.is_pack) {
        rest(db, packs, one, others, report, |ordinal| {
            one.broken.contains(&ordinal)
        })?;
        if one.whole && objects::state_by_name(db, &one.found.name)?.is_none() {
            let tx = db.begin(Whose::Every)?;
            let tenant = objects::tenant_row(&tx, &one.found.tenant)?;
            let row = objects::reserve_as(&tx, tenant, &one.found.name, one.found.created)?;
            let at = one.found.created;
            objects::transition(&tx, row, state::RESERVED, state::DEAD, at)?;
            tx.commit()?;
        }
    }
    Ok(())
}

/// Instances of a pack that nothing else holds become rows.
fn rest(
    db: &mut Connection,
    packs: &Packs,
    one: &Sealed,
    others: &HashMap<[u8; 16], (Kind, u64)>,
    report: &mut RebuildReport,
    wanted: impl Fn(u32) -> bool,
) -> Result<()> {
    let block = packs.block_at(
        &one.found.tenant,
        &one.found.name,
        one.block_at,
        one.block_length,
    )?;
    let mut left = Vec::new();
    for (entry, ordinal) in block.entries.iter().zip(0_u32..) {
        let (uid, sha256) = (&entry.sop_instance, &entry.sha256);
        if wanted(ordinal)
            && !one.gone.contains_key(&ordinal)
            && !holds(db, packs, &one.found.tenant, uid, sha256)?
        {
            left.push(ordinal);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    with(db, packs, one, others, |tx, of| {
        let damaged = again::rows(tx, packs, of, &left)?;
        report.instances += (left.len() as u64).saturating_sub(damaged);
        Ok(())
    })
}

fn holds(
    db: &Connection,
    packs: &Packs,
    tenant: &str,
    uid: &str,
    sha256: &[u8; 32],
) -> Result<bool> {
    match objects::find_tenant(db, tenant)? {
        Some(tenant) => Ok(instances::exact(db, packs, tenant, uid, sha256)?.is_some()),
        None => Ok(false),
    }
}

fn with(
    db: &mut Connection,
    packs: &Packs,
    one: &Sealed,
    others: &HashMap<[u8; 16], (Kind, u64)>,
    work: impl FnOnce(&crate::db::Transaction<'_>, &Again<'_>) -> Result<()>,
) -> Result<()> {
    let found = &one.found;
    let block = packs.block_at(&found.tenant, &found.name, one.block_at, one.block_length)?;
    let block = Arc::new(block);
    let tx = db.begin(Whose::Every)?;
    let tenant = objects::tenant_row(&tx, &found.tenant)?;
    let row = objects::reserve_as(&tx, tenant, &found.name, found.created)?;
    let elsewhere: BTreeSet<_> = block
        .entries
        .iter()
        .filter_map(|entry| entry.place.elsewhere)
        .collect();
    for name in elsewhere {
        // One that is not there is found missing by verification.
        let holds = others.get(&name).copied().unwrap_or((Kind::Streamed, 0));
        again::refer(&tx, tenant, &name, holds, found.created)?;
    }
    let of = Again {
        tenant,
        tenant_name: &found.tenant,
        name: Name {
            row,
            name: found.name,
        },
        bytes: one.bytes,
        block_at: one.block_at,
        block_length: one.block_length,
        block: &block,
        at: found.created,
    };
    work(&tx, &of)?;
    Ok(tx.commit()?)
}

/// A pack's place in the order of what is told: what it holds was not deleted
/// before, and its rows had come to what its head says.
pub(super) fn reach(
    db: &mut Connection,
    packs: &Packs,
    keys: &KeyStore,
    one: &Sealed,
) -> Result<()> {
    let found = &one.found;
    let block = packs.block_at(&found.tenant, &found.name, one.block_at, one.block_length)?;
    let tx = db.begin(Whose::Every)?;
    let tenant = objects::tenant_row(&tx, &found.tenant)?;
    if history::of(&tx, tenant)?.deleted {
        for (entry, ordinal) in block.entries.iter().zip(0_u32..) {
            if !one.gone.contains_key(&ordinal) {
                tombstone::lift(&tx, tenant, &marks(found, entry, keys)?)?;
            }
        }
    }
    // A deletion is a change, and so is what became of a pack otherwise.
    let since = if one.is_pack {
        0
    } else {
        one.gone.len().max(1) as u64
    };
    again::revise(&tx, tenant, &block, since)?;
    Ok(tx.commit()?)
}
