//! The services by name: what `--services` lists, and how neighbours address
//! each other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    /// Takes, keeps and gives out images; owns the archive and the keys.
    Imaging,
    /// Who patients are.
    Patients,
    /// Runs models.
    Inference,
    /// Delivers results.
    Integration,
    /// Tenants, people, devices, sessions, API keys.
    Identity,
    /// Seals, verifies and searches the audit trails of all.
    Audit,
}

impl ServiceName {
    /// Every service.
    pub const ALL: &[Self] = &[
        Self::Imaging,
        Self::Patients,
        Self::Inference,
        Self::Integration,
        Self::Identity,
        Self::Audit,
    ];

    /// The name, as it is configured.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imaging => "imaging",
            Self::Patients => "patients",
            Self::Inference => "inference",
            Self::Integration => "integration",
            Self::Identity => "identity",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no service.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "there is no service {0:?}: name imaging, patients, inference, integration, identity or audit"
)]
pub struct UnknownService(String);

impl FromStr for ServiceName {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|one| one.as_str() == text);
        found
            .copied()
            .ok_or_else(|| UnknownService(text.to_owned()))
    }
}
