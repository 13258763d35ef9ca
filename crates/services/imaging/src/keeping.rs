//! What the configuration says about how much and how long a tenant keeps, told
//! to the archive, and the deletion of studies whose time is over.

use std::sync::Arc;

use hilum_archive::{Quota, Resend, RetentionRule, Since};
use hilum_platform::auth;
use hilum_platform::config::{ResendPolicy, RetentionSince, Tenant};
use hilum_platform::notices::Topic;
use hilum_platform::tenants::Known;
use tokio_util::sync::CancellationToken;

use crate::ImagingService;
use crate::limits::{EXPIRED_AT_ONCE, RETENTION_EVERY, RULES_AGAIN};

impl ImagingService {
    /// Tells the archive the quotas and rules of every tenant.
    pub(crate) async fn tell_rules(&self) -> hilum_archive::Result<()> {
        for tenant in self.tenants.here() {
            self.tell_rules_of(&tenant).await?;
        }
        Ok(())
    }

    async fn tell_rules_of(&self, tenant: &Tenant) -> hilum_archive::Result<()> {
        self.archive.set_quota(&tenant.name, quota(tenant));
        let resend = match tenant.archive.resend {
            ResendPolicy::Refuse => Resend::Refuse,
            ResendPolicy::Accept => Resend::Accept,
        };
        self.archive.set_resend(&tenant.name, resend);
        let scope = auth::service(&tenant.name, "imaging");
        self.archive.set_retention(&scope, rules(tenant)).await
    }

    /// Tells the archive the rules of those tenants whose rules change, until
    /// told to stop.
    pub(crate) async fn follow_rules(self, stop: CancellationToken) {
        let mut changes = self.tenants.follow();
        // The directory tells of every change of a device, too: a transaction of the archive
        // for each tenant then would hold up intake.
        let mut told = self.tenants.known();
        let mut all = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RULES_AGAIN), if !all => {}
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            let known = Arc::clone(&changes.borrow_and_update());
            // Who leaves is forgotten, and who comes may have been here before.
            let here = |known: &Known, tenant: &Tenant| {
                known.place(&tenant.name).shard == self.tenants.shard()
            };
            for tenant in known.tenants() {
                let was_there = told.tenant(&tenant.name).is_some();
                if was_there && here(&told, tenant) != here(&known, tenant) {
                    self.archive.forget_place(&tenant.name);
                }
            }
            let changed = known.tenants().iter().filter(|tenant| {
                here(&known, tenant)
                    && told.tenant(&tenant.name).is_none_or(|before| {
                        before.archive != tenant.archive || !here(&told, tenant)
                    })
            });
            all = true;
            for tenant in changed {
                if let Err(error) = self.tell_rules_of(tenant).await {
                    tracing::error!(%error, "the archive was not told its tenants' rules");
                    all = false;
                }
            }
            if all {
                told = known;
            }
        }
    }

    /// Deletes studies whose time is over, and instances whose rejection note
    /// says so, until told to stop.
    pub(crate) async fn delete_expired_regularly(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            for tenant in self.tenants.here() {
                let scope = auth::service(&tenant.name, "imaging");
                match self.archive.delete_expired(&scope, EXPIRED_AT_ONCE).await {
                    Ok(0) => {}
                    Ok(studies) => {
                        tracing::info!(tenant = %tenant.name, studies, "deleted by retention rules");
                        self.notices.tell(&tenant.name, Topic::Studies, None);
                    }
                    Err(error) => tracing::error!(%error, "retention rules"),
                }
                match self.archive.retire_rejected(&scope).await {
                    Ok(0) => {}
                    Ok(instances) => {
                        tracing::info!(tenant = %tenant.name, instances, "deleted by rejection notes");
                        self.notices.tell(&tenant.name, Topic::Studies, None);
                    }
                    Err(error) => tracing::error!(%error, "rejection notes"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.retention_bell.notified() => {}
                () = tokio::time::sleep(RETENTION_EVERY) => {}
            }
        }
    }
}

pub(crate) fn quota(tenant: &Tenant) -> Quota {
    Quota {
        bytes: tenant.archive.quota_bytes,
        instances: tenant.archive.quota_instances,
    }
}

fn rules(tenant: &Tenant) -> Vec<RetentionRule> {
    let rule = |rule: &hilum_platform::config::Retention| RetentionRule {
        modalities: rule.modalities.clone(),
        since: match rule.since {
            RetentionSince::StudyDate => Since::StudyDate,
            RetentionSince::Reception => Since::Reception,
        },
        keep_days: rule.keep_days,
        expire_days: rule.expire_days,
    };
    tenant.archive.retention.iter().map(rule).collect()
}
