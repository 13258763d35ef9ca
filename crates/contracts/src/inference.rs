//! What Inference tells: how runs end.

use serde::{Deserialize, Serialize};

use crate::event::Payload;
use crate::ids::{InputSetId, RunId};

/// `inference.run.finished.v1`: a run ended, one way or another. Subject: the run id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFinished {
    /// The run.
    pub run: RunId,
    /// The input it ran on.
    pub input_set: InputSetId,
    /// Study Instance UID.
    pub study_uid: String,
    /// `succeeded`, `refused`, `failed` or `superseded`.
    pub state: String,
    /// Why it was refused or failed; for people.
    pub reason: Option<String>,
}

impl Payload for RunFinished {
    const KIND: &'static str = "inference.run.finished.v1";
    const SOURCE: &'static str = "/inference";
}
