//! What an administrator does with destinations, each in one transaction with its
//! entry in the audit trail.

use hilum_contracts::audit::{Act, Detail, Entry, Outcome};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::db::{DbError, Tx};
use hilum_platform::http::database_error;
use hilum_platform::notices::Topic;
use hilum_platform::reach::is_out_of_reach;
use hilum_platform::scope::TenantScope;
use zeroize::Zeroizing;

use crate::IntegrationService;
use crate::domain::settings::{Kind, Settings};
use crate::domain::target::Target;
use crate::limits::{DESTINATIONS, FORMER_SECRET, LOOK_UP, TEST_PAUSE};
use crate::secrets::new_webhook_secret;
use crate::sending::probe;
use crate::store::destinations::{self, Made, Updated};

fn failed(error: DbError) -> ServiceError {
    database_error(&error)
}

fn missing() -> ServiceError {
    ServiceError::not_found("There is no such destination.")
}

fn name_taken() -> ServiceError {
    let text = "There is a destination of this name already: choose another.";
    ServiceError::new(ErrorCode::Conflict, text)
}

/// What came of a test.
pub(crate) struct Tested {
    pub(crate) reached: bool,
    pub(crate) message: String,
}

impl IntegrationService {
    /// A destination that a tenant may change.
    pub(crate) async fn own(&self, scope: &TenantScope, id: &str) -> Result<Made, ServiceError> {
        let found = self.store.destination(scope, id).await.map_err(failed)?;
        match found {
            Some(made) => Ok(made),
            None if self.configured(scope, id).is_some() => Err(ServiceError::new(
                ErrorCode::Conflict,
                "The configuration file names this destination: its operator changes it there.",
            )),
            None => Err(missing()),
        }
    }

    /// Makes a destination. The secret of a webhook, which is told this once.
    pub(crate) async fn make(
        &self,
        scope: &TenantScope,
        mut made: Made,
        secret: Option<&str>,
    ) -> Result<(Made, Option<Zeroizing<String>>), ServiceError> {
        self.check(scope, &made).await?;
        let own = match made.settings.kind {
            Kind::Webhook => Some(new_webhook_secret()?),
            Kind::Dicom | Kind::Stow | Kind::Mail => None,
        };
        let secret = own.as_ref().map(|own| own.as_str()).or(secret);
        if let Some(secret) = secret {
            made.secret = Some(self.seal(scope, &made.id, &[secret]).await?);
        }
        let mut tx = self.begin(scope).await?;
        if !destinations::insert(&mut tx, scope, &made, DESTINATIONS)
            .await
            .map_err(failed)?
        {
            let text = format!(
                "There is a destination of this name already, or there are {DESTINATIONS}."
            );
            return Err(ServiceError::new(ErrorCode::Conflict, text));
        }
        let entry = told(&made.name, "added").with(Detail::Setting, made.settings.kind.name());
        self.end(tx, scope, entry).await?;
        Ok((made, own))
    }

    /// Changes a destination that was read as `before`. `what`: the fields that were
    /// given.
    pub(crate) async fn change(
        &self,
        scope: &TenantScope,
        before: &Made,
        mut made: Made,
        what: &str,
    ) -> Result<(), ServiceError> {
        self.check(scope, &made).await?;
        // By it others see that it was changed.
        made.changed_at = self.clock.now_millis().max(before.changed_at + 1);
        let change = match (before.paused, made.paused) {
            (false, true) => "paused",
            (true, false) => "resumed",
            _ => "changed",
        };
        let entry = told(&made.name, change).with(Detail::Setting, what);
        self.write(scope, before, &made, entry).await
    }

    /// Gives a webhook a new secret, which is told this once; the former one signs,
    /// too, until the returned time.
    pub(crate) async fn renew_secret(
        &self,
        scope: &TenantScope,
        before: &Made,
    ) -> Result<(Zeroizing<String>, i64), ServiceError> {
        if before.settings.kind != Kind::Webhook {
            let text = "Only a webhook's secret is made here. Change the destination to give it \
                        another token or password.";
            return Err(ServiceError::new(ErrorCode::Conflict, text));
        }
        let former = self.unseal(scope, before).await?;
        let fresh = new_webhook_secret()?;
        let both: Vec<&str> = std::iter::once(fresh.as_str())
            .chain(former.first().map(|former| former.as_str()))
            .collect();
        let now = self.clock.now_millis().max(before.changed_at + 1);
        let kept = i64::try_from(FORMER_SECRET.as_millis()).unwrap_or(i64::MAX);
        let until = now.saturating_add(kept);
        let mut made = before.clone();
        made.secret = Some(self.seal(scope, &made.id, &both).await?);
        made.settings.former_until = Some(until);
        made.changed_at = now;
        let entry = told(&made.name, "secret-renewed");
        self.write(scope, before, &made, entry).await?;
        Ok((fresh, until))
    }

