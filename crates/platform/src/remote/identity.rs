//! Identity over the network: both ends. Who asks keeps what it was answered: for
//! seconds while Identity answers, and for hours when it does not, so that whoever
//! was let in goes on. Devices are let in by what the [`Directory`] knows, without
//! asking at all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use aws_lc_rs::digest;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::identity::{Admitted, DeviceAdmission, DeviceAsks, Identity, Names};
use hilum_contracts::ids::{ApiKeyId, PersonId, TenantId};
use hilum_contracts::scope::{Principal, TenantScope};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::{Answering, Asking, Neighbour};
use crate::limits::{ADMITTED_ASKED, ADMITTED_FRESH, ADMITTED_MAX, ADMITTED_WITHOUT_IDENTITY};
use crate::network::plain;
use crate::notices::{Notices, Topic};
use crate::tenants::Directory;

/// Identity in another process.
#[derive(Clone)]
pub struct RemoteIdentity {
    neighbour: Neighbour,
    directory: Directory,
    kept: Arc<Mutex<HashMap<Key, Kept>>>,
}

/// SHA-256 of the door and what was shown there: secrets are not kept.
type Key = [u8; 32];

#[derive(Clone)]
struct Kept {
    admitted: Admitted,
    /// When Identity said so.
    at: Instant,
    /// Something changed for the tenant's people since.
    stale: bool,
}

#[derive(Serialize, Deserialize)]
struct Shown {
    text: String,
    from: Option<IpAddr>,
}

impl RemoteIdentity {
    /// What `neighbour` answers; devices by what `directory` knows.
    #[must_use]
    pub fn new(neighbour: Neighbour, directory: Directory) -> Self {
        Self {
            neighbour,
            directory,
            kept: Arc::default(),
        }
    }

    /// The way to it.
    #[must_use]
    pub fn neighbour(&self) -> Neighbour {
        self.neighbour.clone()
    }

