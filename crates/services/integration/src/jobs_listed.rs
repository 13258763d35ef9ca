//! The jobs of this service, as people see them and start them anew.

use async_trait::async_trait;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_platform::clock::Clock;
use hilum_platform::db::{Db, DbError};
use hilum_platform::jobs::{Described, JobSource};
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;

use crate::IntegrationService;
use crate::store::planning;

#[async_trait]
impl JobSource for IntegrationService {
    fn service(&self) -> &'static str {
        "integration"
    }

    fn db(&self) -> &Db {
        self.store.db()
    }

    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    async fn describe(
        &self,
        scope: &TenantScope,
        subject: &str,
    ) -> Result<Option<Described>, DbError> {
        self.store.describe(scope, subject).await
    }

    async fn start_anew(&self, scope: &TenantScope, id: &str) -> Result<bool, DbError> {
        let mut tx = self.store.db().begin(scope).await?;
        let now = self.clock.now_millis();
        let Some(study_uid) = planning::start_anew(&mut tx, scope, id, now).await? else {
            return Ok(false);
        };
        let entry = Entry::new(Act::Retry)
            .about(Subject::study(&*study_uid))
            .with(Detail::Delivery, id);
        self.trail.append(&mut tx, scope, entry).await?;
        tx.commit().await?;
        self.ring();
        self.notices.tell(scope.tenant(), Topic::Deliveries, None);
        Ok(true)
    }
}
