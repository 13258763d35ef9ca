//! Passes: what this service answers to its neighbours is signed, so that none of them
//! has to ask again, and what ends is told to all of them.
//!
//! The order that makes it right: a pass bears a time from before its session was read,
//! and an ending one from after it was committed, both of one clock that never goes
//! back. So whatever was read before a commit is older than the ending of that commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hilum_contracts::error::ServiceError;
use hilum_contracts::identity::Admitted;
use hilum_contracts::ids::TenantId;
use hilum_platform::db::DbError;
use hilum_platform::http::database_error;
use hilum_platform::limits::{PASS_ENDED_MAX, PASS_KEY_LIFE, PASS_LIFE, PASS_TOLD_EVERY};
use hilum_platform::passes::{Known, Pass, Passes, Shown, Signer};
use tokio_util::sync::CancellationToken;

use crate::IdentityService;
use crate::domain::settings::millis;
use crate::limits::PASS_KEY_AGAIN;
use crate::store::passes::PassKey;

/// As what the private half of a key is sealed.
const SEALED_AS: &str = "pass key";

/// What signing needs.
pub(crate) struct Issuing {
    passes: Passes,
    /// Neighbours there are.
    told: bool,
    /// The latest time that a pass or an ending bears.
    last: Mutex<i64>,
    signing: Mutex<Option<Signing>>,
    /// One tells at a time, so that less never follows more.
    telling: tokio::sync::Mutex<()>,
}

/// Who signs now.
#[derive(Clone)]
struct Signing {
    signer: Arc<Signer>,
    made_at: i64,
}

impl Issuing {
    pub(crate) fn new(passes: Passes, told: bool) -> Self {
        Self {
            passes,
            told,
            last: Mutex::default(),
            signing: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
        }
    }

    /// Whether there are others to be told.
    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    /// For a pass about what is read from now on.
    pub(crate) fn stamp(&self, now: i64) -> i64 {
        let mut last = self.last();
        *last = now.max(*last);
        *last
    }

    /// For what was committed before: later than every pass.
    fn after_all(&self, now: i64) -> i64 {
        let mut last = self.last();
        *last = now.max(last.saturating_add(1));
        *last
    }

    fn signing(&self) -> MutexGuard<'_, Option<Signing>> {
        self.signing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signer(&self) -> Option<Arc<Signer>> {
        self.signing().as_ref().map(|one| Arc::clone(&one.signer))
    }

    fn last(&self) -> MutexGuard<'_, i64> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdentityService {
    /// The pass of who was admitted; none where nobody needs one or it can't be signed.
    /// `until` their session or key ends by itself.
    pub(crate) fn pass(
        &self,
        (door, shown): (&str, &str),
        admitted: &Admitted,
        issued: i64,
        until: i64,
    ) -> Option<String> {
        let signer = self.issuing.signer()?;
        let until = until.min(issued.saturating_add(millis(PASS_LIFE)));
        let shown = Shown::new(door, shown);
        Some(Pass::new(&shown, admitted, issued, until).signed(&signer))
    }

    /// Something may have ended, and is committed: no answer from before holds, here
    /// or elsewhere.
    pub(crate) async fn something_ended(&self) {
        self.answers.empty();
        if self.issuing.told
            && let Err(error) = self.tell_endings().await
        {
            // It is told again every minute.
            tracing::error!(%error, "what ended could not be told to other processes");
        }
    }

    /// Tells what ended, if others were not told yet.
    async fn tell_endings(&self) -> Result<(), DbError> {
        match self.store.has_untold_endings().await? {
            true => self.tell_passes().await,
            false => Ok(()),
        }
    }

    /// What was told before this process started is older than whatever it tells.
    pub(crate) async fn open_passes(&self) -> Result<(), DbError> {
        let latest = self.store.endings(0, 1).await?;
        if let Some((_, at)) = latest.first() {
            self.issuing.stamp(*at);
        }
        match self.issuing.told {
            true => self.tell_passes().await,
            false => Ok(()),
        }
    }

