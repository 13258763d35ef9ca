//! How a trail is read: by what verifies, seals, searches and exports it.

use async_trait::async_trait;
use hilum_contracts::audit::{Act, Entry, Outcome, Subject};
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use serde::{Deserialize, Serialize};

use super::record::{Head, Raw, Record};

/// Whom entries are searched by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Find {
    /// By Patient ID, whoever issued it.
    PatientId(String),
    /// This very subject.
    Subject(Subject),
}

/// What entries are searched for: all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Each group names one of its subjects.
    pub about: Vec<Vec<Find>>,
    /// A principal, as it is written out.
    pub who: Option<String>,
    /// What was done.
    pub act: Option<Act>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Not before, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Before, in milliseconds since 1970.
    pub until: Option<i64>,
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it says.
    pub record: Record,
    /// Whom its subjects name, in their order; `None` for who was erased.
    pub subjects: Vec<Option<Subject>>,
}

/// Records what is done to the whole installation.
#[async_trait]
pub trait TellsAll: Send + Sync {
    /// Records it in the installation's own trail and in that of every tenant,
    /// because it was done to the data of each. When this returns it is durable.
    ///
    /// # Errors
    /// When a database does not answer; then it may not be done.
    async fn tell_all(&self, entry: Entry) -> Result<(), ServiceError>;
}

/// The trail that one service writes.
#[async_trait]
pub trait AuditSource: Send + Sync {
    /// The service's name: what its entries say wrote them.
    fn writer(&self) -> &str;

    /// Every tenant that has entries, and where its chain stands.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn heads(&self) -> Result<Vec<(TenantId, Head)>, ServiceError>;

    /// Where the tenant's chain stands.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn head(&self, scope: &TenantScope) -> Result<Head, ServiceError>;

    /// At most `limit` rows after a position, in the order of the chain.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn entries(
        &self,
        scope: &TenantScope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Raw>, ServiceError>;

    /// What `filter` asks for, the newest first, before (time, position).
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn search(
        &self,
        scope: &TenantScope,
        filter: &Filter,
        before: Option<(i64, u64)>,
        limit: u32,
    ) -> Result<Vec<Found>, ServiceError>;

    /// Patients and studies that stand in one entry with what is looked for:
    /// the studies of a patient, the patients of a study.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    async fn beside(
        &self,
        scope: &TenantScope,
        find: &Find,
        limit: u32,
    ) -> Result<Vec<Subject>, ServiceError>;

    /// Removes the entries up to `position`, which were kept long enough and
    /// sealed. How many are gone.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; nothing is removed then.
    async fn remove(&self, scope: &TenantScope, position: u64) -> Result<u64, ServiceError>;
}
