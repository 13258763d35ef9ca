//! What Identity answers to the doors. Answers are taken from memory for a few
//! seconds; whatever ends a session or a key in this process empties it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hilum_contracts::audit::{Act, Detail, Entry, Outcome};
use hilum_contracts::error::ServiceError;
use hilum_contracts::identity::{Admitted, DeviceAdmission, DeviceAsks, Identity, Names};
use hilum_contracts::ids::{ApiKeyId, PersonId, TenantId};
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use hilum_platform::auth;
use hilum_platform::db::DbError;
use hilum_platform::http::database_error;

use crate::IdentityService;
use crate::domain::settings::millis;
use crate::limits::{CACHE_LIFE, CACHE_MAX, SEEN_EVERY};
use crate::secret::{Hash, hash, hash_of, parse_bearer, same};
use hilum_platform::network::{NOWHERE, plain};

/// Answers of the last seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// Grows with every emptying: an answer that was read before is not kept.
    emptied: u64,
    answers: HashMap<Hash, (Admitted, i64)>,
}

impl Answers {
    fn get(&self, key: &Hash, now: i64) -> (u64, Option<Admitted>) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.answers.get(key).filter(|(_, until)| now < *until);
        (kept.emptied, found.map(|(admitted, _)| admitted.clone()))
    }

    fn keep(&self, emptied: u64, key: Hash, admitted: &Admitted, until: i64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.emptied != emptied {
            return;
        }
        if kept.answers.len() >= CACHE_MAX {
            kept.answers.clear();
        }
        kept.answers.insert(key, (admitted.clone(), until));
    }

    /// Nothing that was answered before holds any more.
    pub(crate) fn empty(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.emptied += 1;
        kept.answers.clear();
    }
}