    /// Tells who signs and what ended.
    pub(crate) async fn tell_passes(&self) -> Result<(), DbError> {
        let _alone = self.issuing.telling.lock().await;
        let at = self.issuing.after_all(self.clock.now_millis());
        if self.store.has_untold_endings().await? {
            self.store.date_endings(at).await?;
        }
        let oldest = at.saturating_sub(millis(PASS_LIFE));
        let most = u32::try_from(PASS_ENDED_MAX).unwrap_or(u32::MAX);
        let mut ended = self.store.endings(oldest, most.saturating_add(1)).await?;
        let floor = match ended.len() > PASS_ENDED_MAX {
            // Of the oldest moment not all may be among them.
            true => ended.pop().map_or(0, |(_, at)| at),
            false => 0,
        };
        let since = oldest.saturating_sub(millis(PASS_KEY_LIFE));
        let believed = millis(PASS_KEY_LIFE.saturating_add(PASS_LIFE));
        let signers = self.store.pass_keys(since).await?.into_iter();
        let known = Known {
            told: at,
            signers: signers
                .map(|key| (key.public, key.made_at.saturating_add(believed)))
                .collect::<BTreeMap<_, _>>(),
            ended: ended.into_iter().collect(),
            floor,
        };
        let signer = self.issuing.signer();
        self.issuing.passes.tell(known, signer.as_deref()).await;
        Ok(())
    }

    /// Has a key to sign with, and tells it all again from time to time, until `stop`:
    /// what could not be told, and to a shared cache that lost it. The keys that seal
    /// its own may be away: nobody's request waits for them.
    pub(crate) async fn run_passes(self, stop: CancellationToken) {
        if !self.issuing.told {
            return;
        }
        loop {
            let pause = match self.sign_from_now_on().await {
                Ok(()) => PASS_TOLD_EVERY,
                Err(error) => {
                    tracing::warn!(%error, "passes can't be signed: other processes ask more often");
                    PASS_KEY_AGAIN
                }
            };
            if let Err(error) = self.tell_passes().await {
                tracing::error!(%error, "what ended could not be told to other processes");
            }
            let pause = stop.run_until_cancelled(tokio::time::sleep(pause));
            if pause.await.is_none() {
                return;
            }
        }
    }

    /// Has a key that is young enough.
    pub(crate) async fn sign_from_now_on(&self) -> Result<(), ServiceError> {
        let now = self.clock.now_millis();
        let is_young = |one: &Signing| now < one.made_at.saturating_add(millis(PASS_KEY_LIFE));
        if !self.issuing.signing().as_ref().is_some_and(is_young) {
            let signing = self.signing_from_store(now).await?;
            // Others know it before they meet what it signed.
            let told = self.tell_passes().await;
            told.map_err(|error| database_error(&error))?;
            *self.issuing.signing() = Some(signing);
        }
        Ok(())
    }

    /// The newest key while it is young enough, or a new one.
    async fn signing_from_store(&self, now: i64) -> Result<Signing, ServiceError> {
        let failed = |error| database_error(&error);
        let installation = TenantId::installation();
        let refused = |_| ServiceError::internal("The cipher failed.");
        let since = now.saturating_sub(millis(PASS_KEY_LIFE)).saturating_add(1);
        let kept = self.store.pass_keys(since).await.map_err(failed)?;
        if let Some(key) = kept.into_iter().find(|key| key.made_at <= now) {
            let opened = self
                .sealer
                .open(&installation, SEALED_AS, &key.sealed)
                .await?;
            // One of a database that came without its keys is of no use.
            if let Some(signer) = opened.and_then(|private| Signer::of(&private).ok()) {
                return Ok(Signing {
                    signer: Arc::new(signer),
                    made_at: key.made_at,
                });
            }
        }
        let (signer, private) = Signer::new().map_err(refused)?;
        let key = PassKey {
            public: signer.public().to_owned(),
            sealed: self.sealer.seal(&installation, SEALED_AS, &private).await?,
            made_at: now,
        };
        self.store.keep_pass_key(&key).await.map_err(failed)?;
        Ok(Signing {
            signer: Arc::new(signer),
            made_at: now,
        })
    }
}
