//! Verification: every chain from its beginning, every seal, and each against
//! the other. It says which entry of which writer is wrong.

use hilum_contracts::error::ServiceError;
use hilum_platform::audit::{AuditSource, Chain, Fault, Head, leaf};
use hilum_platform::clock::from_millis;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use crate::AuditService;
use crate::domain::removal::Removal;
use crate::domain::seal::{Content, Seal, encode};
use crate::limits::{FAULTS, SEALS_WALK, WALK};

/// What a verification found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// Nothing is wrong.
    pub intact: bool,
    /// Whose trails.
    pub tenant: String,
    /// The chains.
    pub writers: Vec<VerifiedWriter>,
    /// How many seals there are.
    pub seals: u64,
    /// What is wrong with seals, each in a sentence.
    pub seal_faults: Vec<String>,
    /// The installation's public key, base64url: keep it elsewhere.
    pub key: String,
    /// SHA-256 of the last seal's content, base64url; empty when there is none.
    pub last_seal: String,
}

/// What was found of one writer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VerifiedWriter {
    /// The service.
    pub writer: String,
    /// How many entries were looked at.
    pub entries: u64,
    /// Up to which entry they were removed because they were kept long enough, as
    /// a signed statement says; 0: none was.
    #[serde(default)]
    pub removed: u64,
    /// When that was, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<String>,
    /// What is wrong, each in a sentence that names the entry.
    pub faults: Vec<String>,
}

/// The seals of one writer, in their order, as its chain is walked along them.
struct Along<'a> {
    service: &'a AuditService,
    scope: &'a TenantScope,
    writer: &'a str,
    waiting: std::collections::VecDeque<(Content, Seal)>,
    number: u64,
    /// Of the seal that covers the entries that are next.
    first: u64,
    leaves: Vec<[u8; 32]>,
    head: String,
    /// The last entry that was sealed.
    last: u64,
}

impl AuditService {
    /// Verifies the trails of a tenant.
    ///
    /// # Errors
    /// When a database does not answer. What is wrong is in the answer.
    pub async fn verify(&self, scope: &TenantScope) -> Result<Verified, ServiceError> {
        // Nothing is sealed meanwhile, so that seals and chains are of one time.
        let _one = self.sealing.lock().await;
        let (seals, last_seal, seal_faults) = self.verify_seals(scope).await?;
        let mut writers = Vec::new();
        for source in self.sources_of(scope.tenant()) {
            writers.push(self.verify_writer(scope, source.as_ref()).await?);
        }
        Ok(Verified {
            intact: seal_faults.is_empty() && writers.iter().all(|one| one.faults.is_empty()),
            tenant: scope.tenant().to_string(),
            writers,
            seals,
            seal_faults,
            key: self.signer.public(),
            last_seal,
        })
    }

    async fn verify_seals(
        &self,
        scope: &TenantScope,
    ) -> Result<(u64, String, Vec<String>), ServiceError> {
        let keys = self.keys_of(scope).await?;
        let (mut faults, mut number, mut count) = (Vec::new(), 0, 0_u64);
        let mut before: Option<Seal> = None;
        loop {
            let page = self.store.seals(scope, number, SEALS_WALK).await;
            let page = page.map_err(|error| database_error(&error))?;
            let Some((last, _)) = page.last() else {
                let last = before.map(|seal| seal.hash()).unwrap_or_default();
                return Ok((count, last, faults));
            };
            number = *last;
            for (number, seal) in page {
                count = count.saturating_add(1);
                let key = keys.iter().find(|key| **key == seal.key).or(keys.first());
                let key = key.map_or("", String::as_str);
                let fault = match seal.opened(key, before.as_ref()) {
                    Ok(content) => seal.leaves_of(&content).err(),
                    Err(fault) => Some(fault),
                };
                if let Some(fault) = fault.filter(|_| faults.len() < FAULTS) {
                    faults.push(format!("seal {number}: {fault}"));
                }
                before = Some(seal);
            }
        }
    }

