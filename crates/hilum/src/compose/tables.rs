//! The tables of every service, for who brings them up to date before it runs.

use hilum_archive::Archive;
use hilum_contracts::service::ServiceName;
use hilum_platform::config::Config;
use hilum_platform::db::{Home, Migration, Step};

/// What was done to the tables of a service.
pub(crate) struct Migrated {
    pub(crate) service: ServiceName,
    pub(crate) steps: Vec<Step>,
}

/// The steps of a service's tables.
const fn steps_of(service: ServiceName) -> &'static [Migration] {
    match service {
        ServiceName::Imaging => hilum_imaging::MIGRATIONS,
        ServiceName::Patients => hilum_patients::MIGRATIONS,
        ServiceName::Inference => hilum_inference::MIGRATIONS,
        ServiceName::Integration => hilum_integration::MIGRATIONS,
        ServiceName::Identity => hilum_identity::MIGRATIONS,
        ServiceName::Audit => hilum_audit::MIGRATIONS,
    }
}

/// Brings the tables of every service on PostgreSQL up to date, one service after the
/// other, whichever run in this process.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<Vec<Migrated>> {
    let home = Home::of(&config.data, config.database.as_ref())?;
    let mut all = Vec::new();
    for service in ServiceName::ALL.iter().copied() {
        let mut steps = home.migrate(service.as_str(), steps_of(service)).await?;
        // The archive is Imaging's, in schemas of its own.
        if let (ServiceName::Imaging, Some(server)) = (service, home.server()) {
            steps.extend(Archive::migrate(server).await?);
        }
        all.push(Migrated { service, steps });
    }
    Ok(all)
}
