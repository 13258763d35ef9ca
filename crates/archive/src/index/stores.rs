//! Counts what associations and requests bring: one entry of the trail for the
//! first commit of each study, and one for all the rest when it is over; another
//! one for what was held already.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hilum_contracts::CorrelationId;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::ids::TenantId;

use super::audit::{By, Told};
use super::commit::Record;
use crate::db::{Connection, Whose, params};
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::limits;

/// Instances that an association or request brought of a study, counted until
/// it is over. The first commit of each stands in the trail; what a crash takes
/// of the rest can be counted in the index, by the correlation id.
#[derive(Default)]
pub(crate) struct Stores {
    stored: Mutex<HashMap<Brought, Counted>>,
    /// What was held already, byte for byte: counted only, for nothing happens.
    resent: Mutex<HashMap<Brought, Counted>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Brought {
    tenant: TenantId,
    correlation: CorrelationId,
    study: String,
}

struct Counted {
    told: Told,
    more: u64,
}

/// What one commit brought of a study.
pub(crate) struct Arrived {
    of: Brought,
    told: Told,
    instances: u64,
    is_first: bool,
}

impl Arrived {
    /// The entry of the first commit.
    pub(crate) fn keep(&self, tx: &Connection, now: i64) -> Result<()> {
        match self.is_first {
            true => self.told.clone().count(self.instances).keep(tx, now),
            false => Ok(()),
        }
    }
}

impl Stores {
    /// What of a commit is to be told, by study and by who brought it.
    pub(crate) fn arrived<'a>(
        &self,
        tenant: &TenantId,
        records: impl Iterator<Item = &'a Record>,
        act: Act,
    ) -> Vec<Arrived> {
        let mut all: Vec<Arrived> = Vec::new();
        let counted = self.counted();
        for record in records {
            let (of, Some(by)) = (&record.descriptor, &record.by) else {
                continue;
            };
            let same = |one: &&mut Arrived| {
                one.of.correlation == of.correlation && one.of.study == of.study
            };
            if let Some(one) = all.iter_mut().find(same) {
                one.instances += 1;
                continue;
            }
            let entry = entry_of(of, act);
            let brought = Brought {
                tenant: tenant.clone(),
                correlation: of.correlation,
                study: of.study.clone(),
            };
            all.push(Arrived {
                is_first: !counted.contains_key(&brought),
                of: brought,
                told: Told {
                    by: by.clone(),
                    entry,
                },
                instances: 1,
            });
        }
        all
    }

    /// Counts what was committed.
    pub(crate) fn count(&self, arrived: Vec<Arrived>) {
        let mut counted = self.counted();
        for one in arrived {
            if let Some(known) = counted.get_mut(&one.of) {
                known.more += one.instances;
            } else if counted.len() < limits::STORES_COUNTED {
                let first = Counted {
                    told: one.told,
                    more: 0,
                };
                counted.insert(one.of, first);
            }
        }
    }

    /// Counts an instance that came again, byte for byte as it is held.
    pub(crate) fn resent(&self, tenant: &TenantId, of: &Descriptor, by: &By) {
        let brought = Brought {
            tenant: tenant.clone(),
            correlation: of.correlation,
            study: of.study.clone(),
        };
        let mut resent = self.counted_again();
        if let Some(known) = resent.get_mut(&brought) {
            known.more += 1;
            return;
        }
        if resent.len() >= limits::STORES_COUNTED {
            tracing::warn!("more resends are on their way than can be counted in the audit trail");
            return;
        }
        let told = Told {
            by: by.clone(),
            entry: entry_of(of, Act::Store).with(Detail::Change, "resent"),
        };
        resent.insert(brought, Counted { told, more: 1 });
    }

    /// Whether something of what an association or request brought is counted.
    pub(crate) fn ended(&self, tenant: &TenantId, id: CorrelationId) -> bool {
        let is_of = |of: &Brought| of.correlation == id && of.tenant == *tenant;
        let mut counted = self.counted();
        counted.retain(|of, one| one.more > 0 || !is_of(of));
        counted.keys().any(is_of) || self.counted_again().keys().any(is_of)
    }

    /// Tells of what is counted: of one association or request, or of all.
    pub(crate) fn tell(
        &self,
        db: &mut Connection,
        of: Option<(&TenantId, CorrelationId)>,
        now: i64,
    ) -> Result<()> {
        let is_due = |one: &Brought| {
            of.is_none_or(|(tenant, id)| one.correlation == id && one.tenant == *tenant)
        };
        let due: Vec<(Brought, Counted)> =
            self.counted().extract_if(|one, _| is_due(one)).collect();
        let again: Vec<(Brought, Counted)> = self
            .counted_again()
            .extract_if(|one, _| is_due(one))
            .collect();
        if again.is_empty() && due.iter().all(|(_, one)| one.more == 0) {
            return Ok(());
        }
        let tx = db.begin(Whose::Every)?;
        for (_, one) in due.into_iter().filter(|(_, one)| one.more > 0) {
            one.told.count(one.more).keep(&tx, now)?;
        }
        for (of, mut one) in again {
            // Judged on its way in, beside the writer: what was erased or deleted
            // since is not named again.
            if !is_held(&tx, &of)? {
                one.told.entry.subjects.clear();
            }
            one.told.count(one.more).keep(&tx, now)?;
        }
        Ok(tx.commit()?)
    }

    /// Forgets what is counted of these studies.
    pub(crate) fn forget(&self, tenant: &TenantId, studies: &[String]) {
        let stays = |of: &Brought| of.tenant != *tenant || !studies.contains(&of.study);
        self.counted().retain(|of, _| stays(of));
        self.counted_again().retain(|of, _| stays(of));
    }

    /// Forgets what is counted of a tenant.
    pub(crate) fn forget_tenant(&self, tenant: &str) {
        let stays = |of: &Brought| of.tenant.as_str() != tenant;
        self.counted().retain(|of, _| stays(of));
        self.counted_again().retain(|of, _| stays(of));
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<Brought, Counted>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted_again(&self) -> MutexGuard<'_, HashMap<Brought, Counted>> {
        self.resent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_held(tx: &Connection, of: &Brought) -> Result<bool> {
    let mut query = tx.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM study s JOIN tenant t ON t.id = s.tenant
             WHERE t.name = ?1 AND s.uid = ?2)",
    )?;
    Ok(query.query_row(params![of.tenant.as_str(), of.study], |row| row.get(0))?)
}

/// What the trail tells of an instance that came.
fn entry_of(of: &Descriptor, act: Act) -> Entry {
    let entry = Entry::new(act)
        .about(Subject::study(&*of.study))
        .part_of(of.correlation);
    match &of.patient.id {
        Some(id) => entry.about(Subject::patient(&**id, of.patient.issuer.as_deref())),
        None => entry,
    }
}
