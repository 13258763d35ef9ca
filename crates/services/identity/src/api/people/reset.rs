//! `POST /people/{id}/reset-link`

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::PersonId;
use hilum_contracts::scope::Principal;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use serde::Serialize;
use utoipa::ToSchema;

use super::role_to_take;
use crate::IdentityService;
use crate::api::id;
use crate::domain::settings::millis;
use crate::limits::RESET_LIFE;
use crate::secret::Token;
use crate::store::mails::Mail;
use crate::store::tokens::{self, Purpose};

#[derive(Serialize, ToSchema)]
pub(crate) struct ResetLink {
    /// Whether a mail is on its way.
    mailed: bool,
    /// To hand over, where no mail is sent. It is shown once and works for 30
    /// minutes.
    link: Option<String>,
}

/// Lets a person choose another password: by mail, or by a link to hand over.
/// A link is made for who belongs to this organisation only: it opens whatever
/// the person may open.
#[utoipa::path(post, path = "/people/{id}/reset-link",
    extensions(("x-hilum-action" = json!("manage-people"))), tag = "people",
    params(("id" = String, Path)),
    responses((status = 200, body = ResetLink), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn make_reset_link(
    May(scope, _): May<doors::ManagePeople>,
    State(service): State<IdentityService>,
    Path(person): Path<String>,
) -> Result<Json<ResetLink>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let person: PersonId = id(&person, "person")?;
    let memberships = service.store.memberships(person).await.map_err(failed)?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    role_to_take(&mut tx, &scope, person).await?;
    let mailed = service
        .send(&mut tx, Mail::Reset(person))
        .await
        .map_err(failed)?;
    let mut link = None;
    if !mailed {
        if memberships.len() > 1 && *scope.principal() != Principal::LocalOperator {
            let text = "This person belongs to other organisations too: the operator of the \
                        server can make the link.";
            return Err(ServiceError::new(ErrorCode::Conflict, text).into());
        }
        let token = Token::new()?;
        let expires_at = service.clock.now_millis() + millis(RESET_LIFE);
        // Handed over, it proves no address.
        let whose = Some((person, ""));
        tokens::replace(&mut tx, Purpose::Reset, &token.hash(), whose, expires_at)
            .await
            .map_err(failed)?;
        link = Some(service.link("reset", &token));
    }
    let entry = Entry::new(Act::ChangePassword)
        .with(Detail::Person, person)
        .with(Detail::Change, "link");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    Ok(Json(ResetLink { mailed, link }))
}
