//! Objects in a bucket: `objects/TENANT/XX/NAME` below its prefix. One PUT makes
//! an object, durably and whole or not at all; what it holds is sealed already.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutPayload, RetryConfig,
};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::blocks::Blocks;
use super::{Listed, ObjectName, below, named};
use crate::error::{ArchiveError, Result};
use crate::limits::{
    BUCKET_ANSWER, BUCKET_CONNECT, BUCKET_HEARD, BUCKET_PAGE, BUCKET_THREADS, BUCKET_TRIES,
    BUCKET_TRIES_TIME, Limits,
};

/// A bucket of S3, or of what speaks as S3 does.
#[derive(Clone, Debug)]
pub struct BucketConfig {
    /// Its name.
    pub name: String,
    /// What its keys begin with, without a slash at the end; may be empty.
    pub prefix: String,
    /// The server's address, the bucket being a part of the path; `None`: that of
    /// AWS in `region`.
    pub endpoint: Option<String>,
    /// Its region, which is a part of every signature.
    pub region: String,
    /// Who asks; `None`: as the environment says (variables of AWS, a role of
    /// the pod or the machine).
    pub key: Option<BucketKey>,
    /// Authorities that the server is trusted by, besides the system's: PEM.
    pub ca: Option<Vec<u8>>,
    /// Whether tenants of other shards have objects in it, too.
    pub is_shared: bool,
}

/// Who asks a bucket.
#[derive(Clone)]
pub struct BucketKey {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: Zeroizing<String>,
}

impl fmt::Debug for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Bucket {
    store: Arc<AmazonS3>,
    prefix: Key,
    pub(super) blocks: Blocks,
    /// How long a dead object stays.
    pub(super) lease: Duration,
    /// Whether tenants that this index does not know have objects in it.
    pub(super) is_shared: bool,
    /// How long one can be read once it was opened.
    pub(super) read: Duration,
    /// When it last did what it was asked for.
    heard: Arc<Mutex<Option<Instant>>>,
    /// Its own, so that whoever waits for it may hold up any other.
    runtime: Option<Runtime>,
}

