//! What is moved where: a study, a series of it or instances of that. Their
//! received bytes stay what they are; what reads lay over them from then on is
//! given by the caller and opaque here.

use serde::{Deserialize, Serialize};

use super::correction::Overlay;
use super::instance::{PatientIdentity, SeriesAttributes, StudyAttributes};

/// What is moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveOf {
    /// Every series.
    Study,
    /// One series.
    Series(String),
    /// Some instances of a series.
    Instances {
        /// Series Instance UID.
        series: String,
        /// SOP Instance UIDs.
        instances: Vec<String>,
    },
}

impl MoveOf {
    /// Whether later arrivals follow it.
    pub(crate) fn is_whole(&self) -> bool {
        !matches!(self, Self::Instances { .. })
    }
}

/// Where it goes, as the caller saw it; whichever does not exist is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveTo {
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID; `None`: each series keeps its own.
    pub series: Option<String>,
    /// The study's patient.
    pub patient: PatientIdentity,
    /// The study's attributes.
    pub study_attributes: StudyAttributes,
    /// The series' attributes; `None`: those of the series that it comes from.
    pub series_attributes: Option<SeriesAttributes>,
    /// The study's overlay.
    pub study_overlay: Option<String>,
    /// The overlay of the one series that is moved into, if it is there.
    pub series_overlay: Option<String>,
}

/// A move to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMove {
    /// Study Instance UID that it starts from.
    pub study: String,
    /// What of it.
    pub of: MoveOf,
    /// Where it goes.
    pub to: MoveTo,
    /// For every overlay that [`crate::Archive::overlays_of`] found, what reads
    /// lay over the instance instead.
    pub overlays: Vec<(Option<Overlay>, String)>,
    /// What it changed, for the history; opaque to the archive.
    pub detail: String,
    /// Why, in a person's words.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// What a move did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Instances, in every standing.
    pub instances: u64,
}

/// Where a series is that was received under other UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Study Instance UID.
    pub study: String,
    /// Series Instance UID.
    pub series: String,
}
