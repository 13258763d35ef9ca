//! Quotas, retention rules, legal holds and what rejection notes hide.

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_contracts::audit::{Act, Entry, Subject};
use hilum_contracts::ids::TenantId;
use hilum_platform::scope::TenantScope;

use crate::archive::{Archive, blocking};
use crate::error::{ArchiveError, Result};
use crate::index::{hold, reject, tombstone};
use crate::keys::random;
use crate::limits;
use crate::model::{
    Cause, HoldOn, HoldRow, Keeping, MetadataScope, NewDeletion, Quota, RejectionReason,
    RetentionRule,
};
use crate::note::Note;

/// Studies judged at a time.
const EXPIRY_PAGE: u32 = 1_000;

impl Archive {
    /// What a tenant may hold; nothing is refused until told.
    pub fn set_quota(&self, tenant: &TenantId, quota: Quota) {
        self.engine.quotas.set(tenant.as_str(), quota);
    }

    /// What a tenant may hold.
    #[must_use]
    pub fn quota(&self, tenant: &TenantId) -> Quota {
        self.engine.quotas.of(tenant.as_str())
    }

    /// How long a tenant's studies are kept; replaces what was told before.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn set_retention(
        &self,
        scope: &TenantScope,
        rules: Vec<RetentionRule>,
    ) -> Result<()> {
        if rules.is_empty() && self.engine.known_tenant(scope.tenant().as_str()).is_none() {
            // Most tenants have none: their folders are made when images come.
            let known = self.ask(scope, false, |_, _| Ok(true)).await?;
            if !known {
                return Ok(());
            }
        }
        let tenant = self.engine.tenant(scope).await?;
        self.engine
            .writer
            .run(move |db, _| hold::set_rules(db, tenant.row, &rules))
            .await
    }

    /// Deletes studies whose time is over, at most `limit`; how many.
    ///
    /// # Errors
    /// When the disk or the index fails; the next call goes on.
    pub async fn delete_expired(&self, scope: &TenantScope, limit: usize) -> Result<usize> {
        let now = self.engine.clock.now_millis();
        let (mut after, mut done) = (0, 0);
        loop {
            let (expired, next) = self
                .ask(scope, (Vec::new(), None), move |db, tenant| {
                    if hold::rules(db, tenant)?.is_empty() {
                        return Ok((Vec::new(), None));
                    }
                    hold::expired(db, tenant, after, EXPIRY_PAGE, now)
                })
                .await?;
            for study in expired {
                if done == limit {
                    return Ok(done);
                }
                let deletion = NewDeletion {
                    of: MetadataScope::Study(study),
                    cause: Cause::Retention,
                    reason: "its retention time is over".to_owned(),
                    by: "retention rule".to_owned(),
                };
                done += usize::from(self.delete_unless_kept(scope, deletion).await?);
            }
            match next {
                Some(next) => after = next,
                None => return Ok(done),
            }
        }
    }

    /// How many instances of a study rejection notes hide, by why.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn rejected(
        &self,
        scope: &TenantScope,
        study: &str,
    ) -> Result<BTreeMap<RejectionReason, u64>> {
        let study = study.to_owned();
        self.ask_packs(scope, move |db, packs, tenant| {
            reject::of_study(db, packs, tenant, &study)
        })
        .await
    }

    /// Deletes instances whose rejection note says that their time is over; how
    /// many. What a rule or a hold keeps stays, hidden, until the next call.
    ///
    /// # Errors
    /// When the disk or the index fails; the next call goes on.
    pub async fn retire_rejected(&self, scope: &TenantScope) -> Result<usize> {
        let (mut after, mut done) = (String::new(), 0);
        loop {
            let from = after.clone();
            let (found, next) = self
                .ask_packs(scope, move |db, packs, tenant| {
                    reject::to_retire(db, packs, tenant, &from, EXPIRY_PAGE)
                })
                .await?;
            for of in found {
                let deletion = NewDeletion {
                    of,
                    cause: Cause::Rejected,
                    reason: "a rejection note says that its retention time is over".to_owned(),
                    by: "rejection note".to_owned(),
                };
                done += usize::from(self.delete_unless_kept(scope, deletion).await?);
            }
            match next {
                Some(next) => after = next,
                None => return Ok(done),
            }
        }
    }

    /// Whether it was deleted: it may be held, or gone, since it was found.
    async fn delete_unless_kept(&self, scope: &TenantScope, deletion: NewDeletion) -> Result<bool> {
        match self.delete(scope, deletion).await {
            Ok(_) => Ok(true),
            Err(ArchiveError::Held | ArchiveError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What stands against deleting a study, and when its time is over.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is no such study.
    pub async fn keeping(&self, scope: &TenantScope, study: &str) -> Result<Keeping> {
        let study = study.to_owned();
        self.ask(scope, None, move |db, tenant| {
            let row = tombstone::study_row(db, tenant, &study)?;
            hold::keeping(db, tenant, row).map(Some)
        })
        .await?
        .ok_or(ArchiveError::NotFound)
    }

    /// Holds that stand, the newest first.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn holds(&self, scope: &TenantScope, limit: u32) -> Result<Vec<HoldRow>> {
        self.ask(scope, Vec::new(), move |db, tenant| {
            hold::list(db, tenant, limit.min(limits::PAGE_ROWS))
        })
        .await
    }

    /// Places a legal hold; when this returns, nothing that it is on is deleted
    /// any more. Its number.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when it is on a study that is not there.
    pub async fn place_hold(
        &self,
        scope: &TenantScope,
        on: HoldOn,
        reason: String,
        by: String,
    ) -> Result<i64> {
        if reason.trim().is_empty() {
            return Err(ArchiveError::Invalid("a hold needs a reason"));
        }
        check(&on, &reason, &by)?;
        let tenant = self.engine.tenant(scope).await?;
        let (engine, scope) = (Arc::clone(&self.engine), scope.clone());
        blocking(move || {
            if let HoldOn::Study { study } = &on {
                engine
                    .readers
                    .read_here(|db| tombstone::study_row(db, tenant.row, study))?;
            }
            let (mark, at) = (random()?, engine.clock.now_millis());
            let note = Note::Held {
                mark,
                on: on.clone(),
                reason: reason.clone(),
                by: by.clone(),
                at,
            };
            let written = engine.write_note(&tenant, &label(&on), &note)?;
            let (row, note) = (tenant.row, written.name);
            let told = engine.told(&tenant, &scope, about(Act::Hold, &on))?;
            engine.carry_out(&tenant, note, move |db, _| {
                let words = (&on, reason.as_str(), by.as_str());
                hold::place(db, row, &mark, words, &written, Some(told), at)
            })
        })
        .await
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is no such hold any more.
    pub async fn lift_hold(&self, scope: &TenantScope, id: i64, by: String) -> Result<()> {
        let tenant = self.engine.tenant(scope).await?;
        let (engine, scope) = (Arc::clone(&self.engine), scope.clone());
        blocking(move || {
            let (held, mark) = engine.readers.read_here(|db| {
                let held = hold::get(db, tenant.row, id)?.ok_or(ArchiveError::NotFound)?;
                Ok((held, hold::mark_of(db, tenant.row, id)?))
            })?;
            check(&held.on, "", &by)?;
            let at = engine.clock.now_millis();
            let note = Note::Lifted {
                mark,
                by: by.clone(),
                at,
            };
            let written = engine.write_note(&tenant, &label(&held.on), &note)?;
            let (row, note) = (tenant.row, written.name);
            let told = engine.told(&tenant, &scope, about(Act::LiftHold, &held.on))?;
            engine.carry_out(&tenant, note, move |db, _| {
                hold::lift(db, row, &mark, &by, &written, Some((told, id)), at)
            })
        })
        .await
    }
}

/// The key of a hold's notes: not the study's, whose destruction they outlive.
pub(crate) fn label(on: &HoldOn) -> String {
    match on {
        HoldOn::Study { study } => format!("hold:{study}"),
        HoldOn::Patient { issuer, id } => {
            format!("hold:{}\n{id}", issuer.as_deref().unwrap_or_default())
        }
    }
}

fn about(act: Act, on: &HoldOn) -> Entry {
    Entry::new(act).about(match on {
        HoldOn::Study { study } => Subject::study(&**study),
        HoldOn::Patient { issuer, id } => Subject::patient(&**id, issuer.as_deref()),
    })
}

fn check(on: &HoldOn, reason: &str, by: &str) -> Result<()> {
    let named = match on {
        HoldOn::Study { study } => (1..=limits::UID_BYTES).contains(&study.len()),
        HoldOn::Patient { issuer, id } => {
            let issuer = issuer.as_ref().map_or(0, String::len);
            !id.is_empty() && id.len() + issuer <= limits::REASON_BYTES
        }
    };
    if !named {
        return Err(ArchiveError::Invalid("a hold is on a study or a patient"));
    }
    if reason.len() > limits::REASON_BYTES || by.len() > limits::REASON_BYTES {
        return Err(ArchiveError::Invalid("the reason is too long"));
    }
    Ok(())
}
