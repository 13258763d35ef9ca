//! The look-up of packed UIDs made anew, from the packs themselves.

use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::index::packs::{self, PackRow};
use crate::lookup;

use super::block::Entry;

/// Packs listed at a time.
const BATCH: u32 = 64;

impl Engine {
    /// Makes a tenant's look-up anew from its packs. Blocks.
    pub(crate) fn rebuild_lookup(&self, tenant: i64) -> Result<()> {
        let all = PackCursor {
            engine: self,
            tenant,
            after: 0,
            batch: Vec::new().into_iter(),
        };
        let owner = self
            .readers
            .read_here(|db| self.packs.lookup.owner(db, tenant))?
            .ok_or(ArchiveError::NotFound)?;
        let of_pack = |row: PackRow| -> Result<Vec<lookup::Entry>> {
            let pack = u64::try_from(row.id).map_err(|_| ArchiveError::Corrupt)?;
            let block = self.packs.read_block(&row)?;
            let entries = block.entries.iter().zip(0_u32..);
            let entry = |(of, ordinal): (&Entry, u32)| lookup::Entry {
                hash: owner.hash(&of.sop_instance),
                pack,
                ordinal,
            };
            Ok(entries.map(entry).collect())
        };
        let entries = all.flat_map(|row| match row.and_then(of_pack) {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        let (readers, writer) = (&self.readers, &self.writer);
        self.packs
            .lookup
            .rebuild(readers, writer, tenant, |_| Ok(entries))
    }
}

/// Every pack of a tenant, a few rows at a time.
struct PackCursor<'a> {
    engine: &'a Engine,
    tenant: i64,
    after: i64,
    batch: std::vec::IntoIter<PackRow>,
}

impl Iterator for PackCursor<'_> {
    type Item = Result<PackRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.batch.next() {
            return Some(Ok(row));
        }
        let (tenant, after) = (self.tenant, self.after);
        let batch = self
            .engine
            .readers
            .read_here(|db| packs::after(db, tenant, after, BATCH));
        match batch {
            Ok(batch) => {
                self.after = batch.last()?.id;
                self.batch = batch.into_iter();
                self.batch.next().map(Ok)
            }
            Err(error) => Some(Err(error)),
        }
    }
}
