//! Builds the world: the only place that knows which services there are, which of
//! them run in this process, and where the others are.

mod carrying;
mod members;
mod neighbours;
mod services;
mod shard_keys;
mod standby;
mod tables;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hilum_archive::MasterKey;
use hilum_contracts::erasure::EndsTenants;
use hilum_contracts::identity::Identity;
use hilum_contracts::imaging::Imaging;
use hilum_contracts::patients::Patients;
use hilum_contracts::service::ServiceName;
use hilum_identity::IdentityService;
use hilum_platform::audit::TellsAll;
use hilum_platform::cache::Shared;
use hilum_platform::clock::SharedClock;
use hilum_platform::config::Config;
use hilum_platform::connections::Connections;
use hilum_platform::db::Home;
use hilum_platform::events::Inbox;
use hilum_platform::http_server::{self, Bounds, Ends};
use hilum_platform::notices::Notices;
use hilum_platform::passes::Passes;
use hilum_platform::remote::carried::{self, Carried};
use hilum_platform::remote::directory;
use hilum_platform::remote::elsewhere::Shards;
use hilum_platform::remote::identity::RemoteIdentity;
use hilum_platform::remote::imaging::RemoteImaging;
use hilum_platform::remote::member::{Readiness, Ready as _, RemoteMember};
use hilum_platform::remote::passes as told_passes;
use hilum_platform::remote::patients::RemotePatients;
use hilum_platform::tenants::Directory;
use hilum_platform::tls::Certificate;
use hilum_platform::traces::{self, Traces};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::carrying::Carrying;
use self::members::{endpoints, exporting, forgetful, jobs, letters, local_jobs, readiness};
use self::neighbours::{AtDoor, Neighbours};
use self::services::{Ground, Services};
use self::standby::Late;
pub(crate) use self::tables::migrate;
use crate::http::{self, Endpoints};
use crate::objects::archive_of;
use crate::run_file::{RunFile, Written};

/// At the end, requests and jobs get this long to finish or to be handed back.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// How long who carries out what a backup does not know waits before it asks a
/// neighbour again that does not answer.
const DUE_AGAIN: Duration = Duration::from_secs(5);

/// Everything that runs here, running.
pub(crate) struct Hilum {
    /// Where people reach it, without a slash at its end.
    pub(crate) url: String,
    /// Address of HTTP.
    pub(crate) http: SocketAddr,
    /// Address of DICOM, where images are taken here.
    pub(crate) dicom: Option<SocketAddr>,
    /// Whether DICOM goes over TLS.
    pub(crate) dicom_tls: bool,
    /// Address at which neighbours ask.
    pub(crate) neighbours: Option<SocketAddr>,
    /// The same requests that HTTP takes, without a socket.
    pub(crate) router: Router,
    /// What the operator's requests carry.
    pub(crate) operator: http::OperatorToken,
    /// Where the first person is made, while there is none.
    pub(crate) set_up_link: Option<String>,
    /// Which tenants there are, and where they live.
    pub(crate) tenants: Directory,
    services: Services,
    carrying: Carrying,
    traces: Traces,
    leaving_for: Duration,
    ends: Ends,
    tasks: TaskTracker,
    _run_file: Written,
}

/// A door that speaks HTTP.
enum Door {
    Listening(TcpListener),
    /// It is served since this process stood by.
    Served(Late),
}

/// The sockets of the doors beside that of HTTP.
struct Listeners {
    dicom: Option<TcpListener>,
    neighbours: Option<(Door, Certificate)>,
}

impl Listeners {
    /// Listens, and puts the addresses that were chosen into the configuration.
    async fn beside_http(config: &mut Config) -> anyhow::Result<Self> {
        let dicom = match config.runs(ServiceName::Imaging) {
            true => Some(listen(config.dicom, "DICOM").await?),
            false => None,
        };
        if let Some(dicom) = &dicom {
            config.dicom = dicom.local_addr()?;
        }
        let neighbours = match &mut config.neighbours {
            None => None,
            Some(of) => {
                let certificate = Certificate::open(&of.tls())?;
                let listener = listen(of.listen, "the door for neighbours").await?;
                of.listen = listener.local_addr()?;
                Some((Door::Listening(listener), certificate))
            }
        };
        Ok(Self { dicom, neighbours })
    }
}

