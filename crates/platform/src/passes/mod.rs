//! Passes: what Identity says of who showed a session or a key, signed, so that any
//! process lets them in without asking (docs/adr/0028-passes.md). [`Pass`] is the statement;
//! [`Passes`] is what a process knows of who signs and of what ended since, which it is
//! told by Identity ([`crate::remote::passes`]) or, when that does not answer, by what
//! Identity left in the shared cache. A pass never changes and is never taken back:
//! whether it holds is asked of what is known now, whenever it is used.

mod pass;
mod signing;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use pass::{Pass, Shown, subject};
pub use signing::{Signed, Signer};

use crate::cache::{Outcome, Purpose, Shared};
use crate::clock::SharedClock;
use crate::limits::{CACHE_WITHIN, PASS_LIFE, PASS_SKEW, PASS_TOLD_MAX, PASS_TOLD_WITHIN};

/// What Identity tells of itself in the shared cache.
const TOLD: Purpose = Purpose {
    name: "passes",
    bytes: PASS_TOLD_MAX,
    within: PASS_TOLD_WITHIN,
};

/// Who signs passes, and which of them hold no more. Fields are only added: a process
/// of another release reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// When Identity said so: each time is later than those before.
    pub told: i64,
    /// Public keys, and until when what they signed is taken.
    pub signers: BTreeMap<String, i64>,
    /// What ended ([`subject`]), and when: a pass from before holds no more.
    pub ended: BTreeMap<String, i64>,
    /// A pass from before this holds no more: too much ended to tell each.
    pub floor: i64,
}

/// Why something that was kept is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Nobody who signs passes has made it, for this.
    Forged,
    /// It holds no more, or was signed by somebody who is not known to sign now.
    Over,
}

impl Unfit {
    /// What it is to a cache.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Forged => Outcome::Refused,
            Self::Over => Outcome::Stale,
        }
    }
}

/// The newest [`Known`], shared by everything in this process.
#[derive(Clone)]
pub struct Passes(Arc<Inner>);

struct Inner {
    known: watch::Sender<Arc<Known>>,
    clock: SharedClock,
    shared: Option<Shared>,
}

impl Passes {
    /// Nothing is known yet. Processes find what another was told in `shared`.
    #[must_use]
    pub fn new(clock: SharedClock, shared: Option<Shared>) -> Self {
        if shared.is_some() {
            TOLD.counts_from_zero();
        }
        Self(Arc::new(Inner {
            known: watch::Sender::default(),
            clock,
            shared,
        }))
    }

    /// What is known now.
    #[must_use]
    pub fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.known.borrow())
    }

    /// Is told of every change from now on.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Known>> {
        self.0.known.subscribe()
    }

    /// The cache that processes share.
    #[must_use]
    pub fn shared(&self) -> Option<&Shared> {
        self.0.shared.as_ref()
    }

    /// Now, by the clock that passes are read with.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.clock.now_millis()
    }

    /// Identity said so.
    pub fn heard(&self, told: Known) {
        let now = self.now();
        self.0.known.send_modify(|known| {
            *known = Arc::new(joined(known, told, now));
        });
    }

    /// Says it in this process and, under the signature of `signer`, to all by the
    /// shared cache.
    pub async fn tell(&self, known: Known, signer: Option<&Signer>) {
        let text = serde_json::to_string(&known).unwrap_or_default();
        self.0.known.send_replace(Arc::new(known));
        if let (Some(shared), Some(signer)) = (&self.0.shared, signer) {
            let signed = signer.sign(TOLD.name, text).written();
            let shared = shared.clone();
            let put = tokio::spawn(async move {
                shared.put(TOLD, TOLD.name, &signed, PASS_LIFE).await;
            });
            // Whoever ended something waits no longer than any request does.
            let _there = tokio::time::timeout(CACHE_WITHIN, put).await;
        }
    }

    /// Looks in the shared cache for what Identity said last: for who can't ask it.
    pub async fn learn(&self) {
        let Some(shared) = &self.0.shared else {
            return;
        };
        let Some(bytes) = shared.get(TOLD, TOLD.name).await else {
            return;
        };
        let told = self.verified(TOLD.name, &bytes).and_then(|text| {
            let told: Result<Known, _> = serde_json::from_str(&text);
            told.map_err(|_| Unfit::Forged)
        });
        let told = match told {
            Ok(told) => told,
            Err(unfit) => {
                shared.came(TOLD, unfit.outcome());
                return;
            }
        };
        shared.came(TOLD, Outcome::Hit);
        if told.told > self.known().told {
            self.heard(told);
        }
    }

    /// The pass that was kept sealed for who shows this.
    ///
    /// # Errors
    /// [`Unfit`] when it is none, or holds no more.
    pub fn open(&self, shown: &Shown, sealed: &[u8]) -> Result<Pass, Unfit> {
        let signed = shown.open(sealed).ok_or(Unfit::Forged)?;
        let text = self.verified(pass::WHAT, &signed)?;
        let pass = Pass::read(&text, shown).ok_or(Unfit::Forged)?;
        match self.hold(&pass) {
            true => Ok(pass),
            false => Err(Unfit::Over),
        }
    }

    /// Whether a pass holds now.
    #[must_use]
    pub fn hold(&self, pass: &Pass) -> bool {
        let (known, now) = (self.known(), self.now());
        let ended = subject(&pass.acting.principal)
            .is_none_or(|of| known.ended.get(&of).is_some_and(|at| pass.issued < *at));
        !ended
            && pass.issued >= known.floor
            && now < pass.until
            && pass.issued <= now.saturating_add(millis(PASS_SKEW))
    }

    /// What somebody signed as `what` who is known to sign.
    fn verified(&self, what: &str, signed: &[u8]) -> Result<String, Unfit> {
        let signed = Signed::read(signed).ok_or(Unfit::Forged)?;
        let known = self.known();
        let until = known.signers.get(signed.by()).ok_or(Unfit::Over)?;
        if self.now() >= *until {
            return Err(Unfit::Over);
        }
        signed.verified(what).ok_or(Unfit::Forged)
    }
}

/// What is known after something was told: endings are forgotten by time only, whatever
/// a database that was restored knows of them.
fn joined(known: &Known, told: Known, now: i64) -> Known {
    let mut ended = told.ended;
    let oldest = now.saturating_sub(millis(PASS_LIFE));
    for (subject, at) in known.ended.iter().filter(|(_, at)| **at >= oldest) {
        let kept = ended.entry(subject.clone()).or_insert(*at);
        *kept = (*kept).max(*at);
    }
    Known {
        ended,
        floor: told.floor.max(known.floor),
        ..told
    }
}

pub(crate) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
