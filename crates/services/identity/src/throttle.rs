//! Slows down who guesses, and not who is guessed at. Failures count against
//! the account from one network (/24, /64) or, for a browser that its person
//! signed in from before, against the account from that browser: whoever
//! fails elsewhere can't lock it out. A network that tries many accounts waits
//! too, and a storm from everywhere holds back every answer to a new browser.

use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::db::Tx;
use hilum_platform::http::database_error;

use crate::IdentityService;
use crate::domain::backoff::{slowed, wait};
use crate::domain::settings::millis;
use crate::limits::{
    FAILURES_FORGOTTEN, FAILURES_FORGOTTEN_ALL, FAILURES_FREE, FAILURES_FREE_NETWORK,
};
use crate::secret::{Hash, hash_of};
use crate::store::attempts;
use crate::visit::Visit;
use hilum_platform::network::network_of;

/// What stands before the address of who asks for a link, which counts apart.
pub(crate) const RESET: &str = "reset ";

/// An attempt that was counted as a failure before it was made, so that many
/// at once count as many.
pub(crate) struct Attempt {
    own: Hash,
    network: Option<Hash>,
    everybody: Option<Hash>,
}

impl IdentityService {
    /// Counts an attempt at `account`, an address as `platform::email` writes it,
    /// whether or not anybody has it.
    ///
    /// # Errors
    /// `TooMany` when it comes too soon.
    pub(crate) async fn attempt(
        &self,
        account: &str,
        visit: &Visit,
    ) -> Result<Attempt, ServiceError> {
        let failed = |error| database_error(&error);
        let now = self.clock.now_millis();
        let mut browser = None;
        if let Some(hash) = visit.browser
            && self
                .store
                .knows_browser(&hash, account, now)
                .await
                .map_err(failed)?
        {
            browser = Some(hash);
        }
        let attempt = keys_of(account, visit, browser);
        let forgotten = millis(FAILURES_FORGOTTEN);
        let mut tx = self.store.begin().await.map_err(failed)?;
        let limits = [
            (Some(attempt.own), FAILURES_FREE),
            (attempt.network, FAILURES_FREE_NETWORK),
        ];
        for (key, free) in limits {
            let Some(key) = key else { continue };
            let count = attempts::get(&mut tx, &key, now, forgotten)
                .await
                .map_err(failed)?;
            let until = count.last_at + millis(wait(count.failures, free));
            if now < until {
                // What this try was counted as goes with it: waiting is answer enough.
                tx.rollback().await.map_err(failed)?;
                self.tell_throttled(account, visit).await?;
                let seconds = (until - now + 999) / 1_000;
                let text = format!("Too many tries: wait {seconds} seconds and try again.");
                return Err(ServiceError::new(ErrorCode::TooMany, text));
            }
            attempts::count(&mut tx, &key, now, forgotten)
                .await
                .map_err(failed)?;
        }
        let mut slow = std::time::Duration::ZERO;
        if let Some(key) = &attempt.everybody {
            let forgotten = millis(FAILURES_FORGOTTEN_ALL);
            let count = attempts::get(&mut tx, key, now, forgotten)
                .await
                .map_err(failed)?;
            slow = slowed(count.failures);
            attempts::count(&mut tx, key, now, forgotten)
                .await
                .map_err(failed)?;
        }
        tx.commit().await.map_err(failed)?;
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        Ok(attempt)
    }

    /// Records a try that came too soon.
    async fn tell_throttled(&self, account: &str, visit: &Visit) -> Result<(), ServiceError> {
        let account = account.strip_prefix(RESET).unwrap_or(account);
        let person = self.store.person_by_email(account).await;
        let person = person.map_err(|error| database_error(&error))?;
        // What counts apart for somebody who is known ends with their id.
        let by_id = || account.rsplit_once(' ')?.1.parse().ok();
        let person = person.map(|person| person.id).or_else(by_id);
        self.tell_failure(person, account, visit, "too-many").await
    }
}

impl Attempt {
    /// It was no failure.
    pub(crate) async fn succeeded(&self, tx: &mut Tx) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        attempts::reset(tx, &self.own).await.map_err(failed)?;
        for key in [&self.network, &self.everybody].into_iter().flatten() {
            attempts::discount(tx, key).await.map_err(failed)?;
        }
        Ok(())
    }
}

fn keys_of(account: &str, visit: &Visit, known_browser: Option<Hash>) -> Attempt {
    if let Some(browser) = known_browser {
        return Attempt {
            own: hash_of(&[b"browser", account.as_bytes(), &browser]),
            network: None,
            everybody: None,
        };
    }
    let network = network_of(visit.caller.address).to_string();
    Attempt {
        own: hash_of(&[b"account", account.as_bytes(), network.as_bytes()]),
        network: Some(hash_of(&[b"network", network.as_bytes()])),
        everybody: Some(hash_of(&[b"everybody", b""])),
    }
}