#[async_trait]
impl Identity for IdentityService {
    async fn session(
        &self,
        token: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Admitted>, ServiceError> {
        let failed = |error| database_error(&error);
        let (session, now) = (hash(token), self.clock.now_millis());
        let stamp = self.issuing.stamp(now);
        let key = kept_under("session", token);
        let (emptied, found) = self.answers.get(&key, now);
        if let Some(found) = found {
            return Ok(Some(called_from(found, from)));
        }
        let Some(session) = self.store.session(&session, now).await.map_err(failed)? else {
            return Ok(None);
        };
        if session.seen_at + millis(SEEN_EVERY) <= now {
            use_was_noted(self.store.session_seen(session.id, now).await);
        }
        let mut until = session.expires_at;
        let right = match session.break_glass {
            Some((access, ends)) => {
                until = until.min(ends);
                Right::BreakGlass {
                    role: session.role,
                    access,
                }
            }
            None => Right::Role(session.role),
        };
        let mut admitted = Admitted {
            tenant: session.tenant,
            acting: Acting {
                principal: Principal::Person {
                    id: session.person,
                    session: session.id,
                },
                right,
                limited_to: None,
                from: None,
            },
            pass: None,
        };
        let shown = ("session", token);
        admitted.pass = self.pass(shown, &admitted, stamp, until);
        let until = until.min(now + millis(CACHE_LIFE));
        self.answers.keep(emptied, key, &admitted, until);
        Ok(Some(called_from(admitted, from)))
    }

    async fn api_key(
        &self,
        bearer: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Admitted>, ServiceError> {
        let failed = |error| database_error(&error);
        let Some((id, secret)) = parse_bearer(bearer) else {
            self.tell_bad_key(None, None, from).await?;
            return Ok(None);
        };
        let (key, now) = (kept_under("key", bearer), self.clock.now_millis());
        let stamp = self.issuing.stamp(now);
        let (emptied, found) = self.answers.get(&key, now);
        if let Some(found) = found {
            return Ok(Some(called_from(found, from)));
        }
        let Some(found) = self.store.key(id, now).await.map_err(failed)? else {
            self.tell_bad_key(Some(id), None, from).await?;
            return Ok(None);
        };
        if !same(&found.hash, &secret) {
            let of = Some(&found.tenant);
            self.tell_bad_key(Some(id), of, from).await?;
            return Ok(None);
        }
        if found
            .row
            .used_at
            .is_none_or(|at| at + millis(SEEN_EVERY) <= now)
        {
            let scope = auth::service(&found.tenant, "identity");
            let address = plain(from.unwrap_or(NOWHERE)).to_string();
            use_was_noted(self.store.key_used(&scope, id, now, &address).await);
        }
        let until = found.row.expires_at.unwrap_or(i64::MAX);
        let mut admitted = Admitted {
            tenant: found.tenant,
            acting: Acting {
                principal: Principal::ApiKey(id),
                right: Right::Role(found.row.role),
                limited_to: found
                    .row
                    .limited_to
                    .map(|actions| actions.into_iter().collect()),
                from: None,
            },
            pass: None,
        };
        let shown = ("api-key", bearer);
        admitted.pass = self.pass(shown, &admitted, stamp, until);
        let until = until.min(now + millis(CACHE_LIFE));
        self.answers.keep(emptied, key, &admitted, until);
        Ok(Some(called_from(admitted, from)))
    }

    async fn device(&self, asks: &DeviceAsks) -> Result<DeviceAdmission, ServiceError> {
        self.admit_device(asks).await
    }

    async fn is_still(&self, scope: &TenantScope) -> Result<bool, ServiceError> {
        let failed = |error| database_error(&error);
        let now = self.clock.now_millis();
        let (role, access) = match scope.right() {
            Right::Role(role) => (role, None),
            Right::BreakGlass { role, access } => (role, Some(access)),
            Right::Continuation => return Ok(true),
        };
        Ok(match scope.principal() {
            Principal::Person { session, .. } => {
                let session = self.store.session_by_id(*session, now).await;
                session.map_err(failed)?.is_some_and(|session| {
                    session.tenant == *scope.tenant()
                        && session.role == role
                        && session.break_glass.map(|(access, _)| access) == access
                })
            }
            Principal::ApiKey(id) => {
                let key = self.store.key(*id, now).await.map_err(failed)?;
                key.is_some_and(|key| key.tenant == *scope.tenant() && key.row.role == role)
            }
            Principal::Device(_) | Principal::Service(_) | Principal::LocalOperator => true,
        })
    }
}

#[async_trait]
impl Names for IdentityService {
    async fn people(
        &self,
        scope: &TenantScope,
        ids: &[PersonId],
    ) -> Result<HashMap<PersonId, String>, ServiceError> {
        let names = self.store.names(scope, ids).await;
        let names = names.map_err(|error| database_error(&error))?;
        Ok(names.into_iter().collect())
    }

    async fn keys(
        &self,
        scope: &TenantScope,
        ids: &[ApiKeyId],
    ) -> Result<HashMap<ApiKeyId, String>, ServiceError> {
        let names = self.store.key_names(scope, ids).await;
        let names = names.map_err(|error| database_error(&error))?;
        Ok(names.into_iter().collect())
    }
}

impl IdentityService {
    /// Records that a key was shown which is none, or none any more: in the trail
    /// of whose it is, or else of the installation.
    async fn tell_bad_key(
        &self,
        id: Option<ApiKeyId>,
        of: Option<&TenantId>,
        from: Option<IpAddr>,
    ) -> Result<(), ServiceError> {
        let from = plain(from.unwrap_or(NOWHERE));
        let mut entry = Entry::new(Act::SignInFailed)
            .ended(Outcome::Failed)
            .with(Detail::Reason, "unknown-key");
        if let Some(id) = id {
            entry = entry.with(Detail::Key, id);
        }
        let Some(tenant) = of else {
            return self.tell_of_stranger(entry, None, from).await;
        };
        let from = self.strangers.may(self.clock.now_millis()).then_some(from);
        let scope = auth::service(tenant, "identity");
        let told = self.trail.saw(&scope, entry.from(from)).await;
        told.map_err(|error| database_error(&error))
    }
}

/// A last use that can't be written, on a disk that is full, keeps nobody out:
/// what is done then says itself whether it can be recorded and kept.
pub(crate) fn use_was_noted(written: Result<(), DbError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "a last use could not be written");
    }
}

/// What an answer is kept under: what is shown at one door is nothing at the
/// other, as a key in a cookie would be sent by pages of other sites.
fn kept_under(door: &str, shown: &str) -> Hash {
    hash_of(&[door.as_bytes(), shown.as_bytes()])
}

fn called_from(mut admitted: Admitted, from: Option<IpAddr>) -> Admitted {
    admitted.acting.from = from.map(plain);
    admitted
}
