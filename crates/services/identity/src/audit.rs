//! What this service tells the audit trail: each change in the transaction of
//! the change, each look at administration before it is shown. Details name
//! people, keys and devices by their ids and titles, never by name or address.

use hilum_contracts::access::Role;
use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::{PersonId, SessionId, TenantId};
use hilum_contracts::scope::{Acting, Principal, Right};
use hilum_platform::audit::Trail;
use hilum_platform::auth;
use hilum_platform::db::Tx;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::IdentityService;
use crate::domain::network::plain;
use crate::store::sessions::Session;
use crate::visit::Visit;

impl IdentityService {
    /// The trail that this service writes, for who searches and seals it.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Appends an entry; what can't be recorded doesn't happen.
    pub(crate) async fn tell(
        &self,
        tx: &mut Tx<'_>,
        scope: &TenantScope,
        entry: Entry,
    ) -> Result<(), ServiceError> {
        let told = self.trail.append(tx, scope, entry).await;
        told.map_err(|error| database_error(&error))
    }

    /// Records that a list of administration is looked at, searched for `q`.
    pub(crate) async fn looks_at(
        &self,
        scope: &TenantScope,
        what: &'static str,
        q: &str,
    ) -> Result<(), ServiceError> {
        let mut entry = Entry::new(Act::ViewAdministration).with(Detail::Setting, what);
        if !q.trim().is_empty() {
            entry = entry.about(Subject::query(q.trim()));
        }
        let saw = self.trail.saw(scope, entry).await;
        saw.map_err(|error| database_error(&error))
    }

    /// Records that somebody failed to show that they are this person, in each
    /// organisation that the person belongs to. A failure at an address that
    /// nobody has is no organisation's; it is counted only.
    pub(crate) async fn tell_failure(
        &self,
        person: Option<PersonId>,
        visit: &Visit,
        reason: &'static str,
    ) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        tracing::info!(reason, from = %plain(visit.caller.address), "somebody failed to sign in");
        let Some(person) = person else {
            return Ok(());
        };
        let memberships = self.store.memberships(person).await.map_err(failed)?;
        let mut tx = self.store.db().begin().await.map_err(failed)?;
        for membership in memberships {
            let scope = auth::service(&membership.tenant, "identity");
            let entry = Entry::new(Act::SignInFailed)
                .ended(Outcome::Failed)
                .with(Detail::Person, person)
                .with(Detail::Reason, reason)
                .from(Some(plain(visit.caller.address)));
            self.tell(&mut tx, &scope, entry).await?;
        }
        tx.commit().await.map_err(failed)
    }
}

/// The scope of a person whose session this service itself begins or ends.
pub(crate) fn of_person(
    tenant: &TenantId,
    person: PersonId,
    session: SessionId,
    role: Role,
    visit: &Visit,
) -> TenantScope {
    let acting = Acting {
        principal: Principal::Person {
            id: person,
            session,
        },
        right: Right::Role(role),
        limited_to: None,
        from: Some(plain(visit.caller.address)),
    };
    auth::admitted(tenant, acting)
}

/// The scope of a session that goes on.
pub(crate) fn of_session(session: &Session, visit: &Visit) -> TenantScope {
    of_person(
        &session.tenant,
        session.person,
        session.id,
        session.role,
        visit,
    )
}
