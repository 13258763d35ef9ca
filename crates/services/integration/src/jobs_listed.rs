//! The jobs of this service, as people see them and start them anew.

use async_trait::async_trait;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::error::ServiceError;
use hilum_platform::db::DbError;
use hilum_platform::http::database_error;
use hilum_platform::jobs::{self, Backlog, JobSource, Listed, State};
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;

use crate::IntegrationService;
use crate::store::planning;

impl IntegrationService {
    /// Starts a delivery anew that was given up or is held. `false`: it is neither.
    pub(crate) async fn start_anew(&self, scope: &TenantScope, id: &str) -> Result<bool, DbError> {
        let mut tx = self.store.db().begin().await?;
        let now = self.clock.now_millis();
        let Some(study_uid) = planning::start_anew(&mut tx, scope, id, now).await? else {
            return Ok(false);
        };
        let entry = Entry::new(Act::Retry)
            .about(Subject::study(study_uid))
            .with(Detail::Delivery, id);
        self.trail.append(&mut tx, scope, entry).await?;
        tx.commit().await?;
        self.bell.notify_waiters();
        self.notices.tell(scope.tenant(), Topic::Deliveries, None);
        Ok(true)
    }
}

#[async_trait]
impl JobSource for IntegrationService {
    fn service(&self) -> &'static str {
        "integration"
    }

    async fn jobs(&self, scope: &TenantScope, state: State) -> Result<Vec<Listed>, ServiceError> {
        let listed = async {
            let mut listed = jobs::list(self.store.db(), scope, state).await?;
            self.store.describe(scope, &mut listed).await?;
            Ok::<_, DbError>(listed)
        };
        listed.await.map_err(|error| database_error(&error))
    }

    async fn backlog(&self) -> Result<Backlog, ServiceError> {
        let backlog = jobs::backlog(self.store.db(), self.clock.now_millis()).await;
        backlog.map_err(|error| database_error(&error))
    }

    async fn replay(&self, scope: &TenantScope, id: &str) -> Result<bool, ServiceError> {
        let replayed = async {
            match jobs::subject_of_dead(self.store.db(), scope, id).await? {
                Some(delivery) => self.start_anew(scope, &delivery).await,
                None => Ok(false),
            }
        };
        replayed
            .await
            .map_err(|error: DbError| database_error(&error))
    }
}
