//! What is asked of every service, over the network: to forget, to give out, to
//! list what was given up. Both ends.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::audit::{Entry, Subject};
use hilum_contracts::erasure::{EndedTenant, EndsTenants, Forgets};
use hilum_contracts::error::ServiceError;
use hilum_contracts::export::{ExportPage, Exports};
use hilum_contracts::scope::TenantScope;
use serde::{Deserialize, Serialize};

use super::{Answering, Asking, Neighbour, READY};
use crate::audit::TellsAll;
use crate::events::{DeadLetter, DeadLetters};
use crate::jobs::{Backlog, Jobs, Listed, State};
use crate::limits::{NEIGHBOUR_READY_WITHIN, NEIGHBOUR_WITHIN_LONG};

/// A service in another process, asked for what every service does.
#[derive(Clone, Debug)]
pub struct RemoteMember(pub Neighbour);

#[async_trait]
impl Forgets for RemoteMember {
    fn name(&self) -> &'static str {
        self.0.service().as_str()
    }

    async fn forget_audited(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<(), ServiceError> {
        self.0
            .ask(LONG, "forget-audited", Some(scope), subjects)
            .await
    }

    async fn forget_named(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<u64, ServiceError> {
        self.0
            .ask(LONG, "forget-named", Some(scope), subjects)
            .await
    }

    async fn forget(
        &self,
        scope: &TenantScope,
        study_uids: &[String],
    ) -> Result<u64, ServiceError> {
        self.0.ask(LONG, "forget", Some(scope), study_uids).await
    }

    async fn forget_tenant(&self, scope: &TenantScope) -> Result<u64, ServiceError> {
        self.0.ask(LONG, "forget-tenant", Some(scope), &()).await
    }
}

/// Erasing makes a database's file anew, which takes as long as it is large.
const LONG: Asking = Asking::REPEATABLE.within(NEIGHBOUR_WITHIN_LONG);

/// Answers for what `service` forgets.
pub fn answer_forgets(answering: Answering, service: Arc<dyn Forgets>) -> Answering {
    let [audited, named, studies, tenant] = [0; 4].map(|_| Arc::clone(&service));
    answering
        .on("forget-audited", move |scope, subjects: Vec<Subject>| {
            let service = Arc::clone(&audited);
            async move { service.forget_audited(&scope, &subjects).await }
        })
        .on("forget-named", move |scope, subjects: Vec<Subject>| {
            let service = Arc::clone(&named);
            async move { service.forget_named(&scope, &subjects).await }
        })
        .on("forget", move |scope, study_uids: Vec<String>| {
            let service = Arc::clone(&studies);
            async move { service.forget(&scope, &study_uids).await }
        })
        .on("forget-tenant", move |scope, ()| {
            let service = Arc::clone(&tenant);
            async move { service.forget_tenant(&scope).await }
        })
}

#[async_trait]
impl Exports for RemoteMember {
    async fn export(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
    ) -> Result<ExportPage, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0.ask(asking, "export", Some(scope), &after).await
    }
}

/// Answers with what `service` gives out.
pub fn answer_exports(answering: Answering, service: Arc<dyn Exports>) -> Answering {
    answering.on("export", move |scope, after: Option<String>| {
        let service = Arc::clone(&service);
        async move { service.export(&scope, after.as_deref()).await }
    })
}

#[async_trait]
impl Jobs for RemoteMember {
    fn service(&self) -> &'static str {
        self.0.service().as_str()
    }

    async fn jobs(&self, scope: &TenantScope, state: State) -> Result<Vec<Listed>, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0.ask(asking, "jobs", Some(scope), &state).await
    }

    async fn backlog(&self) -> Result<Backlog, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0.ask(asking, "jobs-backlog", None, &()).await
    }

    async fn replay(&self, scope: &TenantScope, id: &str) -> Result<bool, ServiceError> {
        // The second time there would be no such job any more.
        self.0
            .ask(Asking::ONCE, "replay-job", Some(scope), id)
            .await
    }
}

/// Answers for the jobs of a service.
pub fn answer_jobs(answering: Answering, jobs: Arc<dyn Jobs>) -> Answering {
    let [listed, backlog, replayed] = [0; 3].map(|_| Arc::clone(&jobs));
    answering
        .on("jobs", move |scope, state: State| {
            let jobs = Arc::clone(&listed);
            async move { jobs.jobs(&scope, state).await }
        })
        .on_any("jobs-backlog", move |()| {
            let jobs = Arc::clone(&backlog);
            async move { jobs.backlog().await }
        })
        .on("replay-job", move |scope, id: String| {
            let jobs = Arc::clone(&replayed);
            async move { jobs.replay(&scope, &id).await }
        })
}

/// A consumer in another process.
#[derive(Clone, Debug)]
pub struct RemoteInbox {
    neighbour: Neighbour,
    consumer: &'static str,
}

impl RemoteInbox {
    /// The consumer of this name.
    #[must_use]
    pub fn new(neighbour: Neighbour, consumer: &'static str) -> Self {
        Self {
            neighbour,
            consumer,
        }
    }

    fn what(&self, what: &str) -> String {
        format!("inbox/{}/{what}", self.consumer)
    }
}

