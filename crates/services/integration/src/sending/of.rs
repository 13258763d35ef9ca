//! For which destination somebody works.

use hilum_contracts::ids::TenantId;
use hilum_platform::config::Destination;

/// For which destination somebody works.
pub(crate) enum Of {
    /// One of the configuration.
    Configured(Box<Destination>),
    /// One that a tenant made: looked up at each attempt, so that a change holds from
    /// the next one on.
    Made {
        /// Whose.
        tenant: TenantId,
        /// Which.
        id: String,
    },
}

impl Of {
    pub(super) fn tenant(&self) -> &TenantId {
        match self {
            Self::Configured(destination) => &destination.tenant,
            Self::Made { tenant, .. } => tenant,
        }
    }

    /// By which deliveries and jobs name it.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Configured(destination) => &destination.name,
            Self::Made { id, .. } => id,
        }
    }
}