    /// Asks again about everybody of a tenant whose people, keys or rights changed,
    /// until `stop`.
    pub async fn follow(self, notices: Notices, stop: CancellationToken) {
        let mut changes = notices.listen();
        while let Some(told) = stop.run_until_cancelled(changes.recv()).await {
            match told {
                Ok(notice) if notice.topic == Topic::Administration => {
                    self.changed(Some(&notice.tenant));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.changed(None),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn changed(&self, tenant: Option<&TenantId>) {
        for kept in self.kept().values_mut() {
            if tenant.is_none_or(|tenant| *tenant == kept.admitted.tenant) {
                kept.stale = true;
            }
        }
    }

    async fn admitted(
        &self,
        door: &str,
        text: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Admitted>, ServiceError> {
        let key = key(door, text);
        let known = self.kept().get(&key).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.is_fresh()) {
            return Ok(Some(called_from(known.admitted.clone(), from)));
        }
        let shown = Shown {
            text: text.to_owned(),
            from,
        };
        let goes_on = known.as_ref().is_some_and(Kept::holds_without_identity);
        let asking = asking(goes_on);
        let told: Result<Option<Admitted>, _> =
            self.neighbour.ask(asking, door, None, &shown).await;
        match told {
            Ok(Some(admitted)) => {
                self.keep(key, &admitted);
                Ok(Some(called_from(admitted, from)))
            }
            Ok(None) => {
                self.kept().remove(&key);
                Ok(None)
            }
            Err(error) if error.code == ErrorCode::Unavailable => match known {
                Some(known) if goes_on => {
                    metrics::counter!("hilum_admitted_without_identity_total").increment(1);
                    Ok(Some(called_from(known.admitted, from)))
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn keep(&self, key: Key, admitted: &Admitted) {
        let mut kept = self.kept();
        if kept.len() >= ADMITTED_MAX && !kept.contains_key(&key) {
            kept.retain(|_, one| one.is_fresh());
            if kept.len() >= ADMITTED_MAX {
                kept.clear();
            }
        }
        let now = Kept {
            admitted: admitted.clone(),
            at: Instant::now(),
            stale: false,
        };
        kept.insert(key, now);
    }

    /// Whether somebody was let in as this principal not long ago.
    fn knows(&self, principal: &Principal) -> bool {
        let kept = self.kept();
        let mut all = kept.values();
        all.any(|one| one.admitted.acting.principal == *principal && one.holds_without_identity())
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        !self.stale && self.at.elapsed() < ADMITTED_FRESH
    }

    fn holds_without_identity(&self) -> bool {
        self.at.elapsed() < ADMITTED_WITHOUT_IDENTITY
    }
}

#[async_trait]
impl Identity for RemoteIdentity {
    async fn session(
        &self,
        token: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Admitted>, ServiceError> {
        self.admitted("session", token, from).await
    }

    async fn api_key(
        &self,
        bearer: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Admitted>, ServiceError> {
        self.admitted("api-key", bearer, from).await
    }

    async fn device(&self, asks: &DeviceAsks) -> Result<DeviceAdmission, ServiceError> {
        let Some(device) = self.directory.known().admit(asks) else {
            // Remembered there, and shown to the tenant's administrators.
            return self.neighbour.ask(Asking::ONCE, "device", None, asks).await;
        };
        // So that Identity knows when it was seen; nobody waits for that.
        let (neighbour, asks) = (self.neighbour.clone(), asks.clone());
        tokio::spawn(async move {
            let told: Result<DeviceAdmission, _> =
                neighbour.ask(Asking::ONCE, "device", None, &asks).await;
            if let Err(error) = told {
                tracing::debug!(%error, "identity was not told that a device called");
            }
        });
        Ok(DeviceAdmission::Admitted(device))
    }

    async fn is_still(&self, scope: &TenantScope) -> Result<bool, ServiceError> {
        let goes_on = self.knows(scope.principal());
        match self
            .neighbour
            .ask(asking(goes_on), "is-still", Some(scope), &())
            .await
        {
            Err(error) if error.code == ErrorCode::Unavailable && goes_on => Ok(true),
            told => told,
        }
    }
}

#[async_trait]
impl Names for RemoteIdentity {
    async fn people(
        &self,
        scope: &TenantScope,
        ids: &[PersonId],
    ) -> Result<HashMap<PersonId, String>, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.neighbour.ask(asking, "people", Some(scope), ids).await
    }

    async fn keys(
        &self,
        scope: &TenantScope,
        ids: &[ApiKeyId],
    ) -> Result<HashMap<ApiKeyId, String>, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.neighbour.ask(asking, "keys", Some(scope), ids).await
    }
}

/// Answers for `identity`, which also knows what people are called.
pub fn answer<I: Identity + Names + Clone + 'static>(
    answering: Answering,
    identity: &I,
) -> Answering {
    let [session, api_key, device, still, people, keys] = [0; 6].map(|_| identity.clone());
    answering
        .on_any("session", move |shown: Shown| {
            let identity = session.clone();
            async move { identity.session(&shown.text, shown.from).await }
        })
        .on_any("api-key", move |shown: Shown| {
            let identity = api_key.clone();
            async move { identity.api_key(&shown.text, shown.from).await }
        })
        .on_any("device", move |asks: DeviceAsks| {
            let identity = device.clone();
            async move { identity.device(&asks).await }
        })
        .on("is-still", move |scope, ()| {
            let identity = still.clone();
            async move { identity.is_still(&scope).await }
        })
        .on("people", move |scope, ids: Vec<PersonId>| {
            let identity = people.clone();
            async move { identity.people(&scope, &ids).await }
        })
        .on("keys", move |scope, ids: Vec<ApiKeyId>| {
            let identity = keys.clone();
            async move { identity.keys(&scope, &ids).await }
        })
}

/// How Identity is asked; whoever `goes_on` without its answer waits for little of it.
fn asking(goes_on: bool) -> Asking {
    match goes_on {
        true => Asking::REPEATABLE.within(ADMITTED_ASKED),
        false => Asking::REPEATABLE,
    }
}

fn key(door: &str, text: &str) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(door.as_bytes());
    context.update(&[0]);
    context.update(text.as_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

fn called_from(mut admitted: Admitted, from: Option<IpAddr>) -> Admitted {
    admitted.acting.from = from.map(plain);
    admitted
}
