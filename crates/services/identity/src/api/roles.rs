//! `GET /roles`: the matrix.

use axum::Json;
use hilum_contracts::access::{Action, Role, allows, doors};
use hilum_platform::http::{May, Problem, ProblemBody};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct RoleList {
    roles: Vec<RoleItem>,
    actions: Vec<ActionItem>,
}

#[derive(Serialize, ToSchema)]
struct RoleItem {
    #[schema(value_type = String)]
    name: Role,
    /// Whether a person can be that.
    of_people: bool,
    /// Whether an API key can be that.
    of_keys: bool,
    #[schema(value_type = Vec<String>)]
    actions: Vec<Action>,
}

#[derive(Serialize, ToSchema)]
struct ActionItem {
    #[schema(value_type = String)]
    name: Action,
    says: &'static str,
}

/// Every role, every action, and which role may do which.
#[utoipa::path(get, path = "/roles",
    extensions(("x-hilum-action" = json!("view-people"))), tag = "people",
    responses((status = 200, body = RoleList), (status = 403, body = ProblemBody)))]
pub(crate) async fn list_roles(_: May<doors::ViewPeople>) -> Result<Json<RoleList>, Problem> {
    let roles = Role::ALL
        .into_iter()
        .map(|name| RoleItem {
            name,
            of_people: Role::OF_PEOPLE.contains(&name),
            of_keys: Role::OF_KEYS.contains(&name),
            actions: Action::ALL
                .iter()
                .copied()
                .filter(|action| allows(name, *action))
                .collect(),
        })
        .collect();
    let actions = Action::ALL
        .iter()
        .map(|name| ActionItem {
            name: *name,
            says: name.says(),
        })
        .collect();
    Ok(Json(RoleList { roles, actions }))
}
