//! `GET /models`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_platform::http::May;
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::Entry;
use crate::service::InferenceService;

#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    items: Vec<ModelItem>,
}

#[derive(Serialize, ToSchema)]
struct ModelItem {
    name: String,
    version: Option<String>,
    title: String,
    vendor: Option<String>,
    intended_use: Option<String>,
    not_for_clinical_use: bool,
    /// `ready` or `broken`.
    state: &'static str,
    /// What is wrong with it.
    problem: Option<String>,
    digest: Option<String>,
    license: Option<String>,
    /// Which series it takes.
    selects: Option<String>,
    /// Whether it starts by itself on these.
    automatic: bool,
}

/// The models of this installation.
#[utoipa::path(get, path = "/models",
    extensions(("x-hilum-action" = json!("view-status"))), tag = "inference", responses((status = 200, body = ModelList)))]
pub(crate) async fn list_models(
    _: May<doors::ViewStatus>,
    State(service): State<InferenceService>,
) -> Json<ModelList> {
    let items = service.models.iter().map(item).collect();
    Json(ModelList { items })
}

fn item(entry: &Entry) -> ModelItem {
    match entry {
        Entry::Ready(model) => {
            let m = &model.manifest;
            ModelItem {
                name: m.model.name.clone(),
                version: Some(m.model.version.clone()),
                title: m.model.title.clone(),
                vendor: Some(m.model.vendor.clone()),
                intended_use: Some(m.intended_use.statement.clone()),
                not_for_clinical_use: m.intended_use.not_for_clinical_use,
                state: "ready",
                problem: None,
                digest: Some(model.digest.clone()),
                license: Some(m.model.license.clone()),
                selects: Some(m.input.selects.clone()),
                automatic: m.input.automatic,
            }
        }
        Entry::Broken { name, problem } => ModelItem {
            name: name.clone(),
            version: None,
            title: name.clone(),
            vendor: None,
            intended_use: None,
            not_for_clinical_use: true,
            state: "broken",
            problem: Some(problem.clone()),
            digest: None,
            license: None,
            selects: None,
            automatic: false,
        },
    }
}
