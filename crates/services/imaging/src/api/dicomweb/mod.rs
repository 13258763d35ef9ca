//! DICOMweb below `/dicomweb` (PS3.18 §10): STOW-RS, QIDO-RS and WADO-RS, one
//! file per transaction. Nothing here holds an instance in memory, and an
//! answer that streams has its status decided before its first byte.

mod base;
mod coding;
mod error;
mod explicit;
mod limits;
mod pixels;
mod qido;
mod qido_answer;
mod qido_filter;
mod stored;
mod stow;
mod transcode;
mod validator;
mod version;
mod wado_bulkdata;
mod wado_frames;
mod wado_instances;
mod wado_metadata;
mod wado_rendered;

pub(crate) use error::Failure;
pub(crate) use pixels::Image;
pub(crate) use stored::Stored;

use axum::Router;
use axum::routing::{get, post};

use crate::ImagingService;

/// Preamble and file meta information of an instance as it is stored.
pub(crate) fn file_head(
    row: &hilum_archive::InstanceRow,
) -> Result<bytes::Bytes, hilum_contracts::error::ServiceError> {
    let syntax = row.transfer_syntax.trim_end_matches(['\0', ' ']);
    transcode::file_meta(row, syntax).map_err(|_| {
        hilum_contracts::error::ServiceError::internal("File meta information failed.")
    })
}

/// The routes, relative to the DICOMweb root.
pub(crate) fn router() -> Router<ImagingService> {
    const STUDY: &str = "/studies/{study}";
    const SERIES: &str = "/studies/{study}/series/{series}";
    const INSTANCE: &str = "/studies/{study}/series/{series}/instances/{instance}";
    let at = |root: &str, rest: &str| format!("{root}{rest}");
    Router::new()
        // Search (§10.6) and Store (§10.5).
        .route("/studies", get(qido::studies).post(stow::any_study))
        .route("/series", get(qido::all_series))
        .route("/instances", get(qido::all_instances))
        .route(&at(STUDY, "/series"), get(qido::series_of_study))
        .route(&at(STUDY, "/instances"), get(qido::instances_of_study))
        .route(&at(SERIES, "/instances"), get(qido::instances_of_series))
        // Retrieve (§10.4).
        .route(
            STUDY,
            get(wado_instances::study).merge(post(stow::one_study)),
        )
        .route(SERIES, get(wado_instances::series))
        .route(INSTANCE, get(wado_instances::instance))
        .route(&at(STUDY, "/metadata"), get(wado_metadata::study))
        .route(&at(SERIES, "/metadata"), get(wado_metadata::series))
        .route(&at(INSTANCE, "/metadata"), get(wado_metadata::instance))
        .route(&at(INSTANCE, "/frames/{frames}"), get(wado_frames::frames))
        .route(
            &at(INSTANCE, "/bulkdata/{*path}"),
            get(wado_bulkdata::bulk_data),
        )
        .route(&at(STUDY, "/rendered"), get(wado_rendered::study))
        .route(&at(SERIES, "/rendered"), get(wado_rendered::series))
        .route(&at(INSTANCE, "/rendered"), get(wado_rendered::instance))
        .route(
            &at(INSTANCE, "/frames/{frames}/rendered"),
            get(wado_rendered::frame),
        )
        .route(
            &at(STUDY, "/thumbnail"),
            get(wado_rendered::study_thumbnail),
        )
        .route(
            &at(SERIES, "/thumbnail"),
            get(wado_rendered::series_thumbnail),
        )
        .route(
            &at(INSTANCE, "/thumbnail"),
            get(wado_rendered::instance_thumbnail),
        )
        .route(
            &at(INSTANCE, "/frames/{frames}/thumbnail"),
            get(wado_rendered::frame_thumbnail),
        )
}