    /// Removes a destination; what waits for it is given up.
    pub(crate) async fn remove(&self, scope: &TenantScope, id: &str) -> Result<(), ServiceError> {
        self.own(scope, id).await?;
        let mut tx = self.begin(scope).await?;
        let now = self.clock.now_millis();
        let gone = destinations::remove(&mut tx, scope, id, now).await;
        let name = gone.map_err(failed)?.ok_or_else(missing)?;
        self.end(tx, scope, told(&name, "removed")).await
    }

    /// Tests a destination, of the configuration as well.
    pub(crate) async fn test(&self, scope: &TenantScope, id: &str) -> Result<Tested, ServiceError> {
        let too_many = || {
            let text = "It was tested a moment ago, or many are: wait some seconds.";
            ServiceError::new(ErrorCode::TooMany, text)
        };
        let _turn = self.tests.try_acquire().map_err(|_| too_many())?;
        let target = match self.store.destination(scope, id).await.map_err(failed)? {
            Some(made) => {
                let now = self.clock.now_millis();
                let pause = i64::try_from(TEST_PAUSE.as_millis()).unwrap_or(i64::MAX);
                let begun = self.store.begin_test(scope, id, now, now - pause).await;
                if !begun.map_err(failed)? {
                    return Err(too_many());
                }
                self.target(scope, made).await?
            }
            None => match self.configured(scope, id) {
                Some(destination) => Target::configured(destination),
                None => return Err(missing()),
            },
        };
        let answer = probe(self, scope.tenant(), &target).await;
        let outcome = match answer {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Failed,
        };
        let entry = told(&target.name, "tested").ended(outcome);
        let tx = self.begin(scope).await?;
        self.end(tx, scope, entry).await?;
        Ok(Tested {
            reached: answer.is_ok(),
            message: answer.map_or_else(|why| why, ToOwned::to_owned),
        })
    }

    /// What no single field shows.
    async fn check(&self, scope: &TenantScope, made: &Made) -> Result<(), ServiceError> {
        if self.configured(scope, &made.name).is_some() {
            return Err(name_taken());
        }
        if made.settings.kind == Kind::Mail && self.mail.is_none() {
            let text = "This installation has no mail server: its operator configures one.";
            return Err(ServiceError::new(ErrorCode::Conflict, text));
        }
        self.check_reach(&made.settings).await
    }

    /// Says now what would fail later: who is asked is looked at again at each
    /// connection.
    async fn check_reach(&self, settings: &Settings) -> Result<(), ServiceError> {
        let Some(address) = settings.host_and_port() else {
            return Ok(());
        };
        let found = tokio::time::timeout(LOOK_UP, self.reach.look_up(&address)).await;
        match found {
            Ok(Err(error)) if is_out_of_reach(&error) => Err(ServiceError::invalid(
                "This address is within a network that is not public, and this installation does \
                 not allow it. Ask its operator for it (`deliveries.networks`).",
            )),
            // A name may be there tomorrow.
            _ => Ok(()),
        }
    }

    async fn begin(&self, scope: &TenantScope) -> Result<Tx, ServiceError> {
        let mut tx = self.store.db().begin(scope).await.map_err(failed)?;
        destinations::lock(&mut tx, scope).await.map_err(failed)?;
        Ok(tx)
    }

    async fn write(
        &self,
        scope: &TenantScope,
        before: &Made,
        made: &Made,
        entry: Entry,
    ) -> Result<(), ServiceError> {
        let mut tx = self.begin(scope).await?;
        let updated = destinations::update(&mut tx, scope, made, before.changed_at).await;
        match updated.map_err(failed)? {
            Updated::Done => self.end(tx, scope, entry).await,
            Updated::NameTaken => Err(name_taken()),
            Updated::Changed => {
                let text = "It was changed or removed a moment ago: look at it, then try again.";
                Err(ServiceError::new(ErrorCode::Conflict, text))
            }
        }
    }

    /// Records and commits, and has everybody look.
    async fn end(&self, mut tx: Tx, scope: &TenantScope, entry: Entry) -> Result<(), ServiceError> {
        let recorded = self.trail.append(&mut tx, scope, entry).await;
        recorded.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.ring();
        self.notices
            .tell(scope.tenant(), Topic::Administration, None);
        self.notices.tell(scope.tenant(), Topic::Deliveries, None);
        Ok(())
    }
}

fn told(name: &str, change: &str) -> Entry {
    Entry::new(Act::ChangeSettings)
        .with(Detail::Destination, name)
        .with(Detail::Change, change)
}
