//! DICOMweb (PS3.18), one file per transaction.

use axum::Router;

use crate::ImagingService;

pub(crate) fn router() -> Router<ImagingService> {
    Router::new()
}
