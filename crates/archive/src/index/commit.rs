//! The one transaction that makes an object's instances exist: the object goes
//! from `reserved` to `live`, the same-UID rule is applied, rows of study,
//! series and instances are written, and the events are appended.

use hilum_contracts::Event;
use hilum_contracts::audit::Act;
use hilum_contracts::ids::{CorrelationId, TenantId};

use super::audit::By;
use super::history;
use super::known::{Held, Known};
use super::levels::Levels;
use super::objects::{self, Name};
use super::reject::{self, Touched};
use super::rows::Rows;
use super::schema::state;
use super::stores::Stores;
use super::tombstone::{self, Marks};
use super::{outbox, placement, query};
use crate::db::{Connection, Transaction, params};
use crate::descriptor::{Blocks, Descriptor};
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::model::{Standing, StoreOutcome};
use crate::pack::Packs;
use crate::steps;

/// An object whose file is durable, about to go live.
pub(crate) struct Unit {
    pub tenant: TenantId,
    pub tenant_row: i64,
    pub name: Name,
    pub kind: Kind,
    pub bytes: u64,
    pub records: Vec<Record>,
    /// What was deleted and comes again is taken.
    pub takes_resends: bool,
    /// It was committed before: an index is being made again.
    pub as_it_was: bool,
    pub publication: Option<Publication>,
}

/// One segment of it.
pub(crate) struct Record {
    pub segment: u32,
    pub offset: u64,
    pub descriptor: Descriptor,
    pub blocks: Blocks,
    /// The key it is sealed with.
    pub key: [u8; 16],
    pub marks: Marks,
    /// Who brings it; nobody does when an index is made again.
    pub by: Option<By>,
}

/// A result set that is published by this commit.
pub(crate) struct Publication {
    pub key: String,
    pub events: Vec<Event>,
}

/// What the transaction decided.
pub(crate) enum Committed {
    /// One for each record; what was refused is not in the index.
    Stored(Vec<Result<StoreOutcome>>),
    AlreadyPublished(Vec<String>),
}

