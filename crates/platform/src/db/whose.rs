//! Whose rows a statement may touch: said with every transaction and every read.
//! PostgreSQL holds each to it (row-level security); on SQLite the `WHERE` of the
//! statement is the only net.

use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;

/// Whose rows a statement may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// One tenant's.
    Of(&'a TenantId),
    /// Every tenant's, for one of the few reasons there are.
    Every(Across),
}

/// Why something reaches the rows of more than one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    /// Work is taken in turn: of the tenant that waits longest.
    Jobs,
    /// Events are carried, kept and remembered in batches.
    Events,
    /// The trail's writer, and who seals and verifies every tenant's.
    Trail,
    /// Who comes in is not known yet, or is a person, who may belong to several.
    People,
    /// Tenants and devices of the installation, for its directory and its operator.
    Directory,
    /// What is old is forgotten, what waits is looked through.
    Upkeep,
    /// Figures for who watches.
    Figures,
    /// Tables that belong to no tenant.
    Nobody,
}

impl<'a> From<&'a TenantScope> for Whose<'a> {
    fn from(scope: &'a TenantScope) -> Self {
        Self::Of(scope.tenant())
    }
}

impl<'a> From<&'a TenantId> for Whose<'a> {
    fn from(tenant: &'a TenantId) -> Self {
        Self::Of(tenant)
    }
}

impl From<Across> for Whose<'_> {
    fn from(why: Across) -> Self {
        Self::Every(why)
    }
}