impl Hilum {
    /// Opens the services that run here on `config.data` and starts serving.
    pub(crate) async fn start(
        mut config: Config,
        master_key: MasterKey,
        clock: SharedClock,
        metrics: PrometheusHandle,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("can't make the data folder {}", config.data.display()))?;
        let traces = traces::start(config.telemetry.as_ref()).map_err(anyhow::Error::msg)?;
        let certificate = config.tls.as_ref().map(Certificate::open).transpose()?;
        let (ends, tasks) = (Ends::default(), TaskTracker::new());
        let mut stood_by = None;
        if config.runs(ServiceName::Imaging) {
            let archive = archive_of(&config, master_key.clone(), Arc::clone(&clock))?;
            let (ends, tls) = ((&ends, &tasks), certificate.as_ref());
            stood_by = standby::until_it_is_free(&archive, &mut config, tls, ends).await?;
        }
        // Services that tell addresses tell the chosen ones.
        let (door, listeners) = match stood_by {
            Some((late, listeners)) => (Door::Served(late), listeners),
            None => {
                let listener = listen(config.http, "HTTP").await?;
                config.http = listener.local_addr()?;
                let listeners = Listeners::beside_http(&mut config).await?;
                (Door::Listening(listener), listeners)
            }
        };
        let dicom = listeners.dicom.is_some().then_some(config.dicom);
        let neighbours = config.neighbours.as_ref().map(|of| of.listen);
        let http = config.http;
        let config = Arc::new(config);

        let ended = ends.clone();
        let mut opened =
            Opened::new(Arc::clone(&config), master_key, clock, metrics, ended).await?;
        let stop = ends.stop.clone();
        opened.start_workers(&tasks, listeners.dicom, certificate.as_ref());

        let serve = |listener, router, tls, bounds| {
            tasks.spawn(http_server::serve(
                listener,
                router,
                tls,
                bounds,
                ends.clone(),
            ));
        };
        let serve_at = |door, router, tls, bounds| match door {
            Door::Listening(listener) => serve(listener, router, tls, bounds),
            Door::Served(late) => late.serve(router),
        };
        if let Some((door, certificate)) = listeners.neighbours {
            let (tls, bounds) = (Some(certificate.neighbours()), Bounds::of_neighbours());
            serve_at(door, opened.door.clone(), tls, bounds);
            tasks.spawn(certificate.follow(stop.clone()));
        }
        // Neighbours are answered by now, and may be needed for it.
        opened.carry_out_due(&tasks).await?;
        let (router, bounds) = (opened.router.clone(), Bounds::of(Connections::here()));
        let (local, https) = match &certificate {
            None => {
                serve_at(door, router, None, bounds);
                (http, None)
            }
            Some(certificate) => {
                // Commands on this machine speak plain HTTP: they need no trust in a certificate
                // that is made for another name.
                let own =
                    listen(SocketAddr::from(([127, 0, 0, 1], 0)), "HTTP for commands").await?;
                let local = own.local_addr()?;
                let commands_only = http::for_operator(router.clone(), opened.operator.clone());
                serve(own, commands_only, None, bounds);
                serve_at(door, router, Some(certificate.http()), bounds);
                tasks.spawn(certificate.clone().follow(stop.clone()));
                (local, Some(http))
            }
        };
        let set_up = match &opened.services.identity {
            Some(identity) => identity.set_up_link_token().await?,
            None => None,
        };
        let scheme = if https.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{http}");
        let url = config.identity.public_url.as_deref().unwrap_or(&address);
        let url = url.trim_end_matches('/').to_owned();
        let set_up_link = set_up.map(|token| format!("{url}/set-up#{token}"));
        let run_file = RunFile {
            pid: std::process::id(),
            http: local,
            https,
            dicom,
            neighbours,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            operator_token: opened.operator.as_str().to_owned(),
        }
        .write(&config.data)?;
        let services: Vec<_> = config.services.iter().map(|one| one.as_str()).collect();
        tracing::info!(%url, %address, ?dicom, tls = config.dicom_tls, ?services, data = %config.data.display(), "serving");
        Ok(Self {
            url,
            http,
            dicom,
            dicom_tls: config.dicom_tls,
            neighbours,
            router: opened.router,
            operator: opened.operator,
            set_up_link,
            tenants: opened.tenants,
            services: opened.services,
            carrying: opened.carrying,
            traces,
            leaving_for: Duration::from_secs(config.leaving_seconds),
            ends,
            tasks,
            _run_file: run_file,
        })
    }

    /// Does something else until this stops.
    pub(crate) fn beside<F>(&self, work: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(work(self.ends.stop.clone()));
    }

    /// Returns when another process has taken the archive that is served here.
    pub(crate) async fn is_taken_away(&self) {
        match &self.services.imaging {
            Some((archive, _)) => archive.is_taken_away().await,
            None => std::future::pending().await,
        }
    }

    /// For how many seconds it goes on when it is asked to end; `None`: not at all.
    pub(crate) fn leaves_for(&self) -> Option<u64> {
        Some(self.leaving_for.as_secs()).filter(|seconds| *seconds > 0)
    }

    /// Goes on for a while, and says that it leaves: to those who lead clients here, and
    /// to who follows. Where nobody asks, this takes no time.
    pub(crate) async fn leave(&self) {
        if self.leaving_for.is_zero() {
            return;
        }
        if let Some((archive, _)) = &self.services.imaging {
            archive.leaves();
            // One that stands by is ready before this one says that it is not.
            tokio::time::sleep(standby::NOTICED_WITHIN).await;
        }
        self.ends.leaving.cancel();
        tokio::time::sleep(self.leaving_for).await;
    }

    /// Stops taking work, finishes or hands back what is held, and closes.
    pub(crate) async fn stop(self) {
        self.ends.stop.cancel();
        self.tasks.close();
        let ending = async { tokio::join!(self.tasks.wait(), self.carrying.ended()) };
        if tokio::time::timeout(SHUTDOWN, ending).await.is_err() {
            tracing::warn!("some work did not end in time; it goes on at the next start");
        }
        self.services.close().await;
        self.traces.end().await;
        tracing::info!("stopped");
    }
}

