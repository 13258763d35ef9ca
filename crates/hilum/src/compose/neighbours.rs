//! The services that run elsewhere: the ways to them, and the door at which they
//! find those that run here.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::Router;
use axum::middleware::from_fn;
use hilum_archive::Archive;
use hilum_contracts::audit::Subject;
use hilum_contracts::erasure::Forgets;
use hilum_contracts::error::ServiceError;
use hilum_contracts::scope::TenantScope;
use hilum_contracts::service::ServiceName;
use hilum_platform::audit::AuditSource as _;
use hilum_platform::config::Config;
use hilum_platform::events::{Inbox, Interest, OutboxError, Transit};
use hilum_platform::http_client::HttpClient;
use hilum_platform::notices::Notices;
use hilum_platform::passes::Passes;
use hilum_platform::remote::elsewhere::Shards;
use hilum_platform::remote::{
    Answering, Neighbour, audit, directory, identity, imaging, keys, member, moving,
    notices as told, passes, passing_on, patients,
};
use hilum_platform::tenants::Directory;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::services::Services;
use crate::http::status;

/// Which events each service follows, wherever it runs.
pub(super) const INTERESTS: [(ServiceName, Interest); 4] = [
    (ServiceName::Imaging, hilum_imaging::INTEREST),
    (ServiceName::Patients, hilum_patients::INTEREST),
    (ServiceName::Inference, hilum_inference::INTEREST),
    (ServiceName::Integration, hilum_integration::INTEREST),
];

/// The ways to the services that do not run here.
pub(super) struct Neighbours(BTreeMap<ServiceName, Neighbour>);

impl Neighbours {
    /// As the configuration has them.
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let Some(neighbours) = &config.neighbours else {
            return Ok(Self(BTreeMap::new()));
        };
        let client = HttpClient::new(Some(&neighbours.ca), Some(&neighbours.tls()))?;
        let mut ways = BTreeMap::new();
        for (service, at) in &neighbours.at {
            if !config.runs(*service) {
                let at = at
                    .parse()
                    .with_context(|| format!("neighbours.at.{service}"))?;
                ways.insert(*service, Neighbour::new(*service, at, client.clone()));
            }
        }
        Ok(Self(ways))
    }

    /// The ways to the services of other shards.
    pub(super) fn shards(config: &Config, directory: &Directory) -> anyhow::Result<Shards> {
        let mut ways = BTreeMap::new();
        if let Some(neighbours) = config
            .neighbours
            .as_ref()
            .filter(|_| !config.shards.is_empty())
        {
            let client = HttpClient::new(Some(&neighbours.ca), Some(&neighbours.tls()))?;
            let others = config.shards.iter();
            for (name, shard) in others.filter(|(name, _)| **name != config.shard.name) {
                for (service, at) in &shard.at {
                    let at = at
                        .parse()
                        .with_context(|| format!("shards.{name}.at.{service}"))?;
                    let way = Neighbour::new(*service, at, client.clone());
                    ways.insert((name.clone(), *service), way);
                }
            }
        }
        Ok(Shards::new(directory.clone(), ways))
    }

    /// The way to a service that does not run here.
    pub(super) fn to(&self, service: ServiceName) -> anyhow::Result<Neighbour> {
        let way = self.0.get(&service).cloned();
        way.with_context(|| format!("{service} does not run here, and nobody said where it does"))
    }

    /// Whether every service runs here.
    pub(super) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Follows what they tell of themselves, until `stop`.
    pub(super) fn follow(&self, tasks: &TaskTracker, stop: &CancellationToken, notices: &Notices) {
        // Several services of one process tell the same.
        let mut doors = BTreeMap::new();
        for neighbour in self.0.values() {
            doors.entry(neighbour.at().to_string()).or_insert(neighbour);
        }
        for neighbour in doors.into_values() {
            tasks.spawn(told::follow(
                neighbour.clone(),
                notices.clone(),
                stop.clone(),
            ));
        }
    }
}

/// What the door for neighbours is made of.
pub(super) struct AtDoor<'a> {
    pub(super) services: &'a Services,
    pub(super) inboxes: &'a [Inbox],
    pub(super) status: &'a status::Parts,
    pub(super) notices: &'a Notices,
    pub(super) tenants: &'a Directory,
    pub(super) passes: &'a Passes,
    pub(super) transit: &'a Transit,
    pub(super) stop: &'a CancellationToken,
}

