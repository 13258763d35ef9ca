//! `GET /auth/state`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::{Action, BREAK_GLASS, Role, allows};
use hilum_contracts::error::ServiceError;
use hilum_platform::auth;
use hilum_platform::clock::from_millis;
use hilum_platform::config::SignUp;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use serde::Serialize;
use std::sync::atomic::Ordering;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::limits::PROVIDERS_SHOWN;
use crate::store::sessions::Session;
use crate::visit::Visit;

/// What the web application needs before it shows anything.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthState {
    signed_in: bool,
    person: Option<StatePerson>,
    tenant: Option<StateTenant>,
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// What the person may do in the tenant.
    #[schema(value_type = Vec<String>)]
    actions: Vec<Action>,
    break_glass: Option<StateBreakGlass>,
    /// How many emergency accesses wait for this person's review.
    break_glass_to_review: i64,
    /// Every tenant that the person belongs to.
    tenants: Vec<StateMembership>,
    /// Nobody exists: the link that the server printed makes the first person.
    set_up_needed: bool,
    /// `open` or `invited`.
    #[schema(value_type = String)]
    sign_up: SignUp,
    /// Whether the server can send mail: resetting a password needs it.
    mail: bool,
    /// Other ways to sign in.
    providers: Vec<StateProvider>,
}

#[derive(Serialize, ToSchema)]
struct StatePerson {
    id: String,
    name: String,
    email: String,
    email_verified: bool,
}

#[derive(Serialize, ToSchema)]
struct StateTenant {
    name: String,
    display_name: String,
    ae_title: String,
}

#[derive(Serialize, ToSchema)]
struct StateMembership {
    name: String,
    display_name: String,
    #[schema(value_type = String)]
    role: Role,
}

#[derive(Serialize, ToSchema)]
struct StateBreakGlass {
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    until: OffsetDateTime,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct StateProvider {
    id: String,
    name: String,
}

/// Who is signed in on this browser, to what, and what there is to do if nobody
/// is.
#[utoipa::path(get, path = "/state", extensions(("x-hilum-action" = json!("open"))), tag = "auth",
    responses((status = 200, body = AuthState), (status = 503, body = ProblemBody)))]
pub(crate) async fn auth_state(
    State(service): State<IdentityService>,
    visit: Visit,
) -> Result<Json<AuthState>, Problem> {
    let session = service.session_of(&visit).await?;
    Ok(Json(service.state_of(session.as_ref()).await?))
}

impl IdentityService {
    pub(crate) async fn state_of(
        &self,
        session: Option<&Session>,
    ) -> Result<AuthState, ServiceError> {
        let failed = |error| database_error(&error);
        let mut state = AuthState {
            signed_in: false,
            person: None,
            tenant: None,
            role: None,
            actions: Vec::new(),
            break_glass: None,
            break_glass_to_review: 0,
            tenants: Vec::new(),
            set_up_needed: !self.is_set_up().await?,
            sign_up: self.rules.sign_up,
            mail: self.post.is_some(),
            providers: self.providers_shown().await?,
        };
        let Some(session) = session else {
            return Ok(state);
        };
        let Some(person) = self.store.person(session.person).await.map_err(failed)? else {
            return Ok(state);
        };
        let mut memberships = self.store.memberships(person.id).await.map_err(failed)?;
        if session.is_vouched {
            memberships.retain(|one| one.tenant == session.tenant);
        }
        state.signed_in = true;
        state.role = Some(session.role);
        let in_emergency = session.break_glass.is_some();
        state.actions = Action::ALL
            .iter()
            .copied()
            .filter(|action| {
                allows(session.role, *action) || (in_emergency && BREAK_GLASS.contains(action))
            })
            .collect();
        state.break_glass = session.break_glass.map(|(_, until)| StateBreakGlass {
            until: from_millis(until),
        });
        if allows(session.role, Action::ReviewBreakGlass) {
            let scope = auth::service(&session.tenant, "identity");
            state.break_glass_to_review = self.store.unreviewed(&scope).await.map_err(failed)?;
        }
        state.tenant = memberships
            .iter()
            .find(|one| one.tenant == session.tenant)
            .map(|one| StateTenant {
                name: one.tenant.to_string(),
                display_name: one.display_name.clone(),
                ae_title: one.ae_title.clone(),
            });
        state.tenants = memberships
            .into_iter()
            .map(|one| StateMembership {
                name: one.tenant.to_string(),
                display_name: one.display_name,
                role: one.role,
            })
            .collect();
        state.person = Some(StatePerson {
            id: person.id.to_string(),
            name: person.name,
            email: person.email,
            email_verified: person.email_verified,
        });
        Ok(state)
    }

    /// Every provider of an installation to which people are invited; one that
    /// is open to everybody does not tell who its organisations are.
    async fn providers_shown(&self) -> Result<Vec<StateProvider>, ServiceError> {
        if self.rules.sign_up == SignUp::Open {
            return Ok(Vec::new());
        }
        let rows = self.store.all_providers(PROVIDERS_SHOWN).await;
        let rows = rows.map_err(|error| database_error(&error))?;
        let shown = rows.into_iter().map(|row| StateProvider {
            id: row.id.to_string(),
            name: row.name,
        });
        Ok(shown.collect())
    }

    pub(crate) async fn is_set_up(&self) -> Result<bool, ServiceError> {
        if self.is_set_up.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let is = self
            .store
            .has_people()
            .await
            .map_err(|error| database_error(&error))?;
        self.is_set_up.store(is, Ordering::Relaxed);
        Ok(is)
    }
}
