//! Hashes passwords with argon2id on threads of their own, few at a time: a
//! storm of sign-ins queues here and takes neither memory nor the executor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use hilum_contracts::error::{ErrorCode, ServiceError};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::limits::{ARGON2, HASHING, HASHING_WAITS, PASSWORD_MAX};

/// A hash of nothing, with the cost of every other: who has no password takes
/// as long as who has.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA\
                      $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The threads that hash.
#[derive(Clone, Debug)]
pub(crate) struct Hashing {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(HASHING)),
            waiting: Arc::default(),
        }
    }
}

impl Hashing {
    /// The PHC string of a password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, ServiceError> {
        let password = Zeroizing::new(password.to_owned());
        self.work(move || {
            let mut salt = [0; 16];
            SystemRandom::new().fill(&mut salt).ok()?;
            let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
            hash.ok().map(|hash| hash.to_string())
        })
        .await?
        .ok_or_else(|| ServiceError::internal("The password could not be hashed."))
    }

    /// Whether the password is that of the PHC string. Without one the answer
    /// is no, after the same time.
    pub(crate) async fn verify(
        &self,
        password: &str,
        hash: Option<String>,
    ) -> Result<bool, ServiceError> {
        // Longer ones were never taken; hashing them would only cost.
        let bounded = password.get(..PASSWORD_MAX).unwrap_or(password);
        let is_bounded = bounded.len() == password.len();
        let password = Zeroizing::new(bounded.to_owned());
        self.work(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            let right = argon2().is_some_and(|argon2| {
                argon2
                    .verify_password(password.as_bytes(), hash.as_str())
                    .is_ok()
            });
            right && known && is_bounded
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let _waits = Waits::begin(&self.waiting)?;
        let internal = || ServiceError::internal("A password could not be checked.");
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| internal())?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            // Held by the thread: who asked may have gone.
            drop(permit);
            done
        });
        working.await.map_err(|_| internal())
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Result<Self, ServiceError> {
        let waits = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= HASHING_WAITS {
            let text = "Too many people sign in at this moment: try again in a few seconds.";
            return Err(ServiceError::new(ErrorCode::TooMany, text));
        }
        Ok(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn argon2() -> Option<Argon2<'static>> {
    let (memory, passes, lanes) = ARGON2;
    let params = Params::new(memory, passes, lanes, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_another_is_not() {
        let hashing = Hashing::default();
        let hash = hashing.hash("correct horse battery").await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verify = |password: &'static str| hashing.verify(password, Some(hash.clone()));
        assert!(verify("correct horse battery").await.unwrap());
        assert!(!verify("correct horse batterz").await.unwrap());
        assert!(!hashing.verify("correct horse battery", None).await.unwrap());
    }

    #[test]
    fn the_hash_of_nobody_costs_what_others_cost() {
        let wrong = argon2().unwrap().verify_password(b"x", NOBODY);
        // Anything but "the password is wrong" would be answered sooner.
        assert!(
            matches!(wrong, Err(argon2::password_hash::Error::PasswordInvalid)),
            "{wrong:?}"
        );
        let (memory, passes, lanes) = ARGON2;
        assert!(NOBODY.contains(&format!("$m={memory},t={passes},p={lanes}$")));
    }
}
