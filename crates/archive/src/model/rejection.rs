//! Rejection notes: stored Key Object Selections that take other instances out
//! of what is answered (IHE RAD TF, Imaging Object Change Management).

use serde::{Deserialize, Serialize};

/// Why instances were rejected: the note's document title (CID 7011, DCM). The
/// mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectionReason {
    /// 113001, Rejected for Quality Reasons.
    Quality,
    /// 113037, Rejected for Patient Safety Reasons.
    PatientSafety,
    /// 113038, Incorrect Modality Worklist Entry.
    WorklistEntry,
    /// 113039, Data Retention Policy Expired.
    RetentionExpired,
}

impl RejectionReason {
    const ALL: [Self; 4] = [
        Self::Quality,
        Self::PatientSafety,
        Self::WorklistEntry,
        Self::RetentionExpired,
    ];

    /// The title's Code Value under coding scheme DCM.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Quality => 113_001,
            Self::PatientSafety => 113_037,
            Self::WorklistEntry => 113_038,
            Self::RetentionExpired => 113_039,
        }
    }

    /// The reason that a Code Value under DCM says.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::of_number(code.trim_matches([' ', '\0']).parse().ok()?)
    }

    pub(crate) fn of_number(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// What a rejection note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Why.
    pub reason: RejectionReason,
    /// SOP Instance UIDs that it refers to; at most
    /// [`crate::limits::REJECTED_INSTANCES`].
    pub instances: Vec<String>,
}