impl Bucket {
    pub(super) fn open(config: &BucketConfig, limits: &Limits) -> Result<Self> {
        let mut client = ClientOptions::new()
            .with_connect_timeout(BUCKET_CONNECT)
            .with_timeout(BUCKET_ANSWER);
        if let Some(pem) = &config.ca {
            for authority in Certificate::from_pem_bundle(pem).map_err(|error| unusable(&error))? {
                client = client.with_root_certificate(authority);
            }
        }
        let mut builder = match &config.key {
            Some(key) => AmazonS3Builder::new()
                .with_access_key_id(&key.id)
                .with_secret_access_key(key.secret.as_str()),
            None => AmazonS3Builder::from_env(),
        };
        if let Some(endpoint) = &config.endpoint {
            // Who names an address in clear has been told what that means.
            let in_clear = endpoint.starts_with("http://");
            client = client.with_allow_http(in_clear);
            builder = builder.with_endpoint(endpoint).with_allow_http(in_clear);
        }
        let store = builder
            .with_bucket_name(&config.name)
            .with_region(&config.region)
            .with_client_options(client)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    max_backoff: Duration::from_secs(2),
                    ..BackoffConfig::default()
                },
                max_retries: BUCKET_TRIES,
                retry_timeout: BUCKET_TRIES_TIME,
            })
            .build()
            .map_err(|error| unusable(&error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(BUCKET_THREADS)
            .thread_name("archive-bucket")
            .enable_all()
            .build()?;
        Ok(Self {
            store: Arc::new(store),
            prefix: Key::from(config.prefix.as_str()),
            blocks: Blocks::new(limits.cached_bucket_bytes),
            heard: Arc::default(),
            lease: limits.bucket_lease,
            is_shared: config.is_shared,
            read: limits.bucket_read,
            runtime: Some(runtime),
        })
    }

    pub(super) fn key(&self, tenant: &str, name: &ObjectName) -> Key {
        let (folder, text) = below(name);
        self.of_tenant(tenant).join(folder).join(text)
    }

    fn of_tenant(&self, tenant: &str) -> Key {
        self.prefix.clone().join("objects").join(tenant)
    }

    /// Has the bucket asked by a thread of its own, and waits.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        answer: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (told, heard) = mpsc::sync_channel(1);
        let runtime = self.runtime.as_ref().ok_or(ArchiveError::Closed)?;
        runtime.spawn(async move {
            let _ = told.send(answer.await);
        });
        let answer = heard.recv().map_err(|_| ArchiveError::Closed)?;
        noted(&self.heard, answer)
    }

    /// Has an object put, and `then` called with how that ended.
    pub(crate) fn put_then(
        &self,
        tenant: &str,
        name: &ObjectName,
        bytes: Vec<Bytes>,
        then: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        let (store, key) = (self.store(), self.key(tenant, name));
        let heard = Arc::clone(&self.heard);
        let Some(runtime) = &self.runtime else {
            return then(Err(ArchiveError::Closed));
        };
        runtime.spawn(async move {
            let put = store.put(&key, PutPayload::from_iter(bytes)).await;
            then(noted(&heard, put).map(drop));
        });
    }

    pub(super) fn store(&self) -> Arc<AmazonS3> {
        Arc::clone(&self.store)
    }

    /// Bytes of a range, as many as there are, and how long all is.
    pub(super) fn get(&self, key: &Key, from: u64, to: u64) -> Result<(Bytes, u64)> {
        let (store, key) = (self.store(), key.clone());
        self.wait(async move {
            let options = GetOptions {
                range: Some(GetRange::Bounded(from..to)),
                ..GetOptions::default()
            };
            let got = store.get_opts(&key, options).await?;
            let length = got.meta.size;
            Ok((got.bytes().await?, length))
        })
    }

    pub(super) fn head(&self, key: &Key) -> Result<ObjectMeta> {
        let (store, key) = (self.store(), key.clone());
        self.wait(async move { store.head(&key).await })
    }

    pub(super) fn exists(&self, tenant: &str, name: &ObjectName) -> Result<bool> {
        match self.head(&self.key(tenant, name)) {
            Ok(_) => Ok(true),
            Err(ArchiveError::Missing) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn remove(&self, tenant: &str, name: &ObjectName) -> Result<()> {
        self.blocks.forget(name);
        self.delete(self.key(tenant, name))
    }

    fn delete(&self, key: Key) -> Result<()> {
        let store = self.store();
        match self.wait(async move { store.delete(&key).await }) {
            Err(ArchiveError::Missing) => Ok(()),
            other => other,
        }
    }

    pub(super) fn remove_tenant(&self, tenant: &str) -> Result<()> {
        self.pages(&self.of_tenant(tenant), &mut |key| self.delete(key))
    }

    pub(super) fn list(&self, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        let top = self.prefix.clone().join("objects");
        self.pages(&top, &mut |key| {
            let parts: Option<Vec<String>> = key
                .prefix_match(&top)
                .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect());
            let parts = parts.unwrap_or_default();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            each(Listed {
                object: named(&parts),
                path: key.to_string(),
            })
        })
    }

    /// Every key below `prefix`, a page in memory at a time.
    fn pages(&self, prefix: &Key, each: &mut dyn FnMut(Key) -> Result<()>) -> Result<()> {
        let mut after = None;
        loop {
            let (store, prefix, from) = (self.store(), prefix.clone(), after.take());
            let page: Vec<ObjectMeta> = self.wait(async move {
                let found = match &from {
                    Some(from) => store.list_with_offset(Some(&prefix), from),
                    None => store.list(Some(&prefix)),
                };
                found.take(BUCKET_PAGE).try_collect().await
            })?;
            let is_last = page.len() < BUCKET_PAGE;
            after = page.last().map(|last| last.location.clone());
            for found in page {
                each(found.location)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Whether the bucket is there, and lets us ask what is in it.
    pub(super) fn lets_us_in(&self) -> Result<()> {
        let (store, top) = (self.store(), self.prefix.clone().join("objects"));
        let first = self.wait(async move {
            let first = store.list(Some(&top)).take(1);
            first.try_collect::<Vec<_>>().await
        });
        match first {
            Err(ArchiveError::Missing) => {
                Err(ArchiveError::Invalid("there is no bucket of this name"))
            }
            other => other.map(drop),
        }
    }

    /// Whether the bucket answers; it is asked when it did nothing for us lately.
    pub(super) fn answers(&self) -> Result<()> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.is_some_and(|heard| heard.elapsed() < BUCKET_HEARD) {
            return Ok(());
        }
        // Of an object that there never is: cheaper than to list.
        let (store, key) = (self.store(), self.prefix.clone().join("answers"));
        let asked = self.wait(async move {
            let head = tokio::time::timeout(BUCKET_CONNECT, store.head(&key));
            head.await.unwrap_or_else(|late| {
                Err(object_store::Error::Generic {
                    store: "S3",
                    source: late.into(),
                })
            })
        });
        match asked {
            Err(ArchiveError::Missing) => Ok(()),
            other => other.map(drop),
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // Dropped like any other it would wait, which no task may.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn unusable(error: &object_store::Error) -> ArchiveError {
    tracing::error!(%error, "the bucket can't be used as it is configured");
    ArchiveError::Invalid("the bucket can't be used as it is configured: see the log")
}

/// Keys are of tenants and random names: no patient data stands in an error.
fn noted<T>(heard: &Mutex<Option<Instant>>, answer: object_store::Result<T>) -> Result<T> {
    let (now, answer) = match answer {
        Ok(answer) => (Some(Instant::now()), Ok(answer)),
        Err(object_store::Error::NotFound { .. }) => {
            (Some(Instant::now()), Err(ArchiveError::Missing))
        }
        Err(error) => {
            tracing::warn!(%error, "the bucket did not do what it was asked for");
            (None, Err(ArchiveError::Bucket))
        }
    };
    let outcome = match now {
        Some(_) => "done",
        None => "failed",
    };
    metrics::counter!("archive_bucket_requests_total", "outcome" => outcome).increment(1);
    *heard.lock().unwrap_or_else(PoisonError::into_inner) = now;
    answer
}
