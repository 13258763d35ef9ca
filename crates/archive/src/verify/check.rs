//! One object against the index.

use std::collections::HashMap;

use super::described::{self, Described};
use super::note;
use super::walk::{Damage, Walked, walk};
use crate::descriptor::hex;
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::format::BLOCK_SEGMENT;
use crate::index::objects::{self, LiveObject, Member};
use crate::index::packs::{self, PackRow};
use crate::index::schema::state;
use crate::model::{ObjectFault, VerifyReport};
use crate::objects::Object;
use crate::pack::Block;

/// Somebody may delete from an object again and again while it is read.
const ATTEMPTS: u32 = 5;

/// A pack's row, and its block as the disk has it.
type OwnPack = (PackRow, Result<Block>);

/// What rows and packs have in an object.
struct Expected {
    members: Vec<Member>,
    rows: HashMap<u32, Described>,
    /// The pack that it is.
    pack: Option<OwnPack>,
}

impl Engine {
    /// Checks an object in which something was found, until nobody changed
    /// anything in between. Blocks.
    pub(super) fn check_again(&self, live: &LiveObject) -> Result<VerifyReport> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let before = self.rows_in(live)?;
            if before.is_none() {
                return Ok(VerifyReport::default());
            }
            let report = self.check(live)?;
            let quiet = report.faults.is_empty() || self.rows_in(live)? == before;
            if quiet || attempt == ATTEMPTS {
                return Ok(report);
            }
        }
    }

    /// The rows in a live object; `None` when it is live no more.
    fn rows_in(&self, live: &LiveObject) -> Result<Option<(Vec<Member>, Vec<i64>)>> {
        self.readers.read_here(|db| {
            if objects::state_of(db, live.row)? != Some(state::LIVE) {
                return Ok(None);
            }
            let packs = packs::in_object(db, live.row)?;
            let packs = packs.into_iter().map(|pack| pack.id).collect();
            Ok(Some((objects::members(db, live.row)?, packs)))
        })
    }

    /// Checks one live object. Blocks.
    pub(super) fn check(&self, live: &LiveObject) -> Result<VerifyReport> {
        let mut report = VerifyReport {
            bytes: live.bytes,
            ..VerifyReport::default()
        };
        let Expected {
            members,
            rows,
            pack,
        } = self.expected(live)?;
        let unread = pack.as_ref().map_or(0, |(row, block)| match block {
            Ok(_) => 0,
            Err(_) => row.instances,
        });
        let tenant = || live.tenant.clone();
        let object = || hex::encode(&live.name);
        let stored = match self.stored(live) {
            Err(ArchiveError::Missing) => {
                let now = self
                    .readers
                    .read_here(|db| objects::state_of(db, live.row))?;
                if now == Some(state::LIVE) {
                    let fault = ObjectFault::Missing {
                        tenant: tenant(),
                        object: object(),
                        instances: members.len() as u64 + unread,
                    };
                    note(&mut report, fault);
                }
                return Ok(report);
            }
            other => other?,
        };
        let mut found = Walked::default();
        let walked = walk(&stored, live, &self.keys, &mut found);
        let damage = match (walked, &pack) {
            // Its bytes are as written, and still they are no block.
            (Ok(()), Some((_, Err(_)))) => Err(Damage(Some(BLOCK_SEGMENT))),
            (walked, _) => walked,
        };
        if let Err(Damage(segment)) = damage {
            let fault = ObjectFault::Corrupt {
                tenant: tenant(),
                object: object(),
                segment,
            };
            note(&mut report, fault);
        }
        for member in members {
            let said = found.described.get(&member.segment);
            let agrees = match (said, rows.get(&member.segment)) {
                (Some(said), Some(row)) => said.agrees(row),
                _ => true,
            };
            if agrees && found.members.get(&member.segment) == Some(&member) {
                report.instances += 1;
            } else {
                let fault = ObjectFault::Disagrees {
                    tenant: tenant(),
                    object: object(),
                    segment: member.segment,
                };
                note(&mut report, fault);
            }
        }
        if let Some((row, Ok(block))) = pack {
            let leads = self.readers.read_here(|db| {
                // It may have been replaced meanwhile.
                let stands = packs::by_id(db, row.tenant, row.id)?.is_some();
                Ok(!stands || self.packs.leads_to(db, &row, &block)?)
            });
            let leads = match leads {
                // Of the index, not of the look-up.
                Err(
                    error @ (ArchiveError::Index(_)
                    | ArchiveError::IndexAway(_)
                    | ArchiveError::Bucket),
                ) => return Err(error),
                leads => leads == Ok(true),
            };
            if !leads {
                note(&mut report, ObjectFault::Lookup { tenant: tenant() });
            }
        }
        Ok(report)
    }

    /// An object whose beginning can be read; `Missing`: there is none.
    fn stored(&self, live: &LiveObject) -> Result<Object> {
        let object = self.objects.get(&live.tenant, &live.name)?;
        // One of a bucket is asked for with its first bytes.
        object.length()?;
        Ok(object)
    }

    fn expected(&self, live: &LiveObject) -> Result<Expected> {
        let (mut members, rows, packs) = self.readers.read_here(|db| {
            let packs = packs::in_object(db, live.row)?;
            let rows = described::rows(db, live.row)?;
            Ok((objects::members(db, live.row)?, rows, packs))
        })?;
        let mut pack = None;
        for row in packs {
            let is_own = row.object == live.name;
            let block = match self.packs.check(&row) {
                Err(
                    error @ (ArchiveError::Disk(_)
                    | ArchiveError::Index(_)
                    | ArchiveError::IndexAway(_)
                    | ArchiveError::Bucket),
                ) => return Err(error),
                other => other,
            };
            for entry in block.iter().flat_map(|block| &block.entries) {
                if entry.place.elsewhere.unwrap_or(row.object) == live.name {
                    members.push(Member {
                        segment: entry.place.segment,
                        offset: entry.place.offset,
                        length: entry.length,
                        sha256: entry.sha256,
                    });
                }
            }
            if is_own {
                pack = Some((row, block));
            }
        }
        Ok(Expected {
            members,
            rows,
            pack,
        })
    }
}
