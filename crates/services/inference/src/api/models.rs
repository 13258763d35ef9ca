//! `GET /models`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_platform::http::May;
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::Entry;
use crate::service::{InferenceService, flag_of};

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
    /// The part of your organisation's studies that it is switched on for, from 0 to 1.
    share: f64,
}

/// The models of this installation.
#[utoipa::path(get, path = "/models",
    extensions(("x-hilum-action" = json!("view-status"))), tag = "inference", responses((status = 200, body = ModelList)))]
pub(crate) async fn list_models(
    May(scope, _): May<doors::ViewStatus>,
    State(service): State<InferenceService>,
) -> Json<ModelList> {
    let mut items = Vec::with_capacity(service.models.len());
    for entry in service.models.iter() {
        let share = match entry {
            Entry::Broken { .. } => 0.0,
            Entry::Ready(model) => {
                let (name, version) = model.id();
                let flags = &service.flags;
                flags.share(&flag_of(name), scope.tenant(), version).await
            }
        };
        items.push(item(entry, share));
    }
    Json(ModelList { items })
}

fn item(entry: &Entry, share: f64) -> ModelItem {
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
                share,
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
            share,
        },
    }
}
