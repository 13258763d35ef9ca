//! Beginning sessions: each sign-in, change of tenant and taken invitation
//! gets a token of its own, and the one that the browser came with ends
//! (session fixation, OWASP ASVS 3.2.1).

use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::{PersonId, SessionId, TenantId};
use hilum_platform::auth;
use hilum_platform::db::Tx;
use hilum_platform::http::{Problem, database_error};

use uuid::Uuid;

use crate::IdentityService;
use crate::audit::of_person;
use crate::secret::Token;
use crate::store::providers::Provider;
use crate::store::sessions::{self, NewSession, Session};
use crate::store::{members, tenants};
use crate::visit::Visit;

/// A session that began.
pub(crate) struct Begun {
    /// For the browser.
    pub(crate) token: Token,
    /// For a browser that the person did not use before.
    pub(crate) browser: Option<Token>,
}

impl IdentityService {
    /// The session that the browser came with.
    pub(crate) async fn session_of(&self, visit: &Visit) -> Result<Option<Session>, ServiceError> {
        let Some(hash) = visit.session else {
            return Ok(None);
        };
        self.store
            .session(&hash, self.clock.now_millis())
            .await
            .map_err(|error| database_error(&error))
    }

    /// The same, or 401.
    pub(crate) async fn signed_in(&self, visit: &Visit) -> Result<Session, Problem> {
        let session = self.session_of(visit).await?;
        session
            .ok_or_else(|| ServiceError::new(ErrorCode::Unauthenticated, "Sign in first.").into())
    }

    /// Begins a session of a person in a tenant that they belong to; `how` they
    /// showed who they are, as a word for the trail.
    pub(crate) async fn begin_session(
        &self,
        tx: &mut Tx,
        person: PersonId,
        tenant: &TenantId,
        visit: &Visit,
        how: &'static str,
    ) -> Result<Begun, ServiceError> {
        self.begin(tx, person, tenant, visit, how, None).await
    }

    /// Begins a session that a provider vouches for, in its tenant.
    pub(crate) async fn begin_vouched_session(
        &self,
        tx: &mut Tx,
        person: PersonId,
        provider: &Provider,
        visit: &Visit,
    ) -> Result<Begun, ServiceError> {
        let (tenant, id) = (&provider.tenant, Some(provider.id));
        self.begin(tx, person, tenant, visit, "provider", id).await
    }

    async fn begin(
        &self,
        tx: &mut Tx,
        person: PersonId,
        tenant: &TenantId,
        visit: &Visit,
        how: &'static str,
        provider: Option<Uuid>,
    ) -> Result<Begun, ServiceError> {
        let failed = |error| database_error(&error);
        let now = self.clock.now_millis();
        let scope = auth::service(tenant, "identity");
        let settings = tenants::get(tx, &scope)
            .await
            .map_err(failed)?
            .map(|row| row.settings)
            .unwrap_or_default();
        if let Some(old) = &visit.session {
            sessions::end(tx, old).await.map_err(failed)?;
        }
        let token = Token::new()?;
        let role = members::role_of(tx, &scope, person)
            .await
            .map_err(failed)?
            .ok_or_else(|| ServiceError::not_found("There is no such organisation."))?;
        let id = SessionId::new();
        let new = NewSession {
            id,
            hash: token.hash(),
            person,
            now,
            life_ms: settings.life_ms(),
            idle_ms: settings.idle_ms(),
            provider,
            browser: visit.agent.clone(),
            address: hilum_platform::network::plain(visit.caller.address).to_string(),
        };
        sessions::insert(tx, &scope, &new).await.map_err(failed)?;
        let entry = Entry::new(Act::SignIn)
            .with(Detail::Session, id)
            .with(Detail::Change, how);
        let own = of_person(tenant, person, id, role, visit);
        self.tell(tx, &own, entry).await?;
        let known = match &visit.browser {
            Some(hash) => sessions::browser_used(tx, person, hash, now)
                .await
                .map_err(failed)?,
            None => false,
        };
        let mut browser = None;
        if !known {
            let token = Token::new()?;
            sessions::remember_browser(tx, person, &token.hash(), now)
                .await
                .map_err(failed)?;
            browser = Some(token);
        }
        Ok(Begun { token, browser })
    }
}
