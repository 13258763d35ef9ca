//! What is not acknowledged: why, and what is kept of it where a person can see
//! it.

use hilum_archive::{ArchiveError, NewQuarantined};
use hilum_dataset::Refusal;
use hilum_platform::db::moving::MOVING;
use hilum_platform::notices::Topic;

use super::{Intake, describe};
use crate::spool::{SpoolError, Spooled};

/// Why an instance was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It can't be an instance; it is in the quarantine.
    #[error("{0}")]
    NotAnInstance(Refusal),
    /// Its UIDs are not those that the request claims, or not of the study
    /// that the request names.
    #[error("the instance's UIDs differ from those of the request")]
    DoesNotMatch,
    /// It was deleted here, and this tenant takes no resends.
    #[error("it was deleted here, and resends are refused")]
    Deleted,
    /// It is longer than this server takes.
    #[error("longer than this server takes")]
    TooLong,
    /// What the tenant may hold is used up.
    #[error("this tenant's quota is used up")]
    OverQuota,
    /// The disk is full.
    #[error("no space left")]
    NoSpace,
    /// What holds the archive's objects or its index takes nothing now.
    #[error("the archive's storage does not answer; send it again later")]
    NoStorage,
    /// The tenant is being moved to another shard.
    #[error("{MOVING}")]
    Moving,
    /// The archive does not answer.
    #[error("not stored; send it again later")]
    Unavailable,
}

/// A file that was not acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct NotTaken {
    /// Its SOP Class UID and SOP Instance UID, when they were found.
    pub(crate) instance: Option<(String, String)>,
    /// Why.
    pub(crate) refused: Refused,
}

impl From<Refused> for NotTaken {
    fn from(refused: Refused) -> Self {
        Self {
            instance: None,
            refused,
        }
    }
}

impl From<ArchiveError> for Refused {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::OutOfSpace => Self::NoSpace,
            ArchiveError::Bucket | ArchiveError::IndexAway(_) => Self::NoStorage,
            ArchiveError::Moving => Self::Moving,
            ArchiveError::OverQuota => Self::OverQuota,
            ArchiveError::Deleted => Self::Deleted,
            _ => Self::Unavailable,
        }
    }
}

impl From<SpoolError> for Refused {
    fn from(error: SpoolError) -> Self {
        tracing::error!(%error, "spool");
        match error {
            SpoolError::TooLong => Self::TooLong,
            SpoolError::Io(_) => Self::NoSpace,
        }
    }
}

impl Intake {
    /// Keeps what was refused where a person can see it.
    pub(crate) async fn quarantine(
        &self,
        refusal: Refusal,
        transfer_syntax_uid: Option<&str>,
        spooled: &Spooled,
    ) {
        metrics::counter!("hilum_instances_total", "outcome" => "refused").increment(1);
        let (code, text) = (describe::refusal_code(&refusal), refusal.to_string());
        self.keep_refused(code, &text, transfer_syntax_uid, spooled)
            .await;
    }

    pub(super) async fn keep_refused(
        &self,
        code: &str,
        text: &str,
        transfer_syntax_uid: Option<&str>,
        spooled: &Spooled,
    ) {
        let item = NewQuarantined {
            body: spooled.body().clone(),
            sha256: spooled.sha256(),
            reason: code.to_owned(),
            detail: text.to_owned(),
            transfer_syntax: transfer_syntax_uid.map(ToOwned::to_owned),
            origin: self.origin(),
            correlation: self.id,
            received_at: self.service.clock.now(),
        };
        match self.service.archive.quarantine(&self.scope, item).await {
            Ok(outcome) => {
                tracing::warn!(correlation_id = %self.id, reason = code, ?outcome, "an instance was refused");
            }
            Err(error) => {
                tracing::error!(correlation_id = %self.id, reason = code, %error, "an instance was refused and not kept");
            }
        }
        self.service
            .notices
            .tell(self.scope.tenant(), Topic::Quarantine, None);
    }
}