/// The services that run here, open and idle: nobody listens and nothing works by
/// itself.
pub(crate) struct Opened {
    /// The requests that HTTP takes, without a socket.
    pub(crate) router: Router,
    /// What the operator's requests carry.
    pub(crate) operator: http::OperatorToken,
    config: Arc<Config>,
    tenants: Directory,
    passes: Passes,
    notices: Notices,
    services: Services,
    neighbours: Neighbours,
    remote_identity: Option<RemoteIdentity>,
    /// What neighbours ask.
    door: Router,
    /// The ways to other shards, and the associations that they bring.
    elsewhere: Option<(Shards, mpsc::Receiver<Carried>)>,
    inboxes: Arc<[Inbox]>,
    carrying: Carrying,
    due: Option<(http::Erasures, http::Endings)>,
    stop: CancellationToken,
}

impl Opened {
    /// Opens the services that run here on `config.data`.
    pub(crate) async fn new(
        config: Arc<Config>,
        master_key: MasterKey,
        clock: SharedClock,
        metrics: PrometheusHandle,
        ends: Ends,
    ) -> anyhow::Result<Self> {
        let tenants = Directory::default().of_shard(&config.shard.name);
        let notices = Notices::default();
        let neighbours = Neighbours::new(&config)?;
        let cache = config.cache.as_ref().map(Shared::open).transpose();
        let cache = cache.map_err(anyhow::Error::msg)?;
        let passes = Passes::new(Arc::clone(&clock), cache.clone());
        let remote_identity = match config.runs(ServiceName::Identity) {
            true => None,
            false => {
                let told = directory::told_last(&config.data.join(KNOWN));
                told.into_iter().for_each(|known| tenants.replace(known));
                let told = told_passes::told_last(&config.data.join(KNOWN_PASSES));
                told.into_iter().for_each(|known| passes.heard(known));
                // What ended while this process was away, should Identity be so now.
                passes.learn().await;
                let identity = neighbours.to(ServiceName::Identity)?;
                let (tenants, passes) = (tenants.clone(), passes.clone());
                Some(RemoteIdentity::new(identity, tenants, passes))
            }
        };
        let shards = Neighbours::shards(&config, &tenants)?;
        let ground = Ground {
            shards: shards.clone(),
            config: Arc::clone(&config),
            clock: Arc::clone(&clock),
            notices: notices.clone(),
            tenants: tenants.clone(),
            remote_identity: remote_identity.clone(),
            passes: passes.clone(),
        };
        let services = Services::open(&ground, master_key, &neighbours).await?;
        let (operator, stop) = (http::OperatorToken::new()?, ends.stop.clone());
        let inboxes: Arc<[Inbox]> = services.inboxes().into();
        let carrying = Carrying::new(&config, &inboxes, &stop)?;
        let status = readiness(&services, &config, &neighbours)?;
        let due = services.imaging.as_ref().map(|(archive, imaging)| {
            let erasures = http::Erasures::new(
                archive.clone(),
                forgetful(&services, imaging, &neighbours)?.into(),
                carrying.transit(),
                Arc::clone(&clock),
                notices.clone(),
            );
            let ends: Arc<dyn EndsTenants> = match &services.identity {
                Some(identity) => Arc::new(identity.clone()),
                None => Arc::new(RemoteMember(neighbours.to(ServiceName::Identity)?)),
            };
            anyhow::Ok((erasures.clone(), http::Endings::new(erasures, ends)))
        });
        let due = due.transpose()?;
        let own = match (&services.imaging, &due) {
            (Some((archive, imaging)), Some((erasures, endings))) => Ok(http::Own {
                config: Arc::clone(&config),
                archive: archive.clone(),
                letters: letters(&inboxes, &neighbours)?.into(),
                jobs: jobs(&services, &neighbours)?.into(),
                erasures: erasures.clone(),
                endings: endings.clone(),
                exporting: exporting(&services, &neighbours)?.into(),
                notices: notices.clone(),
                trail: imaging.trail(),
                tells_all: match &services.audit {
                    Some(audit) => Arc::new(audit.clone()) as Arc<dyn TellsAll>,
                    None => Arc::new(RemoteMember(neighbours.to(ServiceName::Audit)?)),
                },
            }),
            _ => Err(neighbours.to(ServiceName::Imaging)?),
        };
        let identity: Arc<dyn Identity> = match (&services.identity, &remote_identity) {
            (Some(identity), _) => Arc::new(identity.clone()),
            (None, Some(remote)) => Arc::new(remote.clone()),
            (None, None) => anyhow::bail!("nobody knows who asks"),
        };
        let limits = tenants.clone();
        let doors = http::doors(http::Parts {
            config: Arc::clone(&config),
            operator: operator.clone(),
            tenants: tenants.clone(),
            identity,
            rates: http::Rates::new(move |tenant| limits.known().rules(tenant).requests_per_minute),
            clock,
            notices: notices.clone(),
            metrics,
            archive: services
                .imaging
                .as_ref()
                .map(|(archive, _)| archive.clone()),
            databases: Home::of(&config.data, config.database.as_ref())?,
            inboxes: Arc::clone(&inboxes),
            bus: carrying.bus(),
            cache,
            jobs: local_jobs(&services).into(),
            status: status.clone(),
            trail: services.trail()?,
            own,
            rest: endpoints(&services, &neighbours)?,
            shards: shards.clone(),
            auth: match &services.identity {
                Some(identity) => Endpoints::Here(identity.auth_router()),
                None => Endpoints::At(
                    neighbours.to(ServiceName::Identity)?,
                    IdentityService::auth_endpoints(),
                ),
            },
            dicomweb: match &services.imaging {
                Some((_, imaging)) => Ok(imaging.dicomweb()),
                None => Err(neighbours.to(ServiceName::Imaging)?),
            },
            ends,
        });
        let at_door = AtDoor {
            services: &services,
            inboxes: &inboxes,
            status: &status,
            notices: &notices,
            tenants: &tenants,
            passes: &passes,
            transit: &carrying.transit(),
            stop: &stop,
        };
        let (associations, carried) = carried::door();
        let door = neighbours::door(&at_door, associations, doors.passed_on);
        let opened = Self {
            router: doors.public,
            operator,
            config,
            tenants,
            passes,
            notices,
            services,
            neighbours,
            remote_identity,
            door,
            elsewhere: Some((shards, carried)),
            inboxes,
            carrying,
            due,
            stop,
        };
        if opened.neighbours.are_none() {
            opened.carry_out_all_due().await?;
        }
        Ok(opened)
    }

