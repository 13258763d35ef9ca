//! The same-UID rule (design.md): what an arriving instance is beside those that the
//! archive has under its UID.

use std::collections::HashMap;

use crate::db::{Connection, ToSql, params_from_iter, places};
use crate::descriptor::Digest;
use crate::error::Result;
use crate::model::{Standing, StoreOutcome};
use crate::pack::Packs;

/// What the archive has under some UIDs.
pub(crate) struct Known(HashMap<String, Vec<Held>>);

/// An instance, as far as the rule weighs it.
pub(crate) struct Held {
    pub sha256: [u8; 32],
    pub comparison: Option<[u8; 32]>,
    pub standing: Standing,
}

impl Known {
    /// Asks rows and packs. Ask on one snapshot.
    pub(crate) fn of(db: &Connection, packs: &Packs, tenant: i64, uids: &[&str]) -> Result<Self> {
        let mut known = Self(HashMap::new());
        for some in uids.chunks(db.together()) {
            let sql = format!(
                "SELECT uid, standing, sha256, comparison FROM instance
                 WHERE tenant = ?1 AND uid IN ({})",
                places(2, some.len())
            );
            let of: &dyn ToSql = &tenant;
            let asked = some.iter().map(|uid| uid as &dyn ToSql);
            let mut query = db.prepare_for(some.len(), &sql)?;
            let mut rows = query.query(params_from_iter(std::iter::once(of).chain(asked)))?;
            while let Some(row) = rows.next()? {
                let held = Held {
                    sha256: row.get(2)?,
                    comparison: row.get(3)?,
                    standing: Standing::of_code(row.get(1)?)?,
                };
                known.add(row.get(0)?, held);
            }
        }
        for (packed, ordinal) in packs.find_all(db, tenant, uids)? {
            let of = packed.entry(ordinal)?;
            let held = Held {
                sha256: of.sha256,
                comparison: of.comparison.map(|digest| digest.0),
                standing: packed.standing(ordinal)?,
            };
            known.add(of.sop_instance.to_string(), held);
        }
        Ok(known)
    }

    /// There is one more under a UID from now on.
    pub(crate) fn add(&mut self, uid: String, held: Held) {
        self.0.entry(uid).or_default().push(held);
    }

    /// What an instance of these bytes is under its UID.
    pub(crate) fn judge(
        &self,
        uid: &str,
        sha256: &[u8; 32],
        comparison: Option<Digest>,
    ) -> StoreOutcome {
        let mut outcome = StoreOutcome::Stored;
        for held in self.0.get(uid).into_iter().flatten() {
            let same =
                matches!((held.comparison, comparison), (Some(a), Some(Digest(b))) if a == b);
            if held.sha256 == *sha256 {
                return StoreOutcome::Duplicate;
            }
            if matches!(held.standing, Standing::Served | Standing::Rejected) && same {
                outcome = StoreOutcome::Variant;
            } else if outcome == StoreOutcome::Stored {
                outcome = StoreOutcome::Conflict;
            }
        }
        outcome
    }
}
