//! Sends mails, one after the other, and tries again what a server did not
//! take. A link's token is made at each try and kept as a hash: whoever reads
//! the database finds no link that works.

use std::sync::Arc;
use std::time::Duration;

use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::PersonId;
use hilum_platform::auth;
use hilum_platform::config;
use hilum_platform::db::{DbError, Tx};
use hilum_platform::http::database_error;
use hilum_platform::mail::{self, Mailer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::IdentityService;
use crate::domain::letters::{self, Letter};
use crate::domain::settings::millis;
use crate::limits::{
    INVITATION_LIFE, MAIL_BACKOFF, MAIL_BACKOFF_MAX, MAIL_BATCH, MAIL_LIFE, MAIL_POLL, RESET_LIFE,
    VERIFY_LIFE,
};
use crate::secret::Token;
use crate::store::mails::{self, Due, Mail};
use crate::store::people::Person;
use crate::store::tokens::{self, Purpose};
use crate::store::{invitations, new_addresses};

/// The way to the mail server, and what rings when something is on its way.
#[derive(Clone)]
pub(crate) struct Post {
    mailer: Mailer,
    bell: Arc<Notify>,
}

impl Post {
    pub(crate) fn new(mail: &config::Mail) -> Result<Self, ServiceError> {
        Ok(Self {
            mailer: Mailer::new(mail).map_err(ServiceError::invalid)?,
            bell: Arc::default(),
        })
    }
}

/// How a mail went.
enum Sent {
    /// The server has it, or it is about what is no longer there.
    Done,
    /// The server did not take it.
    Failed(&'static str),
}

impl IdentityService {
    /// Puts a mail on its way in the transaction of what it tells; whether
    /// there is a way.
    pub(crate) async fn send(&self, tx: &mut Tx, mail: Mail) -> Result<bool, DbError> {
        let Some(post) = &self.post else {
            return Ok(false);
        };
        let now = self.clock.now_millis();
        let life = match mail {
            Mail::Reset(_) => RESET_LIFE,
            Mail::Invitation(..) => INVITATION_LIFE,
            _ => MAIL_LIFE,
        };
        mails::insert(tx, &mail, now, now + millis(life)).await?;
        post.bell.notify_one();
        Ok(true)
    }

    /// Sends what is due until it is stopped.
    pub(crate) async fn run_post(self, stop: CancellationToken) {
        let Some(post) = self.post.clone() else {
            return;
        };
        loop {
            match self.send_due(&post).await {
                // More may be due, but for those that just failed.
                Ok(sent) if sent > 0 => continue,
                Ok(_) => {}
                Err(error) => tracing::error!(error = %error.message, "mails can't be read"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = post.bell.notified() => {}
                () = tokio::time::sleep(MAIL_POLL) => {}
            }
        }
    }

    async fn send_due(&self, post: &Post) -> Result<usize, ServiceError> {
        let failed = |error| database_error(&error);
        let now = self.clock.now_millis();
        let due = self
            .store
            .mails_due(now, MAIL_BATCH)
            .await
            .map_err(failed)?;
        for one in &due {
            let how = self.send_one(post, one).await?;
            let mut tx = self.store.begin().await.map_err(failed)?;
            match how {
                Sent::Done => mails::delete(&mut tx, one.id).await.map_err(failed)?,
                Sent::Failed(why) if now >= one.ends_at => {
                    tracing::error!(why, "a mail was given up");
                    mails::delete(&mut tx, one.id).await.map_err(failed)?;
                }
                Sent::Failed(why) => {
                    let wait = MAIL_BACKOFF.saturating_mul(1 << one.attempts.min(16));
                    tracing::warn!(why, attempts = one.attempts + 1, "a mail was not sent");
                    let next_at = now + millis(wait.min(MAIL_BACKOFF_MAX));
                    mails::retry(&mut tx, one.id, next_at)
                        .await
                        .map_err(failed)?;
                }
            }
            tx.commit().await.map_err(failed)?;
        }
        Ok(due.len())
    }

    async fn send_one(&self, post: &Post, due: &Due) -> Result<Sent, ServiceError> {
        let Some((to, letter)) = self.written(&due.mail).await? else {
            return Ok(Sent::Done);
        };
        let sent = post.mailer.send(mail::Letter {
            to: &to,
            subject: &letter.subject,
            body: &letter.body,
            id: None,
        });
        Ok(match sent.await {
            Ok(()) => Sent::Done,
            Err(why) => Sent::Failed(why.text()),
        })
    }

    /// The address and text of a mail; nothing when it is about what is no
    /// longer there.
    async fn written(&self, mail: &Mail) -> Result<Option<(String, Letter)>, ServiceError> {
        let url = format!("{}/", self.rules.public_url);
        match mail {
            Mail::Invitation(tenant, id) => {
                let failed = |error| database_error(&error);
                let scope = auth::service(tenant, "identity");
                let Some(organisation) = self.store.tenant(&scope).await.map_err(failed)? else {
                    return Ok(None);
                };
                let token = Token::new()?;
                let mut tx = self.store.begin().await.map_err(failed)?;
                let found = invitations::get(&mut tx, &scope, *id).await;
                let Some(found) = found.map_err(failed)? else {
                    return Ok(None);
                };
                invitations::set_hash(&mut tx, &scope, *id, &token.hash())
                    .await
                    .map_err(failed)?;
                tx.commit().await.map_err(failed)?;
                let link = self.link("invitation", &token);
                let letter = letters::invitation(
                    &organisation.display_name,
                    &found.invited_by,
                    found.role.name(),
                    &link,
                );
                Ok(Some((found.email, letter)))
            }
            Mail::BreakGlass(tenant, person) => {
                let scope = auth::service(tenant, "identity");
                let organisation = self.store.tenant(&scope).await;
                let organisation = organisation.map_err(|error| database_error(&error))?;
                Ok(self.addressed(*person).await?.zip(organisation).map(
                    |(person, organisation)| {
                        let letter = letters::break_glass(&organisation.display_name, &url);
                        (person.email, letter)
                    },
                ))
            }
            Mail::HasAccount(person) => {
                let person = self.addressed(*person).await?;
                Ok(person.map(|person| (person.email, letters::has_account(&url))))
            }
            Mail::PasswordChanged(person) => {
                let person = self.addressed(*person).await?;
                Ok(person.map(|person| (person.email, letters::password_changed(&url))))
            }
            Mail::AddressAsked(_, before) => {
                Ok(Some((before.clone(), letters::address_asked(&url))))
            }
            Mail::AddressChanged(_, before) => {
                Ok(Some((before.clone(), letters::address_changed(&url))))
            }
            Mail::NewAddress(person) => self.with_new_address(*person).await,
            Mail::Reset(person) => self.with_token(*person, Purpose::Reset).await,
            Mail::Verify(person) => self.with_token(*person, Purpose::Verify).await,
        }
    }

    async fn addressed(&self, person: PersonId) -> Result<Option<Person>, ServiceError> {
        let person = self.store.person(person).await;
        person.map_err(|error| database_error(&error))
    }

    async fn with_new_address(
        &self,
        person: PersonId,
    ) -> Result<Option<(String, Letter)>, ServiceError> {
        let failed = |error| database_error(&error);
        let (token, now) = (Token::new()?, self.clock.now_millis());
        let expires_at = now + millis(VERIFY_LIFE);
        let mut tx = self.store.begin().await.map_err(failed)?;
        let to = new_addresses::set_hash(&mut tx, person, &token.hash(), now, expires_at)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        let letter = letters::new_address(&self.link("verify", &token));
        Ok(to.map(|to| (to, letter)))
    }

    async fn with_token(
        &self,
        person: PersonId,
        purpose: Purpose,
    ) -> Result<Option<(String, Letter)>, ServiceError> {
        let failed = |error| database_error(&error);
        let Some(person) = self.addressed(person).await? else {
            return Ok(None);
        };
        let token = Token::new()?;
        let life: Duration = match purpose {
            Purpose::Verify => VERIFY_LIFE,
            _ => RESET_LIFE,
        };
        let expires_at = self.clock.now_millis() + millis(life);
        let whose = Some((person.id, person.email.as_str()));
        let mut tx = self.store.begin().await.map_err(failed)?;
        tokens::replace(&mut tx, purpose, &token.hash(), whose, expires_at)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        let letter = match purpose {
            Purpose::Verify => letters::verify(&self.link("verify", &token)),
            _ => letters::reset(&self.link("reset", &token)),
        };
        Ok(Some((person.email, letter)))
    }
}