#[async_trait]
impl DeadLetters for RemoteInbox {
    fn consumer(&self) -> &'static str {
        self.consumer
    }

    async fn dead_letters(&self, scope: &TenantScope) -> Result<Vec<DeadLetter>, ServiceError> {
        let (asking, what) = (Asking::REPEATABLE, self.what("dead-letters"));
        self.neighbour.ask(asking, &what, Some(scope), &()).await
    }

    async fn backlog(&self) -> Result<Backlog, ServiceError> {
        let (asking, what) = (Asking::REPEATABLE, self.what("backlog"));
        self.neighbour.ask(asking, &what, None, &()).await
    }

    async fn replay(&self, scope: &TenantScope, event_id: &str) -> Result<bool, ServiceError> {
        let what = self.what("replay");
        self.neighbour
            .ask(Asking::ONCE, &what, Some(scope), event_id)
            .await
    }
}

/// Answers for the dead letters of a consumer.
pub fn answer_inbox(answering: Answering, inbox: Arc<dyn DeadLetters>) -> Answering {
    let what = |what: &str| format!("inbox/{}/{what}", inbox.consumer());
    let [letters, backlog, replayed] = [0; 3].map(|_| Arc::clone(&inbox));
    answering
        .on(&what("dead-letters"), move |scope, ()| {
            let inbox = Arc::clone(&letters);
            async move { inbox.dead_letters(&scope).await }
        })
        .on_any(&what("backlog"), move |()| {
            let inbox = Arc::clone(&backlog);
            async move { inbox.backlog().await }
        })
        .on(&what("replay"), move |scope, id: String| {
            let inbox = Arc::clone(&replayed);
            async move { inbox.replay(&scope, &id).await }
        })
}

/// Whether a service can do its work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it can.
    pub ready: bool,
    /// What it runs on, or what is wrong; for people.
    pub detail: Option<String>,
}

/// Something that knows whether a service can do its work.
#[async_trait]
pub trait Ready: Send + Sync {
    /// Whether it can now.
    async fn ready(&self) -> Readiness;
}

#[async_trait]
impl Ready for RemoteMember {
    async fn ready(&self) -> Readiness {
        let asking = Asking::ONCE.within(NEIGHBOUR_READY_WITHIN);
        let told = self.0.ask(asking, READY, None, &()).await;
        told.unwrap_or_else(|error: ServiceError| Readiness {
            ready: false,
            detail: Some(error.message),
        })
    }
}

/// Answers whether a service can do its work.
pub fn answer_ready(answering: Answering, service: Arc<dyn Ready>) -> Answering {
    answering.on_any(READY, move |()| {
        let service = Arc::clone(&service);
        async move { Ok(service.ready().await) }
    })
}

#[async_trait]
impl TellsAll for RemoteMember {
    async fn tell_all(&self, entry: Entry) -> Result<(), ServiceError> {
        self.0.ask(Asking::ONCE, "tell-all", None, &entry).await
    }
}

/// Answers for who records what is done to the whole installation.
pub fn answer_tells_all(answering: Answering, trail: Arc<dyn TellsAll>) -> Answering {
    answering.on_any("tell-all", move |entry: Entry| {
        let trail = Arc::clone(&trail);
        async move { trail.tell_all(entry).await }
    })
}

#[async_trait]
impl EndsTenants for RemoteMember {
    async fn begin_ending(&self, scope: &TenantScope, holds: u64) -> Result<(), ServiceError> {
        // The second time there would be no such tenant any more.
        let asking = Asking::ONCE;
        self.0
            .ask(asking, "begin-ending", Some(scope), &holds)
            .await
    }

    async fn begin_ending_again(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0
            .ask(asking, "begin-ending-again", Some(scope), &())
            .await
    }

    async fn ended_tenants(&self) -> Result<Vec<EndedTenant>, ServiceError> {
        self.0
            .ask(Asking::REPEATABLE, "ended-tenants", None, &())
            .await
    }

    async fn keep_holdings(
        &self,
        scope: &TenantScope,
        holdings: &str,
    ) -> Result<EndedTenant, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0
            .ask(asking, "keep-holdings", Some(scope), holdings)
            .await
    }

    async fn certify_ending(
        &self,
        scope: &TenantScope,
        certificate: &str,
        sha256: &str,
    ) -> Result<(), ServiceError> {
        let question = (certificate, sha256);
        let asking = Asking::REPEATABLE;
        self.0
            .ask(asking, "certify-ending", Some(scope), &question)
            .await
    }
}

/// Answers for who ends tenants.
pub fn answer_ends_tenants(answering: Answering, ends: Arc<dyn EndsTenants>) -> Answering {
    let [begun, again, listed, kept, certified] = [0; 5].map(|_| Arc::clone(&ends));
    answering
        .on("begin-ending", move |scope, holds: u64| {
            let ends = Arc::clone(&begun);
            async move { ends.begin_ending(&scope, holds).await }
        })
        .on("begin-ending-again", move |scope, ()| {
            let ends = Arc::clone(&again);
            async move { ends.begin_ending_again(&scope).await }
        })
        .on_any("ended-tenants", move |()| {
            let ends = Arc::clone(&listed);
            async move { ends.ended_tenants().await }
        })
        .on("keep-holdings", move |scope, holdings: String| {
            let ends = Arc::clone(&kept);
            async move { ends.keep_holdings(&scope, &holdings).await }
        })
        .on(
            "certify-ending",
            move |scope, (text, sha256): (String, String)| {
                let ends = Arc::clone(&certified);
                async move { ends.certify_ending(&scope, &text, &sha256).await }
            },
        )
}
