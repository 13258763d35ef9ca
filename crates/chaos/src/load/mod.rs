//! People, programs and devices of several tenants who go on working, whatever
//! breaks. Each begins something again and again, whether or not what it began
//! before has ended.

pub(crate) mod readers;
mod senders;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hilum_testkit::Files;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ledger::Ledger;
use crate::seen::{Function, Outcome, Seen};
use crate::world::{Keys, TENANTS, World};

/// How long somebody waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What one user has begun and not ended: more means that nothing ends.
const BEGUN_MAX: usize = 200;
/// The same of signing in, and how much less often it is done: who tries often and
/// is not let in is told to wait, whoever's fault it is.
const SIGN_INS_MAX: usize = 1;
const SIGN_INS_FEWER: u32 = 3;
/// Between two series that the model takes.
const SERIES_EVERY: Duration = Duration::from_secs(3);
/// How often results that are awaited are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What all users know.
pub(crate) struct Ground {
    files: Files,
    /// Where HTTP is answered.
    doors: RwLock<Vec<SocketAddr>>,
    dicom: SocketAddr,
    keys: Keys,
    client: reqwest::Client,
    pub(crate) seen: Seen,
    pub(crate) ledger: Ledger,
    /// The number of the next study.
    study: AtomicU64,
}

/// Everybody at work; they stop when told to.
pub(crate) struct Load {
    pub(crate) ground: Arc<Ground>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Load {
    /// Has everybody begin, each something new every `pace`.
    pub(crate) fn begin(
        world: &World,
        keys: Keys,
        pace: Duration,
        runtime: &Runtime,
    ) -> io::Result<Self> {
        // A connection for each request: a load balancer's would be new as well.
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(io::Error::other)?;
        let ground = Arc::new(Ground {
            files: Files::of_slices()?,
            doors: RwLock::new(world.doors(None)),
            dicom: world.cluster.dicom(),
            keys,
            client,
            seen: Seen::default(),
            ledger: Ledger::default(),
            study: AtomicU64::new(1),
        });
        let load = Self {
            ground,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        runtime.block_on(readers::visit_every_door(&load.ground));
        let _entered = runtime.enter();
        for function in Function::ALL {
            load.keeps_asking(function, pace);
        }
        for (tenant, _) in TENANTS {
            load.keeps_sending_series(tenant);
        }
        let receiver = world.receiver.clone();
        let (ground, stop) = (Arc::clone(&load.ground), load.stop.clone());
        load.tasks.spawn(async move {
            while !stop.is_cancelled() {
                readers::results(&ground, &receiver).await;
                stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
                    .await;
            }
        });
        Ok(load)
    }

    fn keeps_asking(&self, function: Function, pace: Duration) {
        let (ground, stop) = (Arc::clone(&self.ground), self.stop.clone());
        let (most, pace) = match function {
            Function::SignIn => (SIGN_INS_MAX, pace * SIGN_INS_FEWER),
            _ => (BEGUN_MAX, pace),
        };
        let (begun, tasks) = (Arc::new(Semaphore::new(most)), self.tasks.clone());
        self.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(pace);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                let Ok(permit) = Arc::clone(&begun).try_acquire_owned() else {
                    continue;
                };
                let ground = Arc::clone(&ground);
                tasks.spawn(async move {
                    ground.asks(function).await;
                    drop(permit);
                });
            }
        });
    }

    /// A device and a program that send whole series in turn, each until all of it
    /// was acknowledged and its sender has ended in order.
    fn keeps_sending_series(&self, tenant: &'static str) {
        let (ground, stop) = (Arc::clone(&self.ground), self.stop.clone());
        let tasks = self.tasks.clone();
        self.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(SERIES_EVERY * 2);
            let mut by_dicom = tenant == "a";
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                let ground = Arc::clone(&ground);
                tasks.spawn(async move { senders::series(&ground, tenant, by_dicom).await });
                by_dicom = !by_dicom;
            }
        });
    }

    /// Requests go to these doors from now on.
    pub(crate) fn uses(&self, doors: Vec<SocketAddr>) {
        let mut used = self
            .ground
            .doors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *used = doors;
    }

    /// Ends when everybody has.
    pub(crate) fn ends(&self, runtime: &Runtime) {
        self.stop.cancel();
        self.tasks.close();
        runtime.block_on(self.tasks.wait());
    }
}

impl Ground {
    async fn asks(&self, function: Function) {
        // What was acknowledged; nothing yet.
        let known = match function {
            Function::Retrieve => self.ledger.one_of(),
            _ => None,
        };
        if function == Function::Retrieve && known.is_none() {
            return;
        }
        let one = self.seen.begins(function);
        let outcome = match (function, known) {
            (Function::Dicom, _) => senders::one_by_dicom(self).await,
            (Function::Stow, _) => senders::one_by_stow(self).await,
            (Function::Query, _) => readers::query(self).await,
            (Function::SignIn, _) => readers::sign_in(self).await,
            (Function::Search, _) => readers::search(self).await,
            (Function::Retrieve, Some(known)) => readers::retrieve(self, known).await,
            (Function::Retrieve, None) => return,
        };
        self.seen.ended(one, outcome);
    }

    /// A study of its own; every second one is of the other tenant.
    fn new_study(&self) -> (usize, u64) {
        let study = self.study.fetch_add(1, Ordering::Relaxed);
        (usize::from(study % 2 == 1), study)
    }

    /// Any door: in turn, who asks as often as there are doors would see one only.
    fn url(&self, path: &str) -> String {
        let door = fastrand::choice(self.all_doors());
        door.map_or_else(String::new, |door| format!("http://{door}{path}"))
    }

    fn all_doors(&self) -> Vec<SocketAddr> {
        let doors = self.doors.read().unwrap_or_else(PoisonError::into_inner);
        doors.clone()
    }

    /// The client that everybody asks with.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    fn key_of(&self, tenant: &str) -> &str {
        let mut all = TENANTS.iter().zip(&self.keys.keys);
        let found = all.find(|((name, _), _)| *name == tenant);
        found.map_or("", |(_, key)| key)
    }
}

/// What an HTTP answer means to whoever asked.
fn judged(answer: &Result<reqwest::Response, reqwest::Error>) -> Outcome {
    match answer {
        Ok(answer) if answer.status().is_success() => Outcome::Done,
        Ok(answer) => Outcome::Not(answer.status().as_u16().to_string()),
        Err(error) if error.is_timeout() => Outcome::Not("no answer".to_owned()),
        Err(_) => Outcome::Not("no connection".to_owned()),
    }
}
