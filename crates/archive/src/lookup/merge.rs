//! How rows become runs, runs become fewer, and all of them are made anew.
//! Each of it writes one or more files, syncs them, registers them in a short
//! transaction, and only then takes away what they replace: stopped anywhere,
//! every entry is still found, at worst twice.

use std::cmp::Reverse;
use std::collections::hash_map::Entry as Known;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::run::{Run, RunWriter};
use super::{Entry, Extent, Lookup, Name, Owner, Retired, lock, path, registered};
use crate::db::{Connection, params};
use crate::error::{ArchiveError, Result};
use crate::index::Readers;
use crate::keys::random;
use crate::limits::{LOOKUP_DELETED, LOOKUP_GROWTH, LOOKUP_SORTED};
use crate::steps;
use crate::writer::Writer;

/// How long a reader may still ask for a run that was merged.
const RETIRED_KEPT: Duration = Duration::from_secs(60);
/// Packs that are asked for at once.
const PACKS_ASKED: u64 = 4_096;

type Source<'a> = Box<dyn Iterator<Item = Result<Entry>> + 'a>;

/// A run that is durable and not registered.
struct Written {
    name: Name,
    entries: u64,
}

/// Which packs are alive. Entries come in no order of packs: each pack is asked
/// for with its neighbours, and two bytes of each that is alive are remembered
/// until the merge is over.
struct Alive<F> {
    of: F,
    known: HashMap<u64, Vec<u16>>,
}

impl<F: FnMut(Range<u64>) -> Result<Vec<u64>>> Alive<F> {
    fn has(&mut self, pack: u64) -> Result<bool> {
        let place = |pack: u64| u16::try_from(pack % PACKS_ASKED).unwrap_or_default();
        let some = pack / PACKS_ASKED;
        let known = match self.known.entry(some) {
            Known::Occupied(known) => known.into_mut(),
            Known::Vacant(unknown) => {
                let first = some * PACKS_ASKED;
                let alive = (self.of)(first..first.saturating_add(PACKS_ASKED))?;
                unknown.insert(alive.into_iter().map(place).collect())
            }
        };
        Ok(known.binary_search(&place(pack)).is_ok())
    }
}

impl Lookup {
    /// Merges rows and runs of a tenant into one run; whether there was
    /// anything to do. Entries of packs that are not alive are left out: `alive`
    /// says which of a range of ids are. Blocks; intake waits for none of it but
    /// short transactions.
    pub(crate) fn merge(
        &self,
        readers: &Readers,
        writer: &Writer,
        tenant: i64,
        extent: Extent,
        alive: impl FnMut(Range<u64>) -> Result<Vec<u64>>,
    ) -> Result<bool> {
        let mut files = self.files();
        let (owner, recent, runs) = readers.read_here(|db| {
            Ok((
                self.owner(db, tenant)?,
                recent(db, tenant)?,
                registered(db, tenant)?,
            ))
        })?;
        let Some(owner) = owner else { return Ok(false) };
        let taken = match extent {
            Extent::Due if recent.len() < steps::lookup_recent() => return Ok(false),
            Extent::Due => due(recent.len() as u64, &runs),
            Extent::Everything => runs.as_slice(),
        };
        if recent.is_empty() && taken.is_empty() {
            return Ok(false);
        }
        readers.read_here(|db| self.remove_unregistered(db))?;
        let open = taken
            .iter()
            .map(|(name, entries)| self.run(&owner, name, *entries))
            .collect::<Result<Vec<_>>>()?;
        let mut sources: Vec<Source<'_>> = vec![Box::new(recent.iter().copied().map(Ok))];
        for run in &open {
            sources.push(Box::new(run.entries_of()));
        }
        let mut alive = Alive {
            of: alive,
            known: HashMap::new(),
        };
        let kept = merged(sources).filter_map(|entry| {
            let asked = entry.and_then(|entry| Ok(alive.has(entry.pack)?.then_some(entry)));
            asked.transpose()
        });
        let written = self.write(&owner, kept)?;
        steps::at("lookup.written");
        let replaced: Vec<Name> = taken.iter().map(|(name, _)| *name).collect();
        let written = written.into_iter().collect();
        self.register(writer, tenant, &owner, written, &replaced)?;
        steps::at("lookup.registered");
        delete_recent(writer, tenant, recent)?;
        self.retire(&owner, &mut files, &replaced)?;
        steps::at("lookup.removed");
        Ok(true)
    }

