//! The service's endpoints: REST below `/api/v1`, one file each, and DICOMweb.

mod accept_input_set;
mod corrections;
mod delete;
pub(crate) mod dicomweb;
mod exports;
mod holds;
mod imports;
mod instance_conflicts;
mod moves;
mod patient_merges;
mod quarantine;
mod received;
mod redrive;
mod storage;
mod studies;
mod study;
pub(crate) mod told;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use corrections::correct;
pub(crate) use quarantine::describe as describe_origin;

use crate::ImagingService;

pub(crate) fn router() -> OpenApiRouter<ImagingService> {
    OpenApiRouter::new()
        .routes(routes!(studies::list_studies))
        .routes(routes!(study::get_study))
        .routes(routes!(corrections::correct_study))
        .routes(routes!(corrections::list_corrections))
        .routes(routes!(moves::move_study))
        .routes(routes!(
            patient_merges::merge_patients,
            patient_merges::list_patient_merges
        ))
        .routes(routes!(patient_merges::undo_patient_merge))
        .routes(routes!(received::received_instance))
        .routes(routes!(delete::delete_study))
        .routes(routes!(delete::delete_series))
        .routes(routes!(delete::delete_instance))
        .routes(routes!(delete::list_deletions))
        .routes(routes!(accept_input_set::accept_input_set))
        .routes(routes!(quarantine::list_quarantine))
        .routes(routes!(quarantine::delete_quarantined))
        .routes(routes!(redrive::redrive_quarantined))
        .routes(routes!(instance_conflicts::list_instance_conflicts))
        .routes(routes!(instance_conflicts::decide_instance_conflict))
        .routes(routes!(imports::import_instance))
        .routes(routes!(exports::list_exports))
        .routes(routes!(exports::begin_export))
        .routes(routes!(exports::end_export))
        .routes(routes!(holds::list_holds, holds::place_hold))
        .routes(routes!(holds::lift_hold))
        .routes(routes!(storage::storage_report))
}
