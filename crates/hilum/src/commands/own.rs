//! The archive and Imaging in this process, for commands that work on a data
//! folder that nobody serves. What they write is told to the other services at
//! the next start, from the outbox.

use std::sync::Arc;

use hilum_archive::Archive;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use hilum_identity::IdentityService;
use hilum_imaging::ImagingService;
use hilum_platform::audit::Keyring;
use hilum_platform::config::Config;
use hilum_platform::db::Home;
use hilum_platform::notices::Notices;
use hilum_platform::passes::Passes;
use hilum_platform::tenants::Directory;
use hilum_platform::{auth, clock};

pub(crate) struct Own {
    pub(crate) archive: Archive,
    pub(crate) imaging: ImagingService,
    pub(crate) scope: TenantScope,
    /// Every tenant, those of the configuration and the others.
    pub(crate) tenants: Directory,
}

impl Own {
    pub(crate) async fn open(config: &Config, tenant: &TenantId) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data)?;
        let archive = super::verify::open(config).await?;
        anyhow::ensure!(
            archive.due_erasures().await?.is_empty(),
            "this restored backup holds patients who were erased since: start it with `hilum \
             serve`, which erases them again first"
        );
        let (clock, notices, tenants) = (clock::system(), Notices::default(), Directory::default());
        let identity = IdentityService::open(
            Home::of(&config.data, config.database.as_ref())?,
            config,
            Arc::clone(&clock),
            notices.clone(),
            tenants.clone(),
            Keyring::new(Arc::new(archive.clone())),
            Passes::new(Arc::clone(&clock), None),
        )
        .await?;
        identity.close().await;
        anyhow::ensure!(
            tenants.known().tenant(tenant).is_some(),
            "there is no tenant {tenant}"
        );
        let imaging = ImagingService::open(
            archive.clone(),
            Arc::new(config.clone()),
            tenants.clone(),
            clock,
            notices,
        )
        .await?;
        Ok(Self {
            archive,
            imaging,
            scope: auth::local_operator(tenant),
            tenants,
        })
    }

    pub(crate) async fn close(self) {
        self.imaging.close().await;
        self.archive.close().await;
    }
}
