//! `POST /api/v1/keys/rotate-master`: what `hilum keys rotate-master` asks of
//! the Hilum that serves. A key itself never travels.

use axum::Json;
use axum::extract::State;
use hilum_archive::MasterKey;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Own;
use super::backup::ended;
use crate::commands::master_key;

#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Rotated {
    /// Tenant keys that were wrapped anew.
    pub(crate) tenants: u64,
}

/// Makes a new master key in its file and wraps every tenant key anew, while
/// serving. Refused where the master key comes from the environment.
#[utoipa::path(post, path = "/keys/rotate-master",
    extensions(("x-hilum-action" = json!("operate"))), tag = "platform",
    responses((status = 200, body = Rotated), (status = 409, body = ProblemBody)))]
pub(crate) async fn rotate_master_key(
    May(scope, _): May<doors::Operate>,
    State(own): State<Own>,
) -> Result<Json<Rotated>, Problem> {
    if !matches!(master_key(), Ok(MasterKey::File)) {
        return Err(Problem(ServiceError::new(
            ErrorCode::Conflict,
            "The master key comes from the environment of the running Hilum: stop it, rotate, and \
             start it with the new key.",
        )));
    }
    let rotating = tokio::spawn(async move {
        let entry = Entry::new(Act::RotateMasterKey);
        let begun = entry.clone().with(Detail::Change, "begun");
        own.tells_all.tell_all(begun).await?;
        let rotated = own.archive.rotate_master_key(MasterKey::File).await;
        own.tells_all.tell_all(ended(entry, &rotated)).await?;
        Ok::<_, ServiceError>(rotated?)
    });
    let tenants = match rotating.await {
        Ok(tenants) => tenants?,
        Err(_) => return Err(ServiceError::internal("The rotation broke off; ask again.").into()),
    };
    tracing::info!(by = ?scope.principal(), tenants, "the master key was rotated");
    Ok(Json(Rotated { tenants }))
}
