//! The layer between processes: a Redis. It is asked with a short deadline, and not at
//! all for a while after it did not answer several times, so that without it everything
//! is slower by less than a person notices.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, RedisError, TlsCertificates};
use tokio::sync::Semaphore;

use super::{Outcome, Purpose, count};
use crate::config::Cache;
use crate::limits::{CACHE_CONNECT, CACHE_WRITES, PASS_TOLD_WITHIN};
use crate::remote::breaker::Breaker;

/// A way to the Redis of an installation. Cheap to clone; the connection is kept.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    client: Client,
    /// None until somebody asks, and after it was away: what a broken way has in it is
    /// not waited for.
    connection: Mutex<Option<ConnectionManager>>,
    breaker: Breaker,
    writes: Arc<Semaphore>,
}

/// Why there is no answer.
enum Failed {
    /// It was not asked, or did not answer.
    Away(&'static str),
    /// It answered that it can't: what is under the name is of another kind, or it has
    /// no room.
    Refused,
}

impl Shared {
    /// The Redis that the configuration names. It need not be there.
    ///
    /// # Errors
    /// What is wrong with its address or certificate.
    pub fn open(config: &Cache) -> Result<Self, String> {
        let address = config.address()?;
        let form = |_| "cache: the address can't be used".to_owned();
        let client = match &config.ca_file {
            None => Client::open(address).map_err(form)?,
            Some(file) => {
                let read = std::fs::read(file);
                let authorities =
                    read.map_err(|error| format!("cache.ca_file: {}: {error}", file.display()))?;
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(authorities),
                };
                Client::build_with_tls(address, certificates).map_err(form)?
            }
        };
        Ok(Self(Arc::new(Inner {
            client,
            connection: Mutex::default(),
            breaker: Breaker::default(),
            writes: Arc::new(Semaphore::new(CACHE_WRITES)),
        })))
    }

    /// Whether it answered when it was asked last.
    #[must_use]
    pub fn answers(&self) -> bool {
        !self.0.breaker.rests()
    }

    /// Asks whether it is there and lets us in, whatever was found before.
    ///
    /// # Errors
    /// Why not.
    pub async fn ping(&self) -> Result<(), String> {
        let mut connection = self.connection().map_err(|_| "it can't be asked")?;
        let asked = redis::cmd("PING").exec_async(&mut connection).await;
        asked.map_err(|error| match error.code() {
            Some(code) => format!("it answers {code}"),
            None => "it does not answer".to_owned(),
        })
    }

    /// The bytes under a name. They are anybody's: whoever takes them verifies them
    /// and then says to [`Shared::came`] what they were.
    pub async fn get(&self, purpose: Purpose, name: &str) -> Option<Vec<u8>> {
        let mut command = redis::cmd("GETRANGE");
        // One byte more shows what is too long, without reading it.
        command
            .arg(key(purpose, name))
            .arg(0)
            .arg(purpose.bytes.to_string());
        let outcome = match self.ask::<Vec<u8>>(purpose.within, command).await {
            Ok(bytes) if bytes.is_empty() => Outcome::Miss,
            Ok(bytes) if bytes.len() > purpose.bytes => Outcome::Refused,
            Ok(bytes) => return Some(bytes),
            Err(Failed::Refused) => Outcome::Refused,
            Err(Failed::Away(_)) => Outcome::Away,
        };
        self.came(purpose, outcome);
        None
    }

    /// Counts what [`Shared::get`] found.
    pub fn came(&self, purpose: Purpose, outcome: Outcome) {
        count(purpose, "redis", outcome);
    }

    /// Keeps bytes under a name for `life`; whether it did.
    pub async fn put(&self, purpose: Purpose, name: &str, bytes: &[u8], life: Duration) -> bool {
        let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        if bytes.len() > purpose.bytes || millis == 0 {
            return false;
        }
        let mut command = redis::cmd("SET");
        command
            .arg(key(purpose, name))
            .arg(bytes)
            .arg("PX")
            .arg(millis);
        self.ask::<()>(purpose.within, command).await.is_ok()
    }

    /// The same, and nobody waits for it.
    pub fn put_later(&self, purpose: Purpose, name: String, bytes: Vec<u8>, life: Duration) {
        let Ok(permit) = Arc::clone(&self.0.writes).try_acquire_owned() else {
            return;
        };
        let shared = self.clone();
        tokio::spawn(async move {
            shared.put(purpose, &name, &bytes, life).await;
            drop(permit);
        });
    }

    async fn ask<T: FromRedisValue>(&self, within: Duration, command: Cmd) -> Result<T, Failed> {
        if !self.0.breaker.may(Instant::now()) {
            return Err(Failed::Away("it did not answer before"));
        }
        let mut connection = self.connection()?;
        let asking = command.query_async(&mut connection);
        match in_time(within, asking).await {
            Ok(told) => {
                if self.0.breaker.answered() {
                    tracing::info!("the shared cache answers again");
                }
                Ok(told)
            }
            Err(Failed::Refused) => {
                self.0.breaker.answered();
                Err(Failed::Refused)
            }
            Err(Failed::Away(why)) => {
                if self.0.breaker.failed(Instant::now(), fastrand::f64()) {
                    tracing::warn!(why, "the shared cache is away: everything is slower");
                    *self.held() = None;
                }
                Err(Failed::Away(why))
            }
        }
    }

    fn connection(&self) -> Result<ConnectionManager, Failed> {
        let mut held = self.held();
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CACHE_CONNECT))
            .set_response_timeout(Some(PASS_TOLD_WITHIN));
        let opened = ConnectionManager::new_lazy_with_config(self.0.client.clone(), config);
        let opened = opened.map_err(|_| Failed::Away("its address can't be used"))?;
        *held = Some(opened.clone());
        // A handshake may take longer than who asks waits, and goes on for the next one.
        let mut connecting = opened.clone();
        tokio::spawn(async move {
            let _found_out_by_who_asks = redis::cmd("PING").exec_async(&mut connecting).await;
        });
        Ok(opened)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<ConnectionManager>> {
        let held = self.0.connection.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_time<T>(
    within: Duration,
    asking: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Failed> {
    match tokio::time::timeout(within, asking).await {
        Err(_) => Err(Failed::Away("no answer in time")),
        Ok(Ok(told)) => Ok(told),
        // An answer of its own has a code; what breaks off has none.
        Ok(Err(error)) if error.code().is_some() => Err(Failed::Refused),
        Ok(Err(_)) => Err(Failed::Away("the connection broke off")),
    }
}

fn key(purpose: Purpose, name: &str) -> String {
    format!("hilum:{}:{name}", purpose.name)
}
