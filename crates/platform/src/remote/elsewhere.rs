//! Tenants of other shards: whoever asks about one at a door of this shard is answered
//! by the tenant's own, and whoever reads does not notice that it is being moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use hilum_contracts::service::ServiceName;
use http::{Method, StatusCode};
use tokio::time::Instant;

use super::{Neighbour, passing_on};
use crate::http::Problem;
use crate::limits::{MOVING_AGAIN, MOVING_WAIT, SHARD_HOPS};
use crate::tenants::{Directory, Place};

/// How often a request was passed on from shard to shard before it came here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hops(pub u8);

/// Where tenants live, and the ways to the services of other shards.
#[derive(Clone)]
pub struct Shards {
    directory: Directory,
    ways: Arc<BTreeMap<(String, ServiceName), Neighbour>>,
}

/// Who answers for a tenant.
pub enum Answers {
    /// This shard.
    Here,
    /// Another one's service.
    At(Neighbour),
    /// Another one that the configuration does not name.
    Nowhere(String),
}

impl Shards {
    /// Shards with these ways to the services of the others.
    #[must_use]
    pub fn new(directory: Directory, ways: BTreeMap<(String, ServiceName), Neighbour>) -> Self {
        Self {
            directory,
            ways: Arc::new(ways),
        }
    }

    /// Whether the configuration names no other shard.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.ways.is_empty()
    }

    /// Every way to another shard's service.
    pub fn ways(&self) -> impl Iterator<Item = (&str, &Neighbour)> {
        self.ways.iter().map(|((shard, _), way)| (&**shard, way))
    }

    /// Who answers for a tenant in the place of a service.
    #[must_use]
    pub fn of(&self, tenant: &TenantId, service: ServiceName) -> Answers {
        let Place { shard, .. } = self.directory.known().place(tenant);
        if shard == self.directory.shard() || *tenant == TenantId::installation() {
            return Answers::Here;
        }
        match self.ways.get(&(shard.clone(), service)) {
            Some(way) => Answers::At(way.clone()),
            None => Answers::Nowhere(shard),
        }
    }

    fn place(&self, tenant: &TenantId) -> Place {
        self.directory.known().place(tenant)
    }
}

/// Has the shard of the scope's tenant answer what a service is asked: a middleware of
/// the service's endpoints, behind whatever found the scope.
pub async fn at_its_shard(
    State((shards, service)): State<(Shards, ServiceName)>,
    request: Request,
    next: Next,
) -> Response {
    let scope = request.extensions().get::<TenantScope>();
    let Some(tenant) = scope.map(|scope| scope.tenant().clone()) else {
        return next.run(request).await;
    };
    if shards.are_none() {
        return next.run(request).await;
    }
    // What changes nothing may be asked again.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answered(&shards, service, &tenant, request, next).await;
    }
    let (parts, _) = request.into_parts();
    let until = Instant::now() + MOVING_WAIT;
    loop {
        let before = shards.place(&tenant);
        let again = Request::from_parts(parts.clone(), Body::empty());
        let response = answered(&shards, service, &tenant, again, next.clone()).await;
        let after = shards.place(&tenant);
        let moves = before.is_moving || before != after;
        let waits = response.status() == StatusCode::SERVICE_UNAVAILABLE && moves;
        if !waits || Instant::now() >= until {
            return response;
        }
        tokio::time::sleep(MOVING_AGAIN).await;
    }
}

async fn answered(
    shards: &Shards,
    service: ServiceName,
    tenant: &TenantId,
    mut request: Request,
    next: Next,
) -> Response {
    let Hops(hops) = request.extensions().get().copied().unwrap_or_default();
    match shards.of(tenant, service) {
        Answers::Here => next.run(request).await,
        Answers::At(way) if hops < SHARD_HOPS => {
            // Below a nested router the address is what is left of it.
            if let Some(OriginalUri(uri)) = request.extensions().get().cloned() {
                *request.uri_mut() = uri;
            }
            passing_on::pass_on(way, request).await
        }
        Answers::At(_) => {
            let text = "The organisation has just moved: try again in a moment.";
            Problem(ServiceError::new(ErrorCode::Unavailable, text)).into_response()
        }
        Answers::Nowhere(shard) => {
            tracing::error!(%tenant, shard, "a tenant lives on a shard that [shards] does not name");
            let text = "This server does not know the way to the organisation's shard.";
            Problem(ServiceError::new(ErrorCode::Unavailable, text)).into_response()
        }
    }
}
