//! Counts what associations and requests bring: one entry of the trail for the
//! first commit of each study, and one for all the rest when it is over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hilum_contracts::CorrelationId;
use hilum_contracts::audit::{Act, Entry, Subject};
use hilum_contracts::ids::TenantId;
use rusqlite::{Connection, TransactionBehavior};

use super::audit::Told;
use super::commit::Record;
use crate::error::Result;
use crate::limits;

/// Instances that an association or request brought of a study, counted until
/// it is over. The first commit of each stands in the trail; what a crash takes
/// of the rest can be counted in the index, by the correlation id.
#[derive(Default)]
pub(crate) struct Stores(Mutex<HashMap<Brought, Counted>>);

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
            let mut entry = Entry::new(act)
                .about(Subject::study(&*of.study))
                .part_of(of.correlation);
            if let Some(id) = &of.patient.id {
                entry = entry.about(Subject::patient(&**id, of.patient.issuer.as_deref()));
            }
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

    /// Whether something of what an association or request brought is counted.
    pub(crate) fn ended(&self, tenant: &TenantId, id: CorrelationId) -> bool {
        let mut counted = self.counted();
        counted.retain(|of, one| one.more > 0 || of.correlation != id || of.tenant != *tenant);
        let mut left = counted.keys();
        left.any(|of| of.correlation == id && of.tenant == *tenant)
    }

    /// Tells of what is counted: of one association or request, or of all.
    pub(crate) fn tell(
        &self,
        db: &mut Connection,
        of: Option<(&TenantId, CorrelationId)>,
        now: i64,
    ) -> Result<()> {
        let due: Vec<(Brought, Counted)> = self
            .counted()
            .extract_if(|one, _| {
                of.is_none_or(|(tenant, id)| one.correlation == id && one.tenant == *tenant)
            })
            .collect();
        if due.iter().all(|(_, one)| one.more == 0) {
            return Ok(());
        }
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (_, one) in due.into_iter().filter(|(_, one)| one.more > 0) {
            one.told.count(one.more).keep(&tx, now)?;
        }
        Ok(tx.commit()?)
    }

    /// Forgets what is counted of these studies.
    pub(crate) fn forget(&self, tenant: &TenantId, studies: &[String]) {
        self.counted()
            .retain(|of, _| of.tenant != *tenant || !studies.contains(&of.study));
    }

    /// Forgets what is counted of a tenant.
    pub(crate) fn forget_tenant(&self, tenant: &str) {
        self.counted().retain(|of, _| of.tenant.as_str() != tenant);
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<Brought, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