/// The door for neighbours: what the services that run here are asked, the
/// `associations` that other shards bring, and `api`, the requests that came to another
/// process.
pub(super) fn door(at: &AtDoor<'_>, associations: Router, api: Router) -> Router {
    let mut router = associations;
    let trails = at.services.trails();
    for service in ServiceName::ALL.iter().copied() {
        let Some(ready) = at.status.here(service) else {
            continue;
        };
        let mut answering = Answering::new(service).until(at.stop.clone());
        answering = told::answer(answering, at.notices.clone());
        answering = moving::answer_place(answering, at.tenants.clone());
        answering = member::answer_ready(answering, ready);
        if let Some(trail) = trails.iter().find(|one| one.writer() == service.as_str()) {
            answering = audit::answer(answering, Arc::new(trail.clone()));
        }
        let inboxes = at.inboxes.iter();
        for inbox in inboxes.filter(|one| of(one.consumer()) == service.as_str()) {
            answering = member::answer_inbox(answering, Arc::new(inbox.clone()));
        }
        answering = own(at, service, answering);
        router = router.merge(answering.into_router());
    }
    router.fallback_service(api.layer(from_fn(passing_on::passed_on)))
}

/// What only this service is asked.
fn own(at: &AtDoor<'_>, service: ServiceName, answering: Answering) -> Answering {
    let AtDoor {
        services,
        tenants,
        passes: known_passes,
        transit,
        ..
    } = *at;
    macro_rules! forgets_and_exports {
        ($answering:expr, $service:expr) => {{
            let held = Held {
                service: $service.clone(),
                transit: transit.clone(),
            };
            let answering = member::answer_forgets($answering, Arc::new(held));
            member::answer_exports(answering, Arc::new($service.clone()))
        }};
    }
    match service {
        ServiceName::Imaging => match &services.imaging {
            None => answering,
            Some((archive, imaging)) => {
                let answering = imaging::answer(answering, Arc::new(imaging.clone()));
                let answering = keys::answer(answering, Arc::new(archive.clone()));
                let moves = Moving {
                    archive: archive.clone(),
                    transit: transit.clone(),
                };
                let answering = moving::answer(answering, Arc::new(moves));
                audit::answer(answering, Arc::new(archive.clone()))
            }
        },
        ServiceName::Patients => match &services.patients {
            None => answering,
            Some(one) => {
                let answering = patients::answer(answering, Arc::new(one.clone()));
                forgets_and_exports!(answering, one)
            }
        },
        ServiceName::Inference => match &services.inference {
            None => answering,
            Some(one) => {
                let answering = member::answer_jobs(answering, Arc::new(one.clone()));
                forgets_and_exports!(answering, one)
            }
        },
        ServiceName::Integration => match &services.integration {
            None => answering,
            Some(one) => {
                let answering = member::answer_jobs(answering, Arc::new(one.clone()));
                forgets_and_exports!(answering, one)
            }
        },
        ServiceName::Identity => match &services.identity {
            None => answering,
            Some(one) => {
                let answering = identity::answer(answering, one);
                let answering = directory::answer(answering, tenants.clone());
                let answering = passes::answer(answering, known_passes.clone());
                let answering = member::answer_ends_tenants(answering, Arc::new(one.clone()));
                forgets_and_exports!(answering, one)
            }
        },
        ServiceName::Audit => match &services.audit {
            None => answering,
            Some(one) => {
                let answering = member::answer_tells_all(answering, Arc::new(one.clone()));
                forgets_and_exports!(answering, one)
            }
        },
    }
}

/// The archive, for who moves a tenant from or to this shard.
struct Moving {
    archive: Archive,
    transit: Transit,
}

#[async_trait]
impl moving::Moves for Moving {
    async fn come_to_rest(&self, _: &TenantScope) -> Result<(), ServiceError> {
        drop(self.transit.halt().await.map_err(OutboxError::from)?);
        Ok(self.archive.tell_counted().await?)
    }

    async fn make_lookup(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        Ok(self.archive.make_lookup(scope).await?)
    }
}

/// A service that forgets while nothing of what it has to tell is half told:
/// whoever erases then waits for what was.
struct Held<S> {
    service: S,
    transit: Transit,
}

#[async_trait]
impl<S: Forgets> Forgets for Held<S> {
    fn name(&self) -> &'static str {
        self.service.name()
    }

    async fn forget_audited(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<(), ServiceError> {
        self.service.forget_audited(scope, subjects).await
    }

    async fn forget_named(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<u64, ServiceError> {
        self.service.forget_named(scope, subjects).await
    }

    async fn forget(
        &self,
        scope: &TenantScope,
        study_uids: &[String],
    ) -> Result<u64, ServiceError> {
        let _held = self.transit.hold().await;
        self.service.forget(scope, study_uids).await
    }

    async fn forget_tenant(&self, scope: &TenantScope) -> Result<u64, ServiceError> {
        let _held = self.transit.hold().await;
        self.service.forget_tenant(scope).await
    }
}

/// The service that a consumer belongs to: the first part of its name.
pub(super) fn of(consumer: &str) -> &str {
    consumer.split('.').next().unwrap_or(consumer)
}
