//! `PUT /tenant/shard`: where the tenant lives, for who moves it.

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::IdentityService;
use crate::store::tenants;

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantShard {
    /// Where whoever asks knows it to live: it is refused when it lives elsewhere.
    from: String,
    /// To which shard whoever asks knows it to be being moved: the same.
    #[serde(default)]
    moving: Option<String>,
    /// Where it lives from now on.
    shard: String,
    /// To which shard it is being moved and, behind a dot, by which attempt.
    #[serde(default)]
    moving_to: Option<String>,
    /// From which it was, while something of it is left there.
    #[serde(default)]
    moved_from: Option<String>,
}

/// Says on which shard the organisation lives, and whether it is being moved. Moves
/// nothing by itself: `hilum tenants move` does.
#[utoipa::path(put, path = "/tenant/shard",
    extensions(("x-hilum-action" = json!("operate"))), tag = "platform",
    request_body = TenantShard,
    responses((status = 200, body = TenantShard), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn place_tenant(
    May(scope, _): May<doors::Operate>,
    State(service): State<IdentityService>,
    Body(asked): Body<TenantShard>,
) -> Result<Json<TenantShard>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (to, left) = (asked.moving_to.as_ref(), asked.moved_from.as_ref());
    let names = [Some(&asked.from), Some(&asked.shard), to, left];
    let is_name = |name: &String| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        (1..=64).contains(&name.len()) && name.bytes().all(allowed)
    };
    if !names.into_iter().flatten().all(is_name) {
        let text = "A shard's name has 1 to 32 of a-z, 0-9 and -; an attempt one behind a dot.";
        return Err(ServiceError::invalid(text).into());
    }
    let mut tx = service.store.begin().await.map_err(failed)?;
    let row = tenants::get(&mut tx, &scope).await.map_err(failed)?;
    let mut row = row.ok_or_else(|| ServiceError::not_found("There is no such organisation."))?;
    row.place.shard.clone_from(&asked.shard);
    row.moving_to.clone_from(&asked.moving_to);
    row.moved_from.clone_from(&asked.moved_from);
    let known = (&*asked.from, asked.moving.as_deref());
    let done = tenants::set_place(&mut tx, &scope, known, &row).await;
    if !done.map_err(failed)? {
        let text = format!(
            "The organisation does not live on shard {}, or its move is another one by now.",
            asked.from
        );
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    if asked.from != asked.shard {
        let entry = Entry::new(Act::ChangeSettings)
            .with(Detail::Setting, "shard")
            .with(Detail::Change, format!("{} to {}", asked.from, asked.shard));
        service.tell(&mut tx, &scope, entry).await?;
    }
    tx.commit().await.map_err(failed)?;
    service.publish().await?;
    Ok(Json(asked))
}
