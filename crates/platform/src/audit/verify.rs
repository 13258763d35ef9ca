//! Whether a chain is what was written: pure, over its rows in their order.

use hilum_contracts::ids::TenantId;
use serde::Serialize;

use super::record::{Head, Raw, Record, link};

/// What is wrong with a chain, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// The entry is not what was written.
    #[error("entry {position} was changed")]
    Changed {
        /// Its place.
        position: u64,
    },
    /// Entries are not there.
    #[error("entries {first} to {last} were removed")]
    Removed {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// The entry stands in another's place.
    #[error("entry {position} holds what was written as entry {written} of {writer}")]
    Moved {
        /// Where it stands.
        position: u64,
        /// Where it was written.
        written: u64,
        /// In whose chain.
        writer: String,
    },
    /// The end of the chain is not there.
    #[error("the chain was truncated: entries {first} to {last} are not there")]
    Truncated {
        /// The first of them.
        first: u64,
        /// The last of them that is known to have been written.
        last: u64,
    },
    /// There are entries after what the chain's head says is the last.
    #[error("entries from {first} on were added behind the chain's end")]
    Added {
        /// The first of them.
        first: u64,
    },
    /// The head does not say what the last entry's hash is.
    #[error("the chain's head, at entry {position}, was changed")]
    Head {
        /// Where the head stands.
        position: u64,
    },
}

/// A chain on its way to being verified.
#[derive(Debug)]
pub struct Chain {
    tenant: TenantId,
    writer: String,
    head: Head,
    /// Of the last entry that was seen.
    position: u64,
    hash: [u8; 32],
    entries: u64,
    faults: Vec<Fault>,
    is_added: bool,
}

/// Faults of a chain that are told: more tell nothing new.
const FAULTS_TOLD: usize = 100;

impl Chain {
    /// The chain of `writer` in the trail of `tenant`, which says of itself
    /// that it ends at `head`.
    #[must_use]
    pub fn new(tenant: &TenantId, writer: &str, head: Head) -> Self {
        Self {
            tenant: tenant.clone(),
            writer: writer.to_owned(),
            head,
            position: head.removed,
            hash: head.anchor,
            entries: 0,
            faults: Vec::new(),
            is_added: false,
        }
    }

    /// Where it is: the next entry to be given is the one after.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Looks at the next row. The chain's hash there, when all is well so far.
    pub fn next(&mut self, raw: &Raw) -> Option<[u8; 32]> {
        let expected = self.position.saturating_add(1);
        let mut is_linked = true;
        if raw.position != expected {
            self.found(Fault::Removed {
                first: expected,
                last: raw.position.saturating_sub(1),
            });
            is_linked = false;
        }
        if raw.position > self.head.position && !self.is_added {
            self.is_added = true;
            self.found(Fault::Added {
                first: raw.position,
            });
        }
        self.entries = self.entries.saturating_add(1);
        self.position = raw.position;
        let kept = <[u8; 32]>::try_from(raw.hash.as_slice()).ok();
        let fault = self.fault_of(raw, is_linked, kept);
        let is_well = fault.is_none() && is_linked;
        if let Some(fault) = fault {
            self.found(fault);
        }
        // Goes on from what the row says, so that one fault is told once.
        self.hash = kept.unwrap_or_else(|| link(&self.hash, &raw.body));
        is_well.then_some(self.hash)
    }

    fn fault_of(&self, raw: &Raw, is_linked: bool, kept: Option<[u8; 32]>) -> Option<Fault> {
        let position = raw.position;
        let changed = Some(Fault::Changed { position });
        let Ok(record) = serde_json::from_slice::<Record>(&raw.body) else {
            return changed;
        };
        if record.position != position
            || record.writer != self.writer
            || record.tenant != self.tenant
        {
            return Some(Fault::Moved {
                position,
                written: record.position,
                writer: record.writer,
            });
        }
        let is_found_by = record.at == raw.at
            && record.act.name() == raw.act
            && record.outcome.name() == raw.outcome
            && record.principal.to_string() == raw.who;
        let is_hashed = !is_linked || kept == Some(link(&self.hash, &raw.body));
        if is_found_by && is_hashed {
            None
        } else {
            changed
        }
    }

    /// What is wrong with it, when every row was given, and how many there were.
    #[must_use]
    pub fn end(mut self) -> (u64, Vec<Fault>) {
        if self.position < self.head.position {
            let fault = Fault::Truncated {
                first: self.position.saturating_add(1),
                last: self.head.position,
            };
            self.found(fault);
        } else if self.position == self.head.position && self.hash != self.head.hash {
            let position = self.position;
            self.found(Fault::Head { position });
        }
        (self.entries, self.faults)
    }

    fn found(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_TOLD {
            self.faults.push(fault);
        }
    }
}