    /// Closes what was opened.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.carrying.ended().await;
        self.services.close().await;
    }

    /// Ends what a restored backup does not know and what was begun before.
    async fn carry_out_all_due(&self) -> anyhow::Result<()> {
        let Some((erasures, endings)) = &self.due else {
            return Ok(());
        };
        endings
            .carry_out_due()
            .await
            .context("a tenant whose end was begun can't be ended")?;
        erasures
            .carry_out_due()
            .await
            .context("erasures that the restored backup does not know can't be carried out")
    }

    /// The same where services are neighbours, which may start later than this one:
    /// only what a restored backup does not know is waited for, because nobody may
    /// see it.
    async fn carry_out_due(&self, tasks: &TaskTracker) -> anyhow::Result<()> {
        let Some((erasures, endings)) = &self.due else {
            return Ok(());
        };
        if !self.neighbours.are_none() {
            while erasures.are_due().await? {
                match self.carry_out_all_due().await {
                    Ok(()) => break,
                    Err(error) => {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "erasures are due that every service has to carry out: nothing is served before"
                        );
                    }
                }
                tokio::time::sleep(DUE_AGAIN).await;
            }
        }
        let (erasures, endings) = (erasures.clone(), endings.clone());
        let (tenants, stop) = (self.tenants.clone(), self.stop.clone());
        tasks.spawn(async move {
            while let Err(error) = endings.carry_out_due().await {
                tracing::debug!(%error, "ends of tenants that were begun wait");
                let pause = stop.run_until_cancelled(tokio::time::sleep(DUE_AGAIN));
                if pause.await.is_none() {
                    return;
                }
            }
            let names = tenants.here().into_iter().map(|tenant| tenant.name);
            erasures.resume(names.collect()).await;
        });
        Ok(())
    }

    /// Starts what works by itself.
    fn start_workers(
        &mut self,
        tasks: &TaskTracker,
        dicom: Option<TcpListener>,
        certificate: Option<&Certificate>,
    ) {
        let elsewhere = self.elsewhere.take();
        let (services, stop) = (&self.services, &self.stop);
        for outbox in services.outboxes() {
            tasks.spawn(self.carrying.relay(outbox).run(stop.clone()));
        }
        for inbox in self.inboxes.iter() {
            tasks.spawn(inbox.clone().run(stop.clone()));
        }
        self.neighbours.follow(tasks, stop, &self.notices);
        let identity: Option<Arc<dyn Identity>> = match &services.identity {
            Some(identity) => {
                identity.start_workers(tasks, stop);
                Some(Arc::new(identity.clone()))
            }
            None => self.remote_identity.as_ref().map(|remote| {
                tasks.spawn(directory::follow(
                    remote.neighbour(),
                    self.tenants.clone(),
                    self.config.data.join(KNOWN),
                    stop.clone(),
                ));
                tasks.spawn(told_passes::follow(
                    remote.neighbour(),
                    self.passes.clone(),
                    self.config.data.join(KNOWN_PASSES),
                    stop.clone(),
                ));
                Arc::new(remote.clone()) as Arc<dyn Identity>
            }),
        };
        if let Some(audit) = &services.audit {
            audit.start_workers(tasks, stop);
        }
        if let (Some((_, imaging)), Some(listener), Some(identity), Some((shards, carried))) =
            (&services.imaging, dicom, identity, elsewhere)
        {
            let tls = certificate.filter(|_| self.config.dicom_tls);
            let door = hilum_imaging::DicomDoor {
                listener,
                tls: tls.map(Certificate::dicom),
                shards,
                carried,
            };
            imaging.start_workers(tasks, stop, door, identity);
        }
        let imaging = || -> Option<Arc<dyn Imaging>> {
            match &services.imaging {
                Some((_, imaging)) => Some(Arc::new(imaging.clone())),
                None => {
                    let way = self.neighbours.to(ServiceName::Imaging).ok()?;
                    Some(Arc::new(RemoteImaging(way)))
                }
            }
        };
        let patients = || -> Option<Arc<dyn Patients>> {
            match &services.patients {
                Some(patients) => Some(Arc::new(patients.clone())),
                None => {
                    let way = self.neighbours.to(ServiceName::Patients).ok()?;
                    Some(Arc::new(RemotePatients(way)))
                }
            }
        };
        if let (Some(inference), Some(imaging)) = (&services.inference, imaging()) {
            inference.start_workers(tasks, stop, &imaging);
        }
        if let (Some(integration), Some(imaging), Some(patients)) =
            (&services.integration, imaging(), patients())
        {
            integration.start_workers(tasks, stop, &imaging, &patients);
        }
    }
}

/// What Identity told of tenants last, in the data folder of who asks it.
const KNOWN: &str = "known-tenants.json";

/// What it told of passes last, there as well.
const KNOWN_PASSES: &str = "known-passes.json";

/// What the services that run elsewhere say of themselves; those of another shard with its
/// name.
pub(crate) async fn neighbours_ready(
    config: &Config,
) -> anyhow::Result<Vec<(Option<String>, ServiceName, Readiness)>> {
    let neighbours = Neighbours::new(config)?;
    let mut told = Vec::new();
    for service in ServiceName::ALL.iter().copied() {
        if !config.runs(service) {
            let way = RemoteMember(neighbours.to(service)?);
            told.push((None, service, way.ready().await));
        }
    }
    let shards = Neighbours::shards(config, &Directory::default())?;
    for (shard, way) in shards.ways() {
        let ready = RemoteMember(way.clone()).ready().await;
        told.push((Some(shard.to_owned()), way.service(), ready));
    }
    Ok(told)
}

async fn listen(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{what} can't listen on {address}: stop what uses it, or choose another address")
    })
}
