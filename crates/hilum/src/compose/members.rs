//! The services as who asks all of them sees them: those that run here, and the
//! neighbours.

use std::sync::Arc;

use hilum_audit::AuditService;
use hilum_contracts::erasure::Forgets;
use hilum_contracts::export::Exports;
use hilum_contracts::service::ServiceName;
use hilum_identity::IdentityService;
use hilum_imaging::ImagingService;
use hilum_inference::InferenceService;
use hilum_integration::IntegrationService;
use hilum_patients::PatientsService;
use hilum_platform::audit::AuditSource as _;
use hilum_platform::config::Config;
use hilum_platform::events::{DeadLetters, Inbox};
use hilum_platform::jobs::Jobs;
use hilum_platform::remote::member::{RemoteInbox, RemoteMember};

use super::neighbours::{INTERESTS, Neighbours};
use super::services::Services;
use crate::http::{Endpoints, status};

/// Every service, asked to forget.
pub(super) fn forgetful(
    services: &Services,
    imaging: &ImagingService,
    neighbours: &Neighbours,
) -> anyhow::Result<Vec<Arc<dyn Forgets>>> {
    let mut all: Vec<Arc<dyn Forgets>> = vec![Arc::new(imaging.clone())];
    for service in ServiceName::ALL.iter().copied() {
        let here: Option<Arc<dyn Forgets>> = match service {
            ServiceName::Imaging => continue,
            ServiceName::Patients => services.patients.clone().map(|one| Arc::new(one) as _),
            ServiceName::Inference => services.inference.clone().map(|one| Arc::new(one) as _),
            ServiceName::Integration => services.integration.clone().map(|one| Arc::new(one) as _),
            ServiceName::Identity => services.identity.clone().map(|one| Arc::new(one) as _),
            ServiceName::Audit => services.audit.clone().map(|one| Arc::new(one) as _),
        };
        all.push(match here {
            Some(here) => here,
            None => Arc::new(RemoteMember(neighbours.to(service)?)),
        });
    }
    // Who decides on people forgets last: what it knows is needed until then.
    all.sort_by_key(|one| one.name() == ServiceName::Identity.as_str());
    Ok(all)
}

/// Every service, asked for the rows of a tenant.
pub(super) fn exporting(
    services: &Services,
    neighbours: &Neighbours,
) -> anyhow::Result<Vec<Arc<dyn Exports>>> {
    let remote = |service| -> anyhow::Result<Arc<dyn Exports>> {
        Ok(Arc::new(RemoteMember(neighbours.to(service)?)))
    };
    let mut all: Vec<Arc<dyn Exports>> = Vec::new();
    all.push(match &services.identity {
        Some(here) => Arc::new(here.clone()),
        None => remote(ServiceName::Identity)?,
    });
    if let Some((archive, imaging)) = &services.imaging {
        all.push(Arc::new(archive.clone()));
        all.push(Arc::new(imaging.clone()));
    }
    all.push(match &services.patients {
        Some(here) => Arc::new(here.clone()),
        None => remote(ServiceName::Patients)?,
    });
    all.push(match &services.inference {
        Some(here) => Arc::new(here.clone()),
        None => remote(ServiceName::Inference)?,
    });
    all.push(match &services.integration {
        Some(here) => Arc::new(here.clone()),
        None => remote(ServiceName::Integration)?,
    });
    all.push(match &services.audit {
        Some(here) => Arc::new(here.clone()),
        None => remote(ServiceName::Audit)?,
    });
    Ok(all)
}

/// What the services that run here work on.
pub(super) fn local_jobs(services: &Services) -> Vec<Arc<dyn Jobs>> {
    let inference = services.inference.clone();
    let integration = services.integration.clone();
    let inference = inference.map(|one| Arc::new(one) as Arc<dyn Jobs>);
    let integration = integration.map(|one| Arc::new(one) as Arc<dyn Jobs>);
    inference.into_iter().chain(integration).collect()
}

/// What every service works on.
pub(super) fn jobs(
    services: &Services,
    neighbours: &Neighbours,
) -> anyhow::Result<Vec<Arc<dyn Jobs>>> {
    let mut all = local_jobs(services);
    for service in [ServiceName::Inference, ServiceName::Integration] {
        if !all.iter().any(|one| one.service() == service.as_str()) {
            all.push(Arc::new(RemoteMember(neighbours.to(service)?)));
        }
    }
    Ok(all)
}

/// What every consumer was told.
pub(super) fn letters(
    inboxes: &[Inbox],
    neighbours: &Neighbours,
) -> anyhow::Result<Vec<Arc<dyn DeadLetters>>> {
    let mut all: Vec<Arc<dyn DeadLetters>> = Vec::new();
    for (service, interest) in INTERESTS {
        let mut here = inboxes.iter();
        all.push(match here.find(|one| one.consumer() == interest.consumer) {
            Some(here) => Arc::new(here.clone()),
            None => Arc::new(RemoteInbox::new(neighbours.to(service)?, interest.consumer)),
        });
    }
    Ok(all)
}

/// Who knows whether each service can do its work.
pub(super) fn readiness(
    services: &Services,
    config: &Config,
    neighbours: &Neighbours,
) -> anyhow::Result<status::Parts> {
    let mut parts = status::Parts::default();
    let mut trails = services.trails();
    trails.extend(services.audit.as_ref().map(|audit| audit.trail()));
    for service in ServiceName::ALL.iter().copied() {
        let trail = trails.iter().find(|one| one.writer() == service.as_str());
        let Some(trail) = trail else {
            parts.add_elsewhere(service, Arc::new(RemoteMember(neighbours.to(service)?)));
            continue;
        };
        let database = status::OnDatabase(Arc::new(trail.clone()));
        match (service, &services.imaging) {
            (ServiceName::Imaging, Some((archive, _))) => {
                parts.add(
                    service,
                    Arc::new(status::OnArchive(archive.clone(), database)),
                );
            }
            (ServiceName::Inference, _) => {
                let library = config.onnxruntime.clone();
                parts.add(service, Arc::new(status::OnRuntime(library, database)));
            }
            _ => parts.add(service, Arc::new(database)),
        }
    }
    Ok(parts)
}

/// The REST endpoints of every service.
pub(super) fn endpoints(
    services: &Services,
    neighbours: &Neighbours,
) -> anyhow::Result<Vec<(ServiceName, Endpoints)>> {
    macro_rules! of {
        ($service:expr, $here:expr, $type:ty) => {
            (
                $service,
                match $here {
                    Some(here) => Endpoints::Here(here.router()),
                    None => Endpoints::At(neighbours.to($service)?, <$type>::endpoints()),
                },
            )
        };
    }
    let imaging = services.imaging.as_ref().map(|(_, imaging)| imaging);
    Ok(vec![
        of!(ServiceName::Imaging, imaging, ImagingService),
        of!(ServiceName::Patients, &services.patients, PatientsService),
        of!(
            ServiceName::Inference,
            &services.inference,
            InferenceService
        ),
        of!(
            ServiceName::Integration,
            &services.integration,
            IntegrationService
        ),
        of!(ServiceName::Identity, &services.identity, IdentityService),
        of!(ServiceName::Audit, &services.audit, AuditService),
    ])
}
