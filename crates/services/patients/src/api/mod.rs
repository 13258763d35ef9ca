//! The service's REST endpoints, one file each.

mod conflicts;
mod patients;
mod resolve_conflict;
mod states_of_studies;
pub(crate) mod told;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::PatientsService;

/// Most rows that a list answers.
const LIST_MAX: u32 = 200;

pub(crate) fn router() -> OpenApiRouter<PatientsService> {
    OpenApiRouter::new()
        .routes(routes!(patients::list_patients))
        .routes(routes!(states_of_studies::states_of_studies))
        .routes(routes!(conflicts::list_patient_conflicts))
        .routes(routes!(resolve_conflict::resolve_patient_conflict))
}
