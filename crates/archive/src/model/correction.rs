//! What is corrected: the attributes that queries answer with, and the overlay
//! that reads lay over received bytes. The archive keeps an overlay as it is
//! given and never looks into it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::instance::{PatientIdentity, SeriesAttributes, StudyAttributes};

/// What reads lay over the received bytes of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// What corrects its study.
    pub study: Option<Arc<str>>,
    /// What corrects its series.
    pub series: Option<Arc<str>>,
    /// What stands in the place of both up to when it was moved.
    pub placed: Option<Arc<str>>,
}

impl Overlay {
    /// The same for what has not moved.
    pub(crate) fn unplaced(&self) -> Option<Self> {
        let unplaced = Self {
            placed: None,
            ..self.clone()
        };
        (unplaced.study.is_some() || unplaced.series.is_some()).then_some(unplaced)
    }
}

/// The row that a correction changes, with its attributes as they are after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Corrected {
    /// A study.
    Study {
        /// The patient.
        patient: PatientIdentity,
        /// The study level.
        attributes: StudyAttributes,
    },
    /// A series of it.
    Series {
        /// Series Instance UID.
        series: String,
        /// The series level.
        attributes: SeriesAttributes,
    },
}

/// A correction to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCorrection {
    /// Study Instance UID.
    pub study: String,
    /// The revision of the study, or of the series, that it was made from.
    pub revision: u64,
    /// What it changes.
    pub corrected: Corrected,
    /// The whole overlay of the row after it.
    pub overlay: String,
    /// What it changed, for the history; opaque to the archive.
    pub detail: String,
    /// Why, in a person's words.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// A correction as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionRow {
    /// Names it.
    pub id: i64,
    /// Series Instance UID; `None`: the study.
    pub series: Option<String>,
    /// Counts the corrections of the row, from 1.
    pub version: u64,
    /// What it changed.
    pub detail: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}
