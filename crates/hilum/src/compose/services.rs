//! The services that run in this process, each with its own database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hilum_archive::{Archive, MasterKey};
use hilum_audit::AuditService;
use hilum_contracts::identity::Names;
use hilum_contracts::ids::TenantId;
use hilum_contracts::service::ServiceName;
use hilum_identity::IdentityService;
use hilum_imaging::ImagingService;
use hilum_inference::{InferenceService, Options};
use hilum_integration::IntegrationService;
use hilum_patients::PatientsService;
use hilum_platform::audit::{AuditSource, Keyring, TenantKeys, Trail};
use hilum_platform::clock::SharedClock;
use hilum_platform::config::{Config, MAIN};
use hilum_platform::db::Home;
use hilum_platform::durable;
use hilum_platform::events::{Inbox, OutboxSource};
use hilum_platform::flags::Flags;
use hilum_platform::mail::Mailer;
use hilum_platform::notices::Notices;
use hilum_platform::passes::Passes;
use hilum_platform::remote::audit::RemoteTrail;
use hilum_platform::remote::elsewhere::Shards;
use hilum_platform::remote::identity::RemoteIdentity;
use hilum_platform::remote::keys::RemoteKeys;
use hilum_platform::tenants::Directory;

use super::neighbours::Neighbours;
use super::shard_keys::ShardKeys;
use crate::objects::archive_of;

/// Statements that still run at the end get this long; each works on a few rows.
const CLOSE: Duration = Duration::from_secs(2);

/// The services that run here.
pub(super) struct Services {
    pub(super) imaging: Option<(Archive, ImagingService)>,
    pub(super) patients: Option<PatientsService>,
    pub(super) inference: Option<InferenceService>,
    pub(super) integration: Option<IntegrationService>,
    pub(super) identity: Option<IdentityService>,
    pub(super) audit: Option<AuditService>,
}

/// What every service is opened with.
pub(super) struct Ground {
    pub(super) config: Arc<Config>,
    pub(super) clock: SharedClock,
    pub(super) notices: Notices,
    pub(super) tenants: Directory,
    pub(super) remote_identity: Option<RemoteIdentity>,
    pub(super) passes: Passes,
    pub(super) shards: Shards,
}

impl Services {
    /// Opens those that run here.
    pub(super) async fn open(
        ground: &Ground,
        master_key: MasterKey,
        neighbours: &Neighbours,
    ) -> anyhow::Result<Self> {
        let config = &ground.config;
        let clock = || Arc::clone(&ground.clock);
        let notices = || ground.notices.clone();
        let runs = |service| config.runs(service);
        let home = Home::of(&config.data, config.database.as_ref())?;
        let archive = match runs(ServiceName::Imaging) {
            false => None,
            true => {
                let of = archive_of(config, master_key, clock())?;
                let opened = Archive::open(of).await;
                Some(opened.context("the archive did not open")?)
            }
        };
        let keys: Arc<dyn TenantKeys> = match &archive {
            Some(archive) => Arc::new(archive.clone()),
            None => Arc::new(RemoteKeys::new(neighbours.to(ServiceName::Imaging)?)),
        };
        let keyring = Keyring::new(Arc::new(ShardKeys::new(keys, ground.shards.clone())));
        let mut services = Self {
            imaging: None,
            patients: None,
            inference: None,
            integration: None,
            identity: None,
            audit: None,
        };
        if runs(ServiceName::Identity) {
            let opened = IdentityService::open(
                &home,
                config,
                clock(),
                notices(),
                ground.tenants.clone(),
                keyring.clone(),
                ground.passes.clone(),
            );
            services.identity = Some(opened.await?);
        }
        if let Some(archive) = archive {
            let opened = ImagingService::open(
                archive.clone(),
                Arc::clone(config),
                ground.tenants.clone(),
                clock(),
                notices(),
            );
            services.imaging = Some((archive, opened.await?));
        }
        if runs(ServiceName::Patients) {
            let opened = PatientsService::open(&home, clock(), notices(), keyring.clone());
            services.patients = Some(opened.await?);
        }
        if runs(ServiceName::Inference) {
            let options = Options::new(
                config,
                std::env::current_exe().context("this program's own path is unknown")?,
                installation_id(&config.data)?,
                Flags::open(config.flags.as_ref().map(|flags| flags.file.as_path())).await?,
            );
            let opened =
                InferenceService::open(&home, clock(), notices(), keyring.clone(), options);
            services.inference = Some(opened.await?);
        }
        if runs(ServiceName::Integration) {
            let opened = IntegrationService::open(
                &home,
                clock(),
                notices(),
                keyring.clone(),
                config,
                mail(config)?,
            );
            services.integration = Some(opened.await?);
        }
        if runs(ServiceName::Audit) {
            let audit = services
                .open_audit(ground, &home, keyring, neighbours)
                .await?;
            services.audit = Some(audit);
        }
        Ok(services)
    }