/// Runs the transaction. On an error nothing changed, except when the answer
/// of COMMIT itself was unclear: the caller reads the state then.
pub(crate) fn commit(
    db: &mut Connection,
    packs: &Packs,
    stores: &Stores,
    unit: &Unit,
    now: i64,
    more_names: Option<(i64, usize)>,
) -> Result<(Committed, Vec<Name>)> {
    let tx = db.begin(unit.tenant_row)?;
    if let Some(publication) = &unit.publication
        && let Some(instances) = query::published(&tx, unit.tenant_row, &publication.key)?
    {
        objects::transition(&tx, unit.name.row, state::RESERVED, state::DEAD, now)?;
        tx.commit()?;
        return Ok((Committed::AlreadyPublished(instances), Vec::new()));
    }
    let history = history::of(&tx, unit.tenant_row)?;
    let uids: Vec<&str> = unit
        .records
        .iter()
        .map(|record| record.descriptor.sop_instance.as_str())
        .collect();
    let mut known = Known::of(&tx, packs, unit.tenant_row, &uids)?;
    let mut levels = Levels::default();
    let mut rejecting = Rejecting {
        any: history.rejected,
        touched: None,
    };
    let mut rows = Rows::of(unit);
    let mut outcomes = Vec::with_capacity(unit.records.len());
    let moved_any = !unit.as_it_was && history.moved;
    for record in &unit.records {
        if history.deleted
            && let Err(refused) = admit(&tx, unit, record)?
        {
            if unit.publication.is_some() {
                // All of a result set or none.
                return Err(refused);
            }
            outcomes.push(Err(refused));
            continue;
        }
        if moved_any && !is_in_place(&tx, unit, record)? {
            // Moved since it was sealed: sent again, it follows.
            let refused = ArchiveError::Index("its series was moved".to_owned());
            if unit.publication.is_some() {
                return Err(refused);
            }
            outcomes.push(Err(refused));
            continue;
        }
        outcomes.push(Ok(take(
            &tx,
            packs,
            unit,
            record,
            (&mut known, &mut levels, &mut rejecting, &mut rows),
        )?));
    }
    rows.write(&tx)?;
    let kept = outcomes
        .iter()
        .any(|outcome| !matches!(outcome, Err(_) | Ok(StoreOutcome::Duplicate)));
    let to = if kept { state::LIVE } else { state::DEAD };
    let holds = (unit.kind, unit.bytes);
    objects::settle(&tx, &unit.name, to, holds, now)?;
    levels.finish(&tx, unit, now)?;
    if let Some((correlation, touched)) = rejecting.touched {
        reject::finish(&tx, &unit.tenant, correlation, touched, now)?;
    }
    if let Some(publication) = &unit.publication {
        tx.prepare_cached(
            "INSERT INTO publication (tenant, key, instances, published_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![unit.tenant_row, publication.key, uids.join("\\"), now])?;
        outbox::append_all(&tx, &publication.events)?;
    }
    let act = match &unit.publication {
        Some(_) => Act::Publish,
        None => Act::Store,
    };
    let kept = unit.records.iter().zip(&outcomes);
    let kept =
        kept.filter(|(_, one)| matches!(one, Ok(outcome) if *outcome != StoreOutcome::Duplicate));
    let arrived = stores.arrived(&unit.tenant, kept.map(|(record, _)| record), act);
    for one in &arrived {
        one.keep(&tx, now)?;
    }
    let names = match more_names {
        Some((opening, count)) => objects::reserve(&tx, unit.tenant_row, opening, now, count)?,
        None => Vec::new(),
    };
    steps::at("commit.indexed");
    tx.commit()?;
    if act == Act::Store {
        stores.count(arrived);
        for (record, outcome) in unit.records.iter().zip(&outcomes) {
            if let (Ok(StoreOutcome::Duplicate), Some(by)) = (outcome, &record.by) {
                stores.resent(&unit.tenant, &record.descriptor, by);
            }
        }
    }
    Ok((Committed::Stored(outcomes), names))
}

/// Whether a record belongs where it was sealed for.
fn is_in_place(tx: &Transaction<'_>, unit: &Unit, record: &Record) -> Result<bool> {
    let of = &record.descriptor;
    let (study, series) = match &of.placed {
        Some(received) => (&received.study, &received.series),
        None => (&of.study, &of.series),
    };
    let to = placement::of(tx, unit.tenant_row, study, series)?;
    Ok(match to {
        Some(to) => to.study == of.study && to.series == of.series,
        None => of.placed.is_none(),
    })
}

/// What rejection notes do in one commit.
struct Rejecting {
    /// The tenant has some.
    any: bool,
    /// By those of this commit, and who brought the first of them.
    touched: Option<(CorrelationId, Touched)>,
}

/// What was published and moved since is published under its keys still.
pub(crate) fn publish_again(
    db: &Connection,
    tenant: i64,
    records: &[Record],
    now: i64,
) -> Result<()> {
    for record in records {
        let Some(key) = &record.descriptor.publication else {
            continue;
        };
        db.prepare_cached(
            "INSERT INTO publication (tenant, key, instances, published_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (tenant, key) DO UPDATE SET
                instances = publication.instances || '\\' || excluded.instances",
        )?
        .execute(params![tenant, key, record.descriptor.sop_instance, now])?;
    }
    Ok(())
}

/// Whether a record may become an instance beside what was deleted.
fn admit(tx: &Transaction<'_>, unit: &Unit, record: &Record) -> Result<Result<()>> {
    if tombstone::is_dead_key(tx, unit.tenant_row, &record.key)? {
        // Sealed while its study was being deleted: sent again, it gets
        // another key, or is refused.
        return Ok(Err(ArchiveError::Index("the study was deleted".to_owned())));
    }
    if !tombstone::stands(tx, unit.tenant_row, &record.marks)? {
        return Ok(Ok(()));
    }
    if !unit.takes_resends {
        return Ok(Err(ArchiveError::Deleted));
    }
    tombstone::lift(tx, unit.tenant_row, &record.marks)?;
    Ok(Ok(()))
}

/// What a record becomes. Its row is written with those of the others.
fn take<'u>(
    tx: &Transaction<'_>,
    packs: &Packs,
    unit: &Unit,
    record: &'u Record,
    (known, levels, rejecting, rows): (&mut Known, &mut Levels, &mut Rejecting, &mut Rows<'u>),
) -> Result<StoreOutcome> {
    let of = &record.descriptor;
    let outcome = known.judge(&of.sop_instance, &of.sha256, of.comparison);
    let standing = match outcome {
        StoreOutcome::Duplicate => return Ok(outcome),
        StoreOutcome::Stored
            if rejecting.any
                && of.rejects.is_none()
                && reject::meets(tx, unit.tenant_row, &of.sop_instance)? =>
        {
            Standing::Rejected
        }
        StoreOutcome::Stored => Standing::Served,
        StoreOutcome::Variant => Standing::Variant,
        StoreOutcome::Conflict => Standing::Conflict,
    };
    let held = Held {
        sha256: of.sha256,
        comparison: of.comparison.map(|digest| digest.0),
        standing,
    };
    known.add(of.sop_instance.clone(), held);
    let level = levels.of(tx, unit.tenant_row, of)?;
    level.take(of, standing);
    let placement = match &of.placed {
        Some(placed) => Some(placement::keep(tx, unit.tenant_row, &placed.overlay)?),
        None => None,
    };
    rows.add(record, level.series, standing, placement)?;
    if let Some(rejection) = &of.rejects
        && standing == Standing::Served
    {
        rejecting.any = true;
        // What it refers to may be among them.
        rows.write(tx)?;
        let (_, touched) = rejecting
            .touched
            .get_or_insert_with(|| (of.correlation, Touched::default()));
        reject::apply(
            tx,
            packs,
            unit.tenant_row,
            &of.sop_instance,
            rejection,
            touched,
        )?;
    }
    Ok(outcome)
}
