//! A service's audit trail over the network: both ends.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::audit::Subject;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use serde::{Deserialize, Serialize};

use super::{Answering, Asking, Neighbour};
use crate::audit::{AuditSource, Filter, Find, Found, Head, Raw};
use crate::limits::NEIGHBOUR_WITHIN_LONG;

/// The trail that a service in another process writes.
#[derive(Clone, Debug)]
pub struct RemoteTrail {
    neighbour: Neighbour,
    writer: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Tenant(#[serde(deserialize_with = "TenantId::deserialize_stored")] TenantId);

#[derive(Serialize, Deserialize)]
struct Entries {
    after: u64,
    limit: u32,
}

#[derive(Serialize, Deserialize)]
struct Search {
    filter: Filter,
    before: Option<(i64, u64)>,
    limit: u32,
}

#[derive(Serialize, Deserialize)]
struct Beside {
    find: Find,
    limit: u32,
}

impl RemoteTrail {
    /// What `writer` writes beside `neighbour`.
    #[must_use]
    pub fn new(neighbour: Neighbour, writer: &'static str) -> Self {
        Self { neighbour, writer }
    }

    fn what(&self, what: &str) -> String {
        format!("trail/{}/{what}", self.writer)
    }
}

#[async_trait]
impl AuditSource for RemoteTrail {
    fn writer(&self) -> &str {
        self.writer
    }

    async fn heads(&self) -> Result<Vec<(TenantId, Head)>, ServiceError> {
        let (asking, what) = (Asking::REPEATABLE, self.what("heads"));
        let heads: Vec<(Tenant, Head)> = self.neighbour.ask(asking, &what, None, &()).await?;
        Ok(heads
            .into_iter()
            .map(|(Tenant(of), head)| (of, head))
            .collect())
    }

    async fn head(&self, scope: &TenantScope) -> Result<Head, ServiceError> {
        let (asking, what) = (Asking::REPEATABLE, self.what("head"));
        self.neighbour.ask(asking, &what, Some(scope), &()).await
    }

    async fn entries(
        &self,
        scope: &TenantScope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Raw>, ServiceError> {
        let (asking, what) = (Asking::REPEATABLE, self.what("entries"));
        let question = Entries { after, limit };
        self.neighbour
            .ask(asking, &what, Some(scope), &question)
            .await
    }

    async fn search(
        &self,
        scope: &TenantScope,
        filter: &Filter,
        before: Option<(i64, u64)>,
        limit: u32,
    ) -> Result<Vec<Found>, ServiceError> {
        let asking = Asking::REPEATABLE.within(NEIGHBOUR_WITHIN_LONG);
        let question = Search {
            filter: filter.clone(),
            before,
            limit,
        };
        self.neighbour
            .ask(asking, &self.what("search"), Some(scope), &question)
            .await
    }

    async fn beside(
        &self,
        scope: &TenantScope,
        find: &Find,
        limit: u32,
    ) -> Result<Vec<Subject>, ServiceError> {
        let asking = Asking::REPEATABLE.within(NEIGHBOUR_WITHIN_LONG);
        let question = Beside {
            find: find.clone(),
            limit,
        };
        self.neighbour
            .ask(asking, &self.what("beside"), Some(scope), &question)
            .await
    }

    async fn remove(&self, scope: &TenantScope, position: u64) -> Result<u64, ServiceError> {
        let asking = Asking::REPEATABLE.within(NEIGHBOUR_WITHIN_LONG);
        self.neighbour
            .ask(asking, &self.what("remove"), Some(scope), &position)
            .await
    }
}

/// Answers with what `trail` holds.
pub fn answer(answering: Answering, trail: Arc<dyn AuditSource>) -> Answering {
    let writer = trail.writer().to_owned();
    let what = |what: &str| format!("trail/{writer}/{what}");
    let [heads, head, entries, search, beside, remove] = [0; 6].map(|_| Arc::clone(&trail));
    answering
        .on_any(&what("heads"), move |()| {
            let trail = Arc::clone(&heads);
            async move { trail.heads().await }
        })
        .on(&what("head"), move |scope, ()| {
            let trail = Arc::clone(&head);
            async move { trail.head(&scope).await }
        })
        .on(&what("entries"), move |scope, asked: Entries| {
            let trail = Arc::clone(&entries);
            async move { trail.entries(&scope, asked.after, asked.limit).await }
        })
        .on(&what("search"), move |scope, asked: Search| {
            let trail = Arc::clone(&search);
            async move {
                let Search {
                    filter,
                    before,
                    limit,
                } = asked;
                trail.search(&scope, &filter, before, limit).await
            }
        })
        .on(&what("beside"), move |scope, asked: Beside| {
            let trail = Arc::clone(&beside);
            async move { trail.beside(&scope, &asked.find, asked.limit).await }
        })
        .on(&what("remove"), move |scope, position: u64| {
            let trail = Arc::clone(&remove);
            async move { trail.remove(&scope, position).await }
        })
}