    async fn verify_writer(
        &self,
        scope: &TenantScope,
        source: &dyn AuditSource,
    ) -> Result<VerifiedWriter, ServiceError> {
        let head = source.head(scope).await?;
        let mut chain = Chain::new(scope.tenant(), source.writer(), head);
        let mut along = Along {
            service: self,
            scope,
            writer: source.writer(),
            waiting: std::collections::VecDeque::new(),
            number: 0,
            first: 1,
            leaves: Vec::new(),
            head: String::new(),
            last: 0,
        };
        let mut faults = Vec::new();
        along.reach(head.removed).await?;
        let removal = self.removal(scope, source.writer(), &head).await?;
        if head.removed > 0 && !along.ends_with(head.removed, &head.anchor) {
            faults.push(format!(
                "entries 1 to {} were removed, and not at the end of a seal",
                head.removed
            ));
        } else if head.removed > 0 && removal.is_none() {
            faults.push(format!(
                "entries 1 to {} were removed, and nothing signed says that they were kept long \
                 enough",
                head.removed
            ));
        }
        let mut changed = Vec::new();
        loop {
            let rows = source.entries(scope, chain.position(), WALK).await?;
            if rows.is_empty() {
                break;
            }
            for raw in rows {
                let linked = chain.next(&raw);
                along.reach(raw.position).await?;
                let is_sealed = along.holds(raw.position, &leaf(&raw.body));
                let is_linked = linked
                    .is_none_or(|hash| raw.position != along.last || encode(&hash) == along.head);
                // The chain's hash differs from there on: told where nothing else is.
                let is_told = is_sealed && !changed.is_empty();
                if (!is_sealed || !is_linked) && !is_told && changed.len() < FAULTS {
                    changed.push(raw.position);
                }
            }
        }
        let walked = chain.position();
        let (entries, found) = chain.end();
        // What the seals say beside what the chain says of itself.
        for position in changed {
            if !found.contains(&Fault::Changed { position }) {
                faults.push(format!("entry {position} is not what was sealed"));
            }
        }
        faults.extend(found.iter().map(ToString::to_string));
        along.reach(u64::MAX).await?;
        let is_told = found
            .iter()
            .any(|fault| matches!(fault, Fault::Truncated { .. }));
        if along.last > walked && !is_told {
            let fault = Fault::Truncated {
                first: walked.saturating_add(1),
                last: along.last,
            };
            faults.push(fault.to_string());
        }
        Ok(VerifiedWriter {
            writer: source.writer().to_owned(),
            entries,
            removed: head.removed,
            removed_at: removal.and_then(|one| from_millis(one.at).format(&Rfc3339).ok()),
            faults,
        })
    }

    /// The signed statement that the beginning of a chain was removed, up to
    /// where it begins now.
    async fn removal(
        &self,
        scope: &TenantScope,
        writer: &str,
        head: &Head,
    ) -> Result<Option<Removal>, ServiceError> {
        let found = self.store.removal(scope, writer, head.removed).await;
        let found = found.map_err(|error| database_error(&error))?;
        let keys = self.keys_of(scope).await?;
        let removal = found.and_then(|(content, signature)| {
            let mut all = keys.iter();
            all.find_map(|key| Removal::opened(&content, &signature, key).ok())
        });
        Ok(removal.filter(|one| {
            one.tenant == *scope.tenant()
                && one.writer == writer
                && one.position == head.removed
                && one.hash == encode(&head.anchor)
        }))
    }
}

impl Along<'_> {
    /// Goes on to the seal that covers `position`, or to the last one.
    async fn reach(&mut self, position: u64) -> Result<(), ServiceError> {
        while self.last < position {
            if self.waiting.is_empty() && !self.fill().await? {
                return Ok(());
            }
            let Some((content, seal)) = self.waiting.pop_front() else {
                return Ok(());
            };
            let mut leaves = seal.leaves_of(&content).unwrap_or_default().into_iter();
            for range in &content.writers {
                let count = range.last.saturating_sub(range.first).saturating_add(1);
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let own: Vec<_> = leaves.by_ref().take(count).collect();
                if range.writer == self.writer {
                    self.first = range.first;
                    self.leaves = own;
                    self.head.clone_from(&range.head);
                    self.last = range.last;
                }
            }
        }
        Ok(())
    }

    /// Reads more seals; `false`: there are none.
    async fn fill(&mut self) -> Result<bool, ServiceError> {
        let page = self
            .service
            .store
            .seals(self.scope, self.number, SEALS_WALK)
            .await;
        let page = page.map_err(|error| database_error(&error))?;
        let Some((last, _)) = page.last() else {
            return Ok(false);
        };
        self.number = *last;
        for (_, seal) in page {
            // One that can't be read is told of where seals are verified.
            if let Ok(content) = serde_json::from_str(&seal.content) {
                self.waiting.push_back((content, seal));
            }
        }
        Ok(true)
    }

    /// Whether an entry is what was sealed; one that was not is.
    fn holds(&self, position: u64, found: &[u8; 32]) -> bool {
        if position > self.last || position < self.first {
            return true;
        }
        let index = usize::try_from(position - self.first).unwrap_or(usize::MAX);
        self.leaves.get(index).is_none_or(|sealed| sealed == found)
    }

    fn ends_with(&self, position: u64, hash: &[u8; 32]) -> bool {
        self.last == position && self.head == encode(hash)
    }
}
