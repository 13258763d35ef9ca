//! `POST /api/v1/backups`: what `hilum backup` asks of the Hilum that serves.

use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry, Outcome};
use hilum_contracts::error::ServiceError;
use hilum_platform::http::{May, Problem, ProblemBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Own;
use crate::commands::backup;

#[derive(Deserialize, ToSchema)]
pub(crate) struct BackupRequest {
    /// An empty or new folder on the server's own disks, absolute.
    #[schema(value_type = String)]
    to: PathBuf,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BackupMade {
    objects: u64,
    bytes: u64,
}

/// Copies everything to a folder of this machine, while serving. Answers when
/// the copy is complete.
#[utoipa::path(post, path = "/backups",
    extensions(("x-hilum-action" = json!("operate"))), tag = "platform", request_body = BackupRequest,
    responses((status = 200, body = BackupMade), (status = 400, body = ProblemBody)))]
pub(crate) async fn make_backup(
    May(scope, _): May<doors::Operate>,
    State(own): State<Own>,
    Json(request): Json<BackupRequest>,
) -> Result<Json<BackupMade>, Problem> {
    tracing::info!(by = ?scope.principal(), "a backup is made");
    if !request.to.is_absolute() {
        return Err(Problem(ServiceError::invalid(
            "The folder of a backup is named by its absolute path.",
        )));
    }
    // To its end, also when whoever asked goes away.
    let made = tokio::spawn(async move {
        let entry = Entry::new(Act::Backup);
        let begun = entry.clone().with(Detail::Change, "begun");
        own.tells_all.tell_all(begun).await?;
        let copied = backup::copy(&own.archive, &own.config, &request.to, None).await;
        own.tells_all.tell_all(ended(entry, &copied)).await?;
        copied.map_err(|error| ServiceError::invalid(format!("No backup was made: {error:#}")))
    });
    let report = match made.await {
        Ok(report) => report?,
        Err(_) => return Err(ServiceError::internal("The backup broke off; ask again.").into()),
    };
    Ok(Json(BackupMade {
        objects: report.objects,
        bytes: report.bytes,
    }))
}

/// How something that was done to the installation ended.
pub(crate) fn ended<T, E>(entry: Entry, how: &Result<T, E>) -> Entry {
    let entry = entry.with(Detail::Change, "ended");
    match how {
        Ok(_) => entry,
        Err(_) => entry.ended(Outcome::Failed),
    }
}
