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
use axum::routing::{MethodRouter, get};
use hilum_contracts::access::Action;
use http::Method;

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

/// What one address of DICOMweb answers: below the root, how, and for which
/// action of each method.
struct Route {
    path: String,
    answers: MethodRouter<ImagingService>,
    methods: &'static [(Method, Action)],
}

const SEARCH: &[(Method, Action)] = &[(Method::GET, Action::ViewStudies)];
const RETRIEVE: &[(Method, Action)] = &[(Method::GET, Action::RetrieveImages)];

/// The routes, relative to the DICOMweb root.
fn routes() -> Vec<Route> {
    const STUDY: &str = "/studies/{study}";
    const SERIES: &str = "/studies/{study}/series/{series}";
    const INSTANCE: &str = "/studies/{study}/series/{series}/instances/{instance}";
    let at = |root: &str, rest: &str, methods, answers| Route {
        path: format!("{root}{rest}"),
        answers,
        methods,
    };
    vec![
        // Search (§10.6) and Store (§10.5).
        at(
            "/studies",
            "",
            &[
                (Method::GET, Action::ViewStudies),
                (Method::POST, Action::StoreImages),
            ],
            get(qido::studies).post(stow::any_study),
        ),
        at("/series", "", SEARCH, get(qido::all_series)),
        at("/instances", "", SEARCH, get(qido::all_instances)),
        at(STUDY, "/series", SEARCH, get(qido::series_of_study)),
        at(STUDY, "/instances", SEARCH, get(qido::instances_of_study)),
        at(SERIES, "/instances", SEARCH, get(qido::instances_of_series)),
        // Retrieve (§10.4).
        at(
            STUDY,
            "",
            &[
                (Method::GET, Action::RetrieveImages),
                (Method::POST, Action::StoreImages),
            ],
            get(wado_instances::study).post(stow::one_study),
        ),
        at(SERIES, "", RETRIEVE, get(wado_instances::series)),
        at(INSTANCE, "", RETRIEVE, get(wado_instances::instance)),
        at(STUDY, "/metadata", SEARCH, get(wado_metadata::study)),
        at(SERIES, "/metadata", SEARCH, get(wado_metadata::series)),
        at(INSTANCE, "/metadata", SEARCH, get(wado_metadata::instance)),
        at(
            INSTANCE,
            "/frames/{frames}",
            RETRIEVE,
            get(wado_frames::frames),
        ),
        at(
            INSTANCE,
            "/bulkdata/{*path}",
            RETRIEVE,
            get(wado_bulkdata::bulk_data),
        ),
        at(STUDY, "/rendered", RETRIEVE, get(wado_rendered::study)),
        at(SERIES, "/rendered", RETRIEVE, get(wado_rendered::series)),
        at(
            INSTANCE,
            "/rendered",
            RETRIEVE,
            get(wado_rendered::instance),
        ),
        at(
            INSTANCE,
            "/frames/{frames}/rendered",
            RETRIEVE,
            get(wado_rendered::frame),
        ),
        at(
            STUDY,
            "/thumbnail",
            RETRIEVE,
            get(wado_rendered::study_thumbnail),
        ),
        at(
            SERIES,
            "/thumbnail",
            RETRIEVE,
            get(wado_rendered::series_thumbnail),
        ),
        at(
            INSTANCE,
            "/thumbnail",
            RETRIEVE,
            get(wado_rendered::instance_thumbnail),
        ),
        at(
            INSTANCE,
            "/frames/{frames}/thumbnail",
            RETRIEVE,
            get(wado_rendered::frame_thumbnail),
        ),
    ]
}

pub(crate) fn router() -> Router<ImagingService> {
    routes().into_iter().fold(Router::new(), |all, route| {
        all.route(&route.path, route.answers)
    })
}

/// Every operation below the root: its method, its address, what it is for.
pub(crate) fn operations() -> Vec<(Method, String, Action)> {
    let described = |route: Route| {
        let path = route.path;
        route
            .methods
            .iter()
            .map(move |(method, action)| (method.clone(), path.clone(), *action))
    };
    routes().into_iter().flat_map(described).collect()
}
