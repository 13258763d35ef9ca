//! Intake of files that an operator names (`hilum import`). Nobody says when a
//! folder is complete, so an import never ends as a sender does: its input sets
//! wait for a person (see `store::readiness`).

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use hilum_archive::StoreOutcome;
use hilum_contracts::ids::CorrelationId;
use hilum_platform::scope::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Intake, Refused, Source};
use crate::ImagingService;

/// What became of an imported file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Imported {
    /// New, and durable.
    Stored,
    /// The same data set was there already.
    Duplicate,
    /// Another encoding of what is there; both are kept.
    Variant,
    /// Another content under a UID that is there; both are kept, and a person
    /// decides.
    Conflict,
    /// It is no instance; it is in the quarantine.
    Refused {
        /// Why, without a word of the file.
        reason: String,
    },
    /// It was not stored and may be tried again.
    Failed {
        /// Why.
        reason: String,
        /// Whether the next file would fail for the same reason.
        lasting: bool,
    },
}

impl ImagingService {
    /// Takes in one part-10 file. `import` is the same for every file of one
    /// import. When this says that the instance is there, it is durable.
    ///
    /// # Errors
    /// When the file can't be read to its end; nothing of it was stored.
    pub async fn import<S, E>(
        &self,
        scope: &TenantScope,
        import: CorrelationId,
        mut file: S,
    ) -> Result<Imported, E>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let intake = Intake::begin(self.clone(), scope.clone(), import, Source::Import);
        let mut spool = intake.file_spool();
        while let Some(piece) = file.next().await {
            if let Err(error) = spool.write(&piece?) {
                return Ok(failed(&error.into()));
            }
        }
        let received = intake.receive_file(spool, None).await;
        Ok(match received.map_err(|not_taken| not_taken.refused) {
            Ok(received) => match received.outcome {
                StoreOutcome::Stored => Imported::Stored,
                StoreOutcome::Duplicate => Imported::Duplicate,
                StoreOutcome::Variant => Imported::Variant,
                StoreOutcome::Conflict => Imported::Conflict,
            },
            Err(Refused::NotAnInstance(refusal)) => Imported::Refused {
                reason: refusal.to_string(),
            },
            Err(refused) => failed(&refused),
        })
    }
}

fn failed(refused: &Refused) -> Imported {
    Imported::Failed {
        reason: refused.to_string(),
        lasting: matches!(
            refused,
            Refused::NoSpace
                | Refused::NoStorage
                | Refused::OverQuota
                | Refused::Moving
                | Refused::Unavailable
        ),
    }
}
