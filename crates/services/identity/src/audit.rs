//! What this service tells the audit trail: each change in the transaction of
//! the change, each look at administration before it is shown. Details name
//! people, keys and devices by their ids and titles, never by name or address.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

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
use crate::limits::STRANGERS_A_MINUTE;
use crate::store::sessions::Session;
use crate::visit::Visit;
use hilum_platform::network::plain;

impl IdentityService {
    /// The trail that this service writes, for who searches and seals it.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Appends an entry; what can't be recorded doesn't happen.
    pub(crate) async fn tell(
        &self,
        tx: &mut Tx,
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

    /// Records that somebody failed to show who they are: of a person, in each
    /// organisation that they belong to; at an `account` that nobody has, in the
    /// installation's trail. Both take the same way, so that neither is faster.
    pub(crate) async fn tell_failure(
        &self,
        person: Option<PersonId>,
        account: &str,
        visit: &Visit,
        reason: &'static str,
    ) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        let from = plain(visit.caller.address);
        tracing::info!(reason, %from, "somebody failed to sign in");
        let entry = Entry::new(Act::SignInFailed)
            .ended(Outcome::Failed)
            .with(Detail::Reason, reason);
        let Some(person) = person else {
            let account = Some(account).filter(|account| account.contains('@'));
            let known = account.map(Subject::account);
            return self.tell_of_stranger(entry, known, from).await;
        };
        let from = self.strangers.may(self.clock.now_millis()).then_some(from);
        let entry = entry.with(Detail::Person, person).from(from);
        for membership in self.store.memberships(person).await.map_err(failed)? {
            let scope = auth::service(&membership.tenant, "identity");
            let told = self.trail.saw(&scope, entry.clone()).await;
            told.map_err(failed)?;
        }
        Ok(())
    }

    /// Records what somebody tried whom no organisation knows: in the
    /// installation's own trail. So many a minute are told apart, by whom they
    /// tried to be and from where; all above that are counted in one entry, so
    /// that nobody can fill the disk.
    pub(crate) async fn tell_of_stranger(
        &self,
        entry: Entry,
        account: Option<Subject>,
        from: IpAddr,
    ) -> Result<(), ServiceError> {
        let scope = auth::service(&TenantId::installation(), "identity");
        let entry = match self.strangers.may(self.clock.now_millis()) {
            true => account
                .into_iter()
                .fold(entry, Entry::about)
                .from(Some(from)),
            false => entry.without(Detail::Device).without(Detail::Key),
        };
        let told = self.trail.saw(&scope, entry).await;
        told.map_err(|error| database_error(&error))
    }
}

/// Bounds how many tries of strangers are told apart.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<(i64, u32)>);

impl Strangers {
    pub(crate) fn may(&self, now: i64) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (minute, count) = &mut *state;
        if *minute != now / 60_000 {
            *minute = now / 60_000;
            *count = 0;
        }
        *count = count.saturating_add(1);
        *count <= STRANGERS_A_MINUTE
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
