//! Identity over the network: both ends. Who asks keeps the pass that it is answered
//! with, here and for the others, and lets in by it: without asking while it is fresh,
//! and for hours when Identity does not answer. Devices are let in by what the
//! [`Directory`] knows, without asking at all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::identity::{Admitted, DeviceAdmission, DeviceAsks, Identity, Names};
use hilum_contracts::ids::{ApiKeyId, PersonId};
use hilum_contracts::scope::{Principal, TenantScope};
use serde::{Deserialize, Serialize};

use super::{Answering, Asking, Neighbour};
use crate::cache::{Near, Outcome, Purpose};
use crate::limits::{
    ADMITTED_ASKED, ADMITTED_FRESH, ADMITTED_MAX, CACHE_VALUE_MAX, CACHE_WITHIN, PASS_FRESH,
    PASS_LIFE,
};
use crate::network::plain;
use crate::passes::{Pass, Passes, Shown as Seal, millis};
use crate::tenants::Directory;

/// Who was let in.
const ADMISSION: Purpose = Purpose {
    name: "admission",
    bytes: CACHE_VALUE_MAX,
    within: CACHE_WITHIN,
};

/// Identity in another process.
#[derive(Clone)]
pub struct RemoteIdentity {
    neighbour: Neighbour,
    directory: Directory,
    passes: Passes,
    kept: Near<Kept>,
}

/// What Identity said, as it is kept under a hash of what was shown: secrets are not
/// kept.
#[derive(Clone)]
enum Kept {
    /// With its signature.
    Pass(Box<Pass>),
    /// Without: then this process alone knows it, and when it was said.
    Word(Box<Admitted>, Instant),
}

impl Kept {
    fn admitted(&self) -> Admitted {
        match self {
            Self::Pass(pass) => pass.admitted(),
            Self::Word(admitted, _) => Admitted::clone(admitted),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Shown {
    text: String,
    from: Option<IpAddr>,
}

impl RemoteIdentity {
    /// What `neighbour` answers; tenants and devices by what `directory` knows, passes
    /// by what `passes` does.
    #[must_use]
    pub fn new(neighbour: Neighbour, directory: Directory, passes: Passes) -> Self {
        if passes.shared().is_some() {
            ADMISSION.counts_from_zero();
        }
        Self {
            neighbour,
            directory,
            passes,
            kept: Near::new(ADMISSION, ADMITTED_MAX, PASS_LIFE),
        }
    }

    /// The way to it.
    #[must_use]
    pub fn neighbour(&self) -> Neighbour {
        self.neighbour.clone()
    }

    async fn admitted(
        &self,
        door: &str,
        text: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Admitted>, ServiceError> {
        let seal = Seal::new(door, text);
        if let Some(fresh) = self.kept.get(seal.name(), |kept| self.is_fresh(kept)) {
            return Ok(Some(called_from(fresh.admitted(), from)));
        }
        let known = self.found(&seal).await.filter(|kept| self.holds(kept));
        if let Some(fresh) = known.as_ref().filter(|kept| self.is_fresh(kept)) {
            return Ok(Some(called_from(fresh.admitted(), from)));
        }
        let shown = Shown {
            text: text.to_owned(),
            from,
        };
        let asking = asking(known.is_some());
        let told: Result<Option<Admitted>, _> =
            self.neighbour.ask(asking, door, None, &shown).await;
        match told {
            Ok(Some(admitted)) => {
                self.keep(&seal, &admitted);
                Ok(Some(called_from(admitted, from)))
            }
            Ok(None) => {
                self.kept.remove(seal.name());
                Ok(None)
            }
            // It may have ended while Identity was asked.
            Err(error) if error.code == ErrorCode::Unavailable => {
                match known.filter(|kept| self.holds(kept)) {
                    Some(known) => {
                        metrics::counter!("hilum_admitted_without_identity_total").increment(1);
                        Ok(Some(called_from(known.admitted(), from)))
                    }
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// What another process has found out, or this one: the newer of both.
    async fn found(&self, seal: &Seal) -> Option<Kept> {
        let near = self.kept.peek(seal.name());
        let Some(shared) = self.passes.shared() else {
            return near;
        };
        let Some(bytes) = shared.get(ADMISSION, &seal.written()).await else {
            return near;
        };
        let pass = match self.passes.open(seal, &bytes) {
            Ok(pass) => pass,
            Err(unfit) => {
                shared.came(ADMISSION, unfit.outcome());
                return near;
            }
        };
        if let Some(Kept::Pass(near)) = &near
            && near.issued >= pass.issued
        {
            shared.came(ADMISSION, Outcome::Stale);
            return Some(Kept::Pass(near.clone()));
        }
        let kept = Kept::Pass(Box::new(pass));
        let is_fresh = self.is_fresh(&kept);
        shared.came(
            ADMISSION,
            if is_fresh {
                Outcome::Hit
            } else {
                Outcome::Stale
            },
        );
        self.kept.put(*seal.name(), kept.clone());
        Some(kept)
    }

    fn keep(&self, seal: &Seal, admitted: &Admitted) {
        let signed = admitted.pass.as_deref();
        let pass = signed.and_then(|signed| Pass::of_answer(signed, seal));
        let (Some(signed), Some(pass)) = (signed, pass) else {
            let kept = Kept::Word(Box::new(admitted.clone()), Instant::now());
            self.kept.put(*seal.name(), kept);
            return;
        };
        let left = u64::try_from(pass.until.saturating_sub(self.passes.now())).unwrap_or_default();
        if let (Some(shared), Some(sealed)) = (self.passes.shared(), seal.seal(signed)) {
            let life = Duration::from_millis(left).min(PASS_LIFE);
            shared.put_later(ADMISSION, seal.written(), sealed, life);
        }
        self.kept.put(*seal.name(), Kept::Pass(Box::new(pass)));
    }

    /// Whether nobody needs to be asked.
    fn is_fresh(&self, kept: &Kept) -> bool {
        self.holds(kept)
            && match kept {
                Kept::Pass(pass) => {
                    let age = self.passes.now().saturating_sub(pass.issued);
                    age < millis(PASS_FRESH)
                }
                Kept::Word(_, at) => at.elapsed() < ADMITTED_FRESH,
            }
    }

    /// Whether it is good enough while Identity does not answer.
    fn holds(&self, kept: &Kept) -> bool {
        match kept {
            Kept::Pass(pass) => {
                let known = self.directory.known();
                known.tenant(&pass.tenant).is_some() && self.passes.hold(pass)
            }
            Kept::Word(_, at) => at.elapsed() < PASS_LIFE,
        }
    }

    /// Whether somebody was let in as this principal not long ago.
    fn knows(&self, principal: &Principal) -> bool {
        self.kept.any(|kept| {
            let is = match kept {
                Kept::Pass(pass) => pass.acting.principal == *principal,
                Kept::Word(admitted, _) => admitted.acting.principal == *principal,
            };
            is && self.holds(kept)
        })
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

fn called_from(mut admitted: Admitted, from: Option<IpAddr>) -> Admitted {
    admitted.acting.from = from.map(plain);
    admitted
}
