//! Who is at the door: what Identity answers to the doors of HTTP and DICOM.
//! It never opens one itself; `hilum_platform::auth` makes scopes of what it
//! answers.

use std::collections::HashMap;
use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::ServiceError;
use crate::ids::{ApiKeyId, PersonId, TenantId};
use crate::scope::{Acting, TenantScope};

/// Somebody whom Identity knows, and the tenant that they act in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Admitted {
    /// Whose data may be touched.
    pub tenant: TenantId,
    /// Who acts, and by which right.
    pub acting: Acting,
    /// The same, signed by Identity for other processes, where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<String>,
}

/// What is known of a device that asks for an association.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAsks {
    /// Called AE title (PS3.8 §9.3.2), without padding.
    pub called: String,
    /// Calling AE title, without padding.
    pub calling: String,
    /// Address of the other side.
    pub peer: IpAddr,
    /// SHA-256 of the certificate that the other side proved to hold, in DER.
    pub certificate_sha256: Option<[u8; 32]>,
}

/// What becomes of an association.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceAdmission {
    /// A device of a tenant.
    Admitted(AdmittedDevice),
    /// A-ASSOCIATE-RJ, rejected-permanent by the service user (PS3.8 §9.3.4).
    Rejected(DeviceRejection),
}

/// Why an association is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceRejection {
    /// No tenant is called so.
    CalledUnknown,
    /// The tenant knows no such device.
    CallingUnknown,
}

impl DeviceRejection {
    /// The reason of an A-ASSOCIATE-RJ whose source is the service user
    /// (PS3.8 §9.3.4, table 9-21).
    #[must_use]
    pub const fn reason(self) -> u8 {
        match self {
            Self::CallingUnknown => 3,
            Self::CalledUnknown => 7,
        }
    }
}

/// A device of a tenant, and what it needs of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdmittedDevice {
    /// The tenant it sends to.
    pub tenant: TenantId,
    /// Its calling AE title.
    pub ae_title: String,
    /// Issuer of Patient ID for images that name none.
    pub issuer: Option<String>,
    /// Seconds without a new image after which its series are believed
    /// complete.
    pub quiet_seconds: Option<f64>,
    /// Specific Character Set of its images that name none.
    pub fallback_charset: Option<String>,
}

/// Tells who is at a door.
#[async_trait]
pub trait Identity: Send + Sync {
    /// The person of a session, by the token that their browser holds; nothing
    /// when it ended or never was.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn session(
        &self,
        token: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Admitted>, ServiceError>;

    /// The program of an API key, by `hk_<id>_<secret>`; nothing when it was
    /// revoked, expired or never was.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn api_key(
        &self,
        bearer: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Admitted>, ServiceError>;

    /// The device that asks for an association; one that is not known is
    /// remembered for the tenant's administrators.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn device(&self, asks: &DeviceAsks) -> Result<DeviceAdmission, ServiceError>;

    /// Whether whoever was let in with this scope still would be, to the same:
    /// their session or key goes on, in the same role and emergency access.
    /// Asking is no use of a session and does not prolong it.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn is_still(&self, scope: &TenantScope) -> Result<bool, ServiceError>;
}

/// Tells what those are called whom a trail knows by their ids.
#[async_trait]
pub trait Names: Send + Sync {
    /// What these people are called in the scope's tenant, or were when they left
    /// it; nothing of whom it does not know.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn people(
        &self,
        scope: &TenantScope,
        ids: &[PersonId],
    ) -> Result<HashMap<PersonId, String>, ServiceError>;

    /// What these API keys are called.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn keys(
        &self,
        scope: &TenantScope,
        ids: &[ApiKeyId],
    ) -> Result<HashMap<ApiKeyId, String>, ServiceError>;
}
