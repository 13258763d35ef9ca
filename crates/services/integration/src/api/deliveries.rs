//! `GET /deliveries`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, RepeatedQuery, database_error};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::IntegrationService;
use crate::limits::LIST_MAX;

#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    items: Vec<Delivery>,
}

#[derive(Serialize, ToSchema)]
struct Delivery {
    id: String,
    run_id: String,
    study_uid: String,
    /// The destination's name.
    destination: String,
    /// It is there no more: what was given up can't be sent again.
    destination_removed: bool,
    correlation_id: String,
    /// `waiting`, `sending`, `delivered`, `held` or `given-up`.
    state: String,
    /// Why it waits, is held or was given up.
    reason: Option<String>,
    instances_total: i64,
    instances_sent: i64,
    attempts: i64,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<OffsetDateTime>,
}

/// Deliveries of the named studies, or the newest ones.
#[utoipa::path(get, path = "/deliveries",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "integration",
    params(("study_uid" = Option<Vec<String>>, Query, description = "Study Instance UID; repeat it, up to 200 times"),
        ("state" = Option<String>, Query, description = "Only in this state, when no study is named")),
    responses((status = 200, body = DeliveryList), (status = 503, body = ProblemBody)))]
pub(crate) async fn list_deliveries(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<IntegrationService>,
    query: RepeatedQuery,
) -> Result<Json<DeliveryList>, Problem> {
    let studies = query.values("study_uid", LIST_MAX as usize)?;
    let mut rows = Vec::new();
    if studies.is_empty() {
        rows = service
            .store
            .newest_deliveries(&scope, query.first("state"), LIST_MAX)
            .await
            .map_err(|error| database_error(&error))?;
    }
    for study in &studies {
        let of_study = service
            .store
            .deliveries_of_study(&scope, study, LIST_MAX)
            .await
            .map_err(|error| database_error(&error))?;
        rows.extend(of_study);
    }
    let items = rows
        .into_iter()
        .map(|row| Delivery {
            id: row.id,
            run_id: row.run_id,
            study_uid: row.study_uid,
            destination: row.destination,
            destination_removed: row.destination_removed,
            correlation_id: row.correlation_id,
            state: row.state,
            reason: row.reason,
            instances_total: row.instances_total,
            instances_sent: row.instances_sent,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(from_millis),
            created_at: from_millis(row.created_at),
            delivered_at: row.delivered_at.map(from_millis),
        })
        .collect();
    Ok(Json(DeliveryList { items }))
}
