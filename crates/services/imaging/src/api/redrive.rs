//! `POST /quarantine/{id}/redrive`

use axum::extract::{Path, State};
use futures::StreamExt as _;
use hilum_contracts::CorrelationId;
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::Topic;
use http::StatusCode;

use crate::ImagingService;
use crate::domain::readiness::Ending;
use crate::intake::{Intake, Refused, Source};

/// Takes something in again that was refused, as after an upgrade that reads
/// it. When it is refused again, it stays where it is.
#[utoipa::path(post, path = "/quarantine/{id}/redrive",
    extensions(("x-hilum-action" = json!("manage-quarantine"))), tag = "imaging",
    params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn redrive_quarantined(
    May(scope, _): May<doors::ManageQuarantine>,
    State(service): State<ImagingService>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let item = service
        .archive
        .quarantined_item(&scope, id)
        .await?
        .ok_or_else(|| ServiceError::not_found("There is no such item in the quarantine."))?;
    let source = match item.origin {
        hilum_archive::Origin::Dimse { calling_ae, .. } => Source::Dimse {
            calling_ae_title: calling_ae,
        },
        hilum_archive::Origin::Import => Source::Import,
        _ => Source::Stow,
    };
    let intake = Intake::begin(service.clone(), scope.clone(), CorrelationId::new(), source);
    let mut reader = service
        .archive
        .read_quarantined(&scope, id, 0..item.length)
        .await?;
    let received = match &item.transfer_syntax {
        Some(transfer_syntax) => {
            let mut spool = intake.spool();
            while let Some(piece) = reader.next().await {
                spool
                    .write(&piece?)
                    .map_err(Refused::from)
                    .map_err(refused)?;
            }
            intake.receive(transfer_syntax, spool.finish(), None).await
        }
        None => {
            let mut spool = intake.file_spool();
            while let Some(piece) = reader.next().await {
                spool
                    .write(&piece?)
                    .map_err(Refused::from)
                    .map_err(refused)?;
            }
            let received = intake.receive_file(spool, None).await;
            received.map_err(|not_taken| not_taken.refused)
        }
    };
    intake.end(Ending::StowEnded).await;
    received.map_err(refused)?;
    service.archive.delete_quarantined(&scope, id).await?;
    service
        .notices
        .tell(scope.tenant(), Topic::Quarantine, None);
    Ok(StatusCode::NO_CONTENT)
}

fn refused(refused: Refused) -> ServiceError {
    ServiceError::new(
        ErrorCode::Conflict,
        format!("It was refused again: {refused}."),
    )
}
