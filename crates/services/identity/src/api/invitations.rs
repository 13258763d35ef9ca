//! `GET|POST /invitations`, `DELETE /invitations/{id}`

use axum::Json;
use axum::extract::{Path, Query, State};
use hilum_contracts::access::{Role, doors};
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::clock::from_millis;
use hilum_platform::email;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::id;
use super::page::PageQuery;
use crate::IdentityService;
use crate::domain::roles::require_may_give;
use crate::domain::settings::millis;
use crate::limits::{INVITATION_LIFE, INVITATIONS};
use crate::secret::Token;
use crate::store::invitations::{self, Invitation};
use crate::store::mails::Mail;
use crate::store::{members, people};

#[derive(Serialize, ToSchema)]
pub(crate) struct InvitationList {
    items: Vec<InvitationItem>,
    /// `after` of the next page, when there may be one.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct InvitationItem {
    id: String,
    email: String,
    #[schema(value_type = String)]
    role: Role,
    invited_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: OffsetDateTime,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvitation {
    email: String,
    #[schema(value_type = String)]
    role: Role,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct InvitationMade {
    id: String,
    /// Whether a mail is on its way.
    mailed: bool,
    /// To hand over, where no mail is sent. It is shown once.
    link: Option<String>,
}

/// Who was invited and has not answered, the newest first.
#[utoipa::path(get, path = "/invitations",
    extensions(("x-hilum-action" = json!("view-people"))), tag = "people", params(PageQuery),
    responses((status = 200, body = InvitationList), (status = 400, body = ProblemBody)))]
pub(crate) async fn list_invitations(
    May(scope, _): May<doors::ViewPeople>,
    State(service): State<IdentityService>,
    Query(page): Query<PageQuery>,
) -> Result<Json<InvitationList>, Problem> {
    service.looks_at(&scope, "invitations", page.q()?).await?;
    let rows = service
        .store
        .invitations(&scope, page.q()?, page.after, page.limit())
        .await
        .map_err(|error| database_error(&error))?;
    let next = page.next(&rows, |row| row.id.to_string());
    let items = rows
        .into_iter()
        .map(|row| InvitationItem {
            id: row.id.to_string(),
            email: row.email,
            role: row.role,
            invited_by: row.invited_by,
            created_at: from_millis(row.created_at),
            expires_at: from_millis(row.expires_at),
        })
        .collect();
    Ok(Json(InvitationList { items, next }))
}

/// Invites somebody, in the place of an earlier invitation of theirs.
#[utoipa::path(post, path = "/invitations",
    extensions(("x-hilum-action" = json!("manage-people"))), tag = "people",
    request_body = NewInvitation,
    responses((status = 200, body = InvitationMade), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn invite(
    May(scope, _): May<doors::ManagePeople>,
    State(service): State<IdentityService>,
    Body(asked): Body<NewInvitation>,
) -> Result<Json<InvitationMade>, Problem> {
    let failed = |error| Problem(database_error(&error));
    require_may_give(&scope, asked.role)?;
    let invited_by = service.name_of(&scope).await?;
    let now = service.clock.now_millis();
    let invitation = Invitation {
        id: Uuid::now_v7(),
        tenant: scope.tenant().clone(),
        email: email::email(&asked.email)?,
        role: asked.role,
        mailed: service.post.is_some(),
        invited_by,
        created_at: now,
        expires_at: now + millis(INVITATION_LIFE),
    };
    let token = Token::new()?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    if let Some(person) = people::by_email(&mut tx, &invitation.email)
        .await
        .map_err(failed)?
    {
        let role = members::role_of(&mut tx, &scope, person.id).await;
        if role.map_err(failed)?.is_some() {
            let text = "That person belongs to the organisation.";
            return Err(ServiceError::new(ErrorCode::Conflict, text).into());
        }
    }
    // The token of a mail is made when it is sent.
    let hash = (!invitation.mailed).then(|| token.hash());
    let kept = invitations::replace(&mut tx, &scope, &invitation, hash.as_ref(), INVITATIONS)
        .await
        .map_err(failed)?;
    if !kept {
        let text = format!("{INVITATIONS} invitations wait: withdraw some first.");
        return Err(ServiceError::new(ErrorCode::Exhausted, text).into());
    }
    let mail = Mail::Invitation(scope.tenant().clone(), invitation.id);
    service.send(&mut tx, mail).await.map_err(failed)?;
    let entry = Entry::new(Act::ChangePerson)
        .with(Detail::Invitation, invitation.id)
        .with(Detail::Role, invitation.role)
        .with(Detail::Change, "invited");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(Json(InvitationMade {
        id: invitation.id.to_string(),
        mailed: invitation.mailed,
        link: (!invitation.mailed).then(|| service.link("invitation", &token)),
    }))
}

/// Withdraws an invitation: its link is worth nothing from now on.
#[utoipa::path(delete, path = "/invitations/{id}",
    extensions(("x-hilum-action" = json!("manage-people"))), tag = "people",
    params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(crate) async fn withdraw_invitation(
    May(scope, _): May<doors::ManagePeople>,
    State(service): State<IdentityService>,
    Path(invitation): Path<String>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let missing = || ServiceError::not_found("There is no such invitation.");
    let invitation: Uuid = id(&invitation, "invitation")?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let found = invitations::get(&mut tx, &scope, invitation).await;
    let found = found.map_err(failed)?.ok_or_else(missing)?;
    require_may_give(&scope, found.role)?;
    if !invitations::delete(&mut tx, &scope, invitation)
        .await
        .map_err(failed)?
    {
        return Err(missing().into());
    }
    let entry = Entry::new(Act::ChangePerson)
        .with(Detail::Invitation, invitation)
        .with(Detail::Change, "withdrawn");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}