    /// Makes the runs of a tenant anew from `entries`, which must be those of
    /// all its packs and are read after other merges have ended. Blocks.
    pub(crate) fn rebuild<I>(
        &self,
        readers: &Readers,
        writer: &Writer,
        tenant: i64,
        entries: impl FnOnce(&Owner) -> Result<I>,
    ) -> Result<()>
    where
        I: Iterator<Item = Result<Entry>>,
    {
        let mut files = self.files();
        let (owner, runs) =
            readers.read_here(|db| Ok((self.owner(db, tenant)?, registered(db, tenant)?)))?;
        let Some(owner) = owner else { return Ok(()) };
        readers.read_here(|db| self.remove_unregistered(db))?;
        let mut written = Vec::new();
        let mut entries = entries(&owner)?;
        loop {
            let mut some = entries
                .by_ref()
                .take(LOOKUP_SORTED)
                .collect::<Result<Vec<_>>>()?;
            if some.is_empty() {
                break;
            }
            some.sort_unstable();
            written.extend(self.write(&owner, some.into_iter().map(Ok))?);
        }
        steps::at("lookup.written");
        let replaced: Vec<Name> = runs.iter().map(|(name, _)| *name).collect();
        self.register(writer, tenant, &owner, written, &replaced)?;
        steps::at("lookup.registered");
        self.retire(&owner, &mut files, &replaced)?;
        steps::at("lookup.removed");
        Ok(())
    }

    /// Writes a run, durable with its folder; none when there are no entries.
    fn write(
        &self,
        owner: &Owner,
        entries: impl Iterator<Item = Result<Entry>>,
    ) -> Result<Option<Written>> {
        let mut entries = entries.peekable();
        if entries.peek().is_none() {
            return Ok(None);
        }
        self.disk.create_dir(&owner.dir)?;
        let name = random()?;
        let path = path(owner, &name);
        let mut run = RunWriter::create(self.disk.as_ref(), &path, &owner.pages, name)?;
        let pushed = entries.try_for_each(|entry| run.push(entry?));
        let ended = match pushed {
            Ok(()) => run.finish(),
            Err(error) => {
                run.abandon();
                Err(error)
            }
        };
        let synced = ended.and_then(|entries| {
            self.disk.sync_dir(&owner.dir)?;
            self.disk.sync_dir(&self.root)?;
            if let Some(above) = self.root.parent() {
                self.disk.sync_dir(above)?;
            }
            Ok(entries)
        });
        match synced {
            Ok(entries) => Ok(Some(Written { name, entries })),
            Err(error) => {
                // Otherwise it goes with the next merge.
                let _ = self.disk.remove(&path);
                Err(error)
            }
        }
    }

    /// The one transaction that makes `written` count instead of `replaced`.
    fn register(
        &self,
        writer: &Writer,
        tenant: i64,
        owner: &Owner,
        written: Vec<Written>,
        replaced: &[Name],
    ) -> Result<()> {
        for new in &written {
            // Readers find it open as soon as its row is there.
            let run = Run::open(&path(owner, &new.name), &owner.pages, new.name)?;
            lock(&self.runs).insert(new.name, Arc::new(run));
        }
        let replaced = replaced.to_vec();
        writer.run_here(move |db, _| {
            let tx = db.begin(tenant)?;
            for name in replaced {
                let gone = tx.execute("DELETE FROM lookup_run WHERE name = ?1", [name])?;
                if gone != 1 {
                    return Err(ArchiveError::Index("a run was lost".to_owned()));
                }
            }
            for new in written {
                tx.execute(
                    "INSERT INTO lookup_run (tenant, name, entries) VALUES (?1, ?2, ?3)",
                    params![tenant, new.name, new.entries],
                )?;
            }
            tx.commit()?;
            Ok(())
        })
    }

