//! Metadata as it is given out: pieces of many instances, in a form that the
//! caller makes of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::{Origin, Overlay};
use crate::error::Result;

/// Metadata of consecutive instances of a series.
#[derive(Debug, Clone)]
pub struct MetadataPiece {
    /// Study Instance UID.
    pub study: Arc<str>,
    /// Series Instance UID.
    pub series: Arc<str>,
    /// What the caller lays over it.
    pub overlay: Option<Overlay>,
    /// DICOM JSON objects as given to `store`, joined by commas.
    pub text: Bytes,
    /// Whose they are.
    pub instances: Vec<PieceInstance>,
}

/// An instance of a piece.
#[derive(Debug, Clone)]
pub struct PieceInstance {
    /// SOP Instance UID.
    pub sop_instance: String,
    /// SHA-256 of the data-set bytes.
    pub sha256: [u8; 32],
    /// Where its object is in the piece's text.
    pub within: Range<usize>,
    /// How it came in; told where something is laid over it.
    pub origin: Option<Origin>,
    /// What is laid over it because it was moved.
    pub placed: Option<Arc<str>>,
}

impl PieceInstance {
    /// What the caller lays over it, in a piece of this overlay.
    #[must_use]
    pub fn overlay(&self, of_piece: Option<&Overlay>) -> Option<Overlay> {
        let Some(placed) = &self.placed else {
            return of_piece.cloned();
        };
        Some(Overlay {
            study: of_piece.and_then(|overlay| overlay.study.clone()),
            series: of_piece.and_then(|overlay| overlay.series.clone()),
            placed: Some(Arc::clone(placed)),
        })
    }
}

/// How a caller gives metadata out. What it made of a settled piece is kept
/// beside it, as long as there is room.
pub trait MetadataForm: Send + Sync + 'static {
    /// Names the form for a series that nothing is laid over: under one name,
    /// the same piece always becomes the same bytes.
    fn name(&self, study: &str, series: &str) -> [u8; 16];

    /// The piece in this form.
    ///
    /// # Errors
    /// [`crate::ArchiveError::Corrupt`] for what can't be read.
    fn make(&self, piece: &MetadataPiece) -> Result<Bytes>;
}

/// Pieces of metadata as they stream out.
#[derive(Debug, Default)]
pub struct MetadataBatch {
    /// In order, in the form that was asked for.
    pub pieces: Vec<Bytes>,
    /// Nothing follows.
    pub last: bool,
}