    async fn open_audit(
        &self,
        ground: &Ground,
        home: &Home,
        keyring: Keyring,
        neighbours: &Neighbours,
    ) -> anyhow::Result<AuditService> {
        let mut sources: Vec<Arc<dyn AuditSource>> = Vec::new();
        match &self.imaging {
            Some((archive, _)) => sources.push(Arc::new(archive.clone())),
            None => {
                let imaging = neighbours.to(ServiceName::Imaging)?;
                sources.push(Arc::new(RemoteTrail::new(imaging, hilum_archive::WRITER)));
            }
        }
        let own = self.trails();
        for service in ServiceName::ALL.iter().copied() {
            if service == ServiceName::Audit {
                continue;
            }
            let name = service.as_str();
            sources.push(match own.iter().find(|trail| trail.writer() == name) {
                Some(trail) => Arc::new(trail.clone()),
                None => Arc::new(RemoteTrail::new(neighbours.to(service)?, name)),
            });
        }
        let names: Arc<dyn Names> = match (&self.identity, &ground.remote_identity) {
            (Some(identity), _) => Arc::new(identity.clone()),
            (None, Some(remote)) => Arc::new(remote.clone()),
            (None, None) => anyhow::bail!("nobody knows what people are called"),
        };
        let for_proofs = keyring.clone();
        let opened = AuditService::open(
            &ground.config.data,
            home,
            keyring,
            Arc::clone(&ground.clock),
            sources,
            names,
            ground.config.audit.keep(),
        );
        let opened = opened.await?;
        if ground.config.shards.is_empty() {
            return Ok(opened);
        }
        // Whoever comes in is recorded by Identity, which is one for all shards: what it
        // tells of a tenant is looked after where the tenant lives, and what it tells of
        // the installation on the first shard.
        let tenants = ground.tenants.clone();
        let is_ours =
            move |tenant: &TenantId, writer: &str| match *tenant == TenantId::installation() {
                true => writer != ServiceName::Identity.as_str() || tenants.shard() == MAIN,
                false => tenants.is_here(tenant),
            };
        Ok(opened.among_shards(for_proofs, is_ours))
    }

    /// The audit trails of all but Audit itself, which seals them.
    pub(super) fn trails(&self) -> Vec<Trail> {
        [
            self.imaging.as_ref().map(|(_, imaging)| imaging.trail()),
            self.patients.as_ref().map(PatientsService::trail),
            self.inference.as_ref().map(InferenceService::trail),
            self.integration.as_ref().map(IntegrationService::trail),
            self.identity.as_ref().map(|one| one.trail().clone()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// A trail of this process, for what is of no service.
    pub(super) fn trail(&self) -> anyhow::Result<Trail> {
        let audit = self.audit.as_ref().map(AuditService::trail);
        let mut all = self.trails().into_iter().chain(audit);
        all.next().context("no service runs here")
    }

    /// What each has been told.
    pub(super) fn inboxes(&self) -> Vec<Inbox> {
        [
            self.imaging.as_ref().map(|(_, imaging)| imaging.inbox()),
            self.patients.as_ref().map(PatientsService::inbox),
            self.inference.as_ref().map(InferenceService::inbox),
            self.integration.as_ref().map(IntegrationService::inbox),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What each has to tell.
    pub(super) fn outboxes(&self) -> Vec<Arc<dyn OutboxSource>> {
        let imaging = self.imaging.as_ref().map(|(_, imaging)| imaging.outboxes());
        let mut outboxes = imaging.unwrap_or_default();
        outboxes.extend(self.patients.as_ref().map(PatientsService::outbox));
        if let Some(inference) = &self.inference {
            outboxes.push(inference.outbox());
        }
        outboxes
    }

    /// Folds every write-ahead log back into its database. One that is still
    /// read from after a while is left; the next start takes it up.
    pub(super) async fn close(self) {
        let trails = self.trails();
        let services = async {
            // The last counts of all, under the last seal, while every trail can be read.
            for trail in trails {
                trail.close().await;
            }
            if let Some(audit) = &self.audit {
                audit.close().await;
            }
            if let Some((_, imaging)) = &self.imaging {
                imaging.close().await;
            }
            if let Some(patients) = &self.patients {
                patients.close().await;
            }
            if let Some(inference) = &self.inference {
                inference.close().await;
            }
            if let Some(integration) = &self.integration {
                integration.close().await;
            }
            if let Some(identity) = &self.identity {
                identity.close().await;
            }
        };
        if tokio::time::timeout(CLOSE, services).await.is_err() {
            tracing::warn!("a database is in use and was not closed");
        }
        if let Some((archive, _)) = &self.imaging {
            archive.close().await;
        }
    }
}

/// The way to the mail server, and where links in mails begin.
fn mail(config: &Config) -> anyhow::Result<Option<(Mailer, String)>> {
    let Some(mail) = &config.mail else {
        return Ok(None);
    };
    let mailer = Mailer::new(mail).map_err(anyhow::Error::msg)?;
    let url = config.identity.public_url.as_deref().unwrap_or_default();
    Ok(Some((mailer, url.trim_end_matches('/').to_owned())))
}

/// Names this installation in the results that it makes (Device Serial
/// Number, Device UID): made once, kept in the data folder, and durable before
/// anything is called after it.
fn installation_id(data: &Path) -> anyhow::Result<String> {
    let path = data.join("installation");
    let context = || format!("can't read or write {}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(context),
    }
    let id = uuid::Uuid::new_v4().to_string();
    durable::replace(&path, format!("{id}\n").as_bytes()).with_context(context)?;
    Ok(id)
}