    /// Removes the files of runs that no row registers any more. They stay
    /// open for a while for those who read an older snapshot.
    fn retire(&self, owner: &Owner, retired: &mut Retired, names: &[Name]) -> Result<()> {
        let now = Instant::now();
        let mut open = lock(&self.runs);
        retired.retain(|(since, name)| {
            let keep = now.duration_since(*since) < RETIRED_KEPT;
            if !keep {
                open.remove(name);
            }
            keep
        });
        drop(open);
        for name in names {
            retired.push((now, *name));
            self.disk.remove(&path(owner, name))?;
        }
        if !names.is_empty() {
            self.disk.sync_dir(&owner.dir)?;
        }
        Ok(())
    }
}

/// The newest runs that are not much bigger than what is merged anyway.
fn due(mut entries: u64, runs: &[(Name, u64)]) -> &[(Name, u64)] {
    let mut from = runs.len();
    while let Some((_, next)) = from.checked_sub(1).and_then(|at| runs.get(at)) {
        if *next >= entries.saturating_mul(LOOKUP_GROWTH) {
            break;
        }
        entries += next;
        from -= 1;
    }
    runs.get(from..).unwrap_or_default()
}

/// The rows of a tenant, in order; of very many, the first in order.
fn recent(db: &Connection, tenant: i64) -> Result<Vec<Entry>> {
    let mut query = db.prepare_cached(
        "SELECT hash, pack, ordinal FROM lookup_recent WHERE tenant = ?1
         ORDER BY hash, pack, ordinal LIMIT ?2",
    )?;
    let rows = query.query_map(params![tenant, LOOKUP_SORTED], |row| {
        Ok(Entry {
            hash: row.get(0)?,
            pack: row.get(1)?,
            ordinal: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Exactly these rows, never ones that were added meanwhile.
fn delete_recent(writer: &Writer, tenant: i64, entries: Vec<Entry>) -> Result<()> {
    let entries = Arc::new(entries);
    for from in (0..entries.len()).step_by(LOOKUP_DELETED) {
        let entries = Arc::clone(&entries);
        writer.run_here(move |db, _| {
            let tx = db.begin(tenant)?;
            {
                let mut delete = tx.prepare_cached(
                    "DELETE FROM lookup_recent
                     WHERE tenant = ?1 AND hash = ?2 AND pack = ?3 AND ordinal = ?4",
                )?;
                for entry in entries.iter().skip(from).take(LOOKUP_DELETED) {
                    delete.execute(params![tenant, entry.hash, entry.pack, entry.ordinal])?;
                }
            }
            tx.commit()?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Sorted sources as one.
fn merged(mut sources: Vec<Source<'_>>) -> impl Iterator<Item = Result<Entry>> {
    let mut heads = BinaryHeap::new();
    let mut failed = None;
    for (index, source) in sources.iter_mut().enumerate() {
        match source.next() {
            Some(Ok(entry)) => heads.push(Reverse((entry, index))),
            Some(Err(error)) => failed = Some(error),
            None => {}
        }
    }
    std::iter::from_fn(move || {
        if let Some(error) = failed.take() {
            heads.clear();
            return Some(Err(error));
        }
        let Reverse((entry, index)) = heads.pop()?;
        match sources.get_mut(index).and_then(Iterator::next) {
            Some(Ok(next)) => heads.push(Reverse((next, index))),
            Some(Err(error)) => failed = Some(error),
            None => {}
        }
        Some(Ok(entry))
    })
}
