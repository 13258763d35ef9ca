//! What Imaging keeps with an instance about its bytes: where pixels and bulk
//! data lie. Written once at intake, opaque to the archive, read by whoever
//! answers with a part of an instance. Fields are only added.

use hilum_dataset::{BulkRange, Encoding, PixelLayout, Scan};
use serde::{Deserialize, Serialize};

/// Where the parts of a data set lie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// The frames, if there is pixel data.
    pub(crate) pixels: Option<PixelLayout>,
    /// Values that are not in the metadata.
    pub(crate) bulk: Vec<BulkRange>,
    /// How its elements are encoded.
    pub(crate) encoding: Encoding,
    /// Offsets count in the inflated bytes.
    #[serde(default)]
    pub(crate) inflated: bool,
}

impl Layout {
    /// Takes what a walk found.
    pub(crate) fn of(scan: &Scan) -> Self {
        Self {
            pixels: scan.pixels.clone(),
            bulk: scan.bulk.clone(),
            encoding: scan.encoding,
            inflated: scan.inflated,
        }
    }

    /// As it is stored.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// As it was stored.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
