//! `POST|DELETE /auth/break-glass`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::{Role, doors};
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::{BreakGlassId, PersonId, SessionId};
use hilum_contracts::scope::{Principal, TenantScope};
use hilum_platform::clock::from_millis;
use hilum_platform::http::{Caller, May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::domain::settings::millis;
use crate::domain::text;
use crate::limits::{BREAK_GLASS_LIFE, TOLD_OF_BREAK_GLASS};
use crate::store::break_glass::{self, Access, Words};
use crate::store::mails::Mail;
use hilum_platform::network::plain;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakGlass {
    /// Why it can't wait. Owners and auditors read it; name no patient in it.
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BreakGlassTaken {
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    until: OffsetDateTime,
}

/// Takes emergency access to images for an hour, in this session. Owners and
/// auditors are told at once and review it.
#[utoipa::path(post, path = "/break-glass",
    extensions(("x-hilum-action" = json!("break-glass"))), tag = "auth", request_body = BreakGlass,
    responses((status = 200, body = BreakGlassTaken), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub(crate) async fn take_break_glass(
    May(scope, _): May<doors::BreakGlass>,
    State(service): State<IdentityService>,
    caller: Caller,
    Body(asked): Body<BreakGlass>,
) -> Result<Json<BreakGlassTaken>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (person, session) = person_of(&scope)?;
    let now = service.clock.now_millis();
    let (id, reason) = (
        BreakGlassId::new(),
        text::reason(&asked.reason, "A reason")?,
    );
    let access = Access {
        id,
        person,
        person_name: service.name_of(&scope).await?,
        session,
        reason: service
            .seal_words(scope.tenant(), id, Words::Reason, &reason)
            .await?,
        address: plain(caller.address).to_string(),
        taken_at: now,
        until: now + millis(BREAK_GLASS_LIFE),
        reviewed_at: None,
        reviewed_by: None,
        review: None,
    };
    let roles = [Role::Owner, Role::Auditor];
    let told = service
        .store
        .members_with(&scope, roles, TOLD_OF_BREAK_GLASS)
        .await
        .map_err(failed)?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    // One at a time: what follows is under the newer reason.
    break_glass::end(&mut tx, &scope, session, now)
        .await
        .map_err(failed)?;
    break_glass::insert(&mut tx, &scope, &access)
        .await
        .map_err(failed)?;
    for told in told {
        let mail = Mail::BreakGlass(scope.tenant().clone(), told);
        service.send(&mut tx, mail).await.map_err(failed)?;
    }
    let entry = Entry::new(Act::BreakGlass)
        .about(Subject::reason(reason))
        .with(Detail::Access, access.id);
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    tracing::warn!(tenant = %scope.tenant(), access = %access.id, "emergency access was taken");
    service.changed(&scope).await;
    Ok(Json(BreakGlassTaken {
        until: from_millis(access.until),
    }))
}

/// Gives emergency access back before its end.
#[utoipa::path(delete, path = "/break-glass",
    extensions(("x-hilum-action" = json!("break-glass"))), tag = "auth",
    responses((status = 204), (status = 403, body = ProblemBody)))]
pub(crate) async fn end_break_glass(
    May(scope, _): May<doors::BreakGlass>,
    State(service): State<IdentityService>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (_, session) = person_of(&scope)?;
    let now = service.clock.now_millis();
    let mut tx = service.store.begin().await.map_err(failed)?;
    let ended = break_glass::end(&mut tx, &scope, session, now).await;
    if ended.map_err(failed)? {
        let entry = Entry::new(Act::EndBreakGlass).with(Detail::Session, session);
        service.tell(&mut tx, &scope, entry).await?;
    }
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}

fn person_of(scope: &TenantScope) -> Result<(PersonId, SessionId), ServiceError> {
    match scope.principal() {
        Principal::Person { id, session } => Ok((*id, *session)),
        _ => {
            let text = "Emergency access is for a person who signed in.";
            Err(ServiceError::new(ErrorCode::Forbidden, text))
        }
    }
}
