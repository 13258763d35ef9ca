//! Builds the world: the only place that knows which services there are and
//! that they are neighbours in one process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hilum_archive::{Archive, ArchiveConfig, Limits, MasterKey};
use hilum_audit::AuditService;
use hilum_contracts::erasure::Forgets;
use hilum_contracts::export::Exports;
use hilum_contracts::imaging::Imaging;
use hilum_contracts::patients::Patients;
use hilum_identity::IdentityService;
use hilum_imaging::ImagingService;
use hilum_inference::{InferenceService, Options};
use hilum_integration::IntegrationService;
use hilum_patients::PatientsService;
use hilum_platform::audit::{AuditSource, Keyring};
use hilum_platform::clock::SharedClock;
use hilum_platform::config::Config;
use hilum_platform::durable;
use hilum_platform::events::{Inbox, Relay, Transit};
use hilum_platform::http_server::{self, Bounds};
use hilum_platform::jobs::JobSource;
use hilum_platform::mail::Mailer;
use hilum_platform::notices::Notices;
use hilum_platform::tenants::Directory;
use hilum_platform::tls::Certificate;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http;
use crate::run_file::{RunFile, Written};

/// At the end, requests and jobs get this long to finish or to be handed back.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// Statements that still run then get this long; each works on a few rows.
const CLOSE: Duration = Duration::from_secs(2);

/// Everything, running.
pub(crate) struct Hilum {
    /// Where people reach it, without a slash at its end.
    pub(crate) url: String,
    /// Address of HTTP.
    pub(crate) http: SocketAddr,
    /// Address of DICOM.
    pub(crate) dicom: SocketAddr,
    /// Whether DICOM goes over TLS.
    pub(crate) dicom_tls: bool,
    /// The same requests that HTTP takes, without a socket.
    pub(crate) router: Router,
    /// What the operator's requests carry.
    pub(crate) operator: http::OperatorToken,
    /// Where the first person is made, while there is none.
    pub(crate) set_up_link: Option<String>,
    services: Services,
    stop: CancellationToken,
    tasks: TaskTracker,
    _run_file: Written,
}

impl Hilum {
    /// Opens every service on `config.data` and starts serving.
    pub(crate) async fn start(
        mut config: Config,
        master_key: MasterKey,
        clock: SharedClock,
        metrics: PrometheusHandle,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("can't make the data folder {}", config.data.display()))?;
        let certificate = config.tls.as_ref().map(Certificate::open).transpose()?;
        let (http_listener, dicom_listener) = (
            listen(config.http, "HTTP").await?,
            listen(config.dicom, "DICOM").await?,
        );
        // Services that tell addresses tell the chosen ones.
        config.http = http_listener.local_addr()?;
        config.dicom = dicom_listener.local_addr()?;
        let (http, dicom) = (config.http, config.dicom);
        let config = Arc::new(config);

        let opened = Opened::new(Arc::clone(&config), master_key, clock, metrics).await?;
        let Services {
            imaging,
            patients,
            inference,
            integration,
            identity,
            audit,
            ..
        } = &opened.services;
        let imaging_contract: Arc<dyn Imaging> = Arc::new(imaging.clone());
        let patients_contract: Arc<dyn Patients> = Arc::new(patients.clone());
        let (stop, tasks) = (opened.stop.clone(), TaskTracker::new());
        let mut outboxes = imaging.outboxes();
        outboxes.push(patients.outbox());
        outboxes.push(inference.outbox());
        for outbox in outboxes {
            tasks.spawn(
                Relay::new(outbox, opened.inboxes.clone(), opened.transit.clone())
                    .run(stop.clone()),
            );
        }
        for inbox in &opened.inboxes {
            tasks.spawn(inbox.clone().run(stop.clone()));
        }
        identity.start_workers(&tasks, &stop);
        audit.start_workers(&tasks, &stop);
        let dicom_feed = certificate
            .as_ref()
            .filter(|_| config.dicom_tls)
            .map(Certificate::dicom);
        imaging.start_workers(
            &tasks,
            &stop,
            dicom_listener,
            dicom_feed,
            Arc::new(identity.clone()),
        );
        inference.start_workers(&tasks, &stop, &imaging_contract);
        integration.start_workers(&tasks, &stop, &imaging_contract, &patients_contract);
        let known = opened.tenants.known();
        let tenants = known.tenants().iter().map(|tenant| tenant.name.clone());
        tasks.spawn(opened.erasures.clone().resume(tenants.collect()));

        let serve_http = |listener, router, tls| {
            let (bounds, stop) = (Bounds::default(), stop.clone());
            tasks.spawn(http_server::serve(listener, router, tls, bounds, stop));
        };
        let router = opened.router.clone();
        let (local, https) = match &certificate {
            None => {
                serve_http(http_listener, router, None);
                (http, None)
            }
            Some(certificate) => {
                // Commands on this machine speak plain HTTP: they need no trust in a certificate
                // that is made for another name.
                let own =
                    listen(SocketAddr::from(([127, 0, 0, 1], 0)), "HTTP for commands").await?;
                let local = own.local_addr()?;
                let commands_only = http::for_operator(router.clone(), opened.operator.clone());
                serve_http(own, commands_only, None);
                serve_http(http_listener, router, Some(certificate.http()));
                tasks.spawn(certificate.clone().follow(stop.clone()));
                (local, Some(http))
            }
        };
        let set_up = opened.services.identity.set_up_link_token().await?;
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
            version: env!("CARGO_PKG_VERSION").to_owned(),
            operator_token: opened.operator.as_str().to_owned(),
        }
        .write(&config.data)?;
        tracing::info!(%url, %address, %dicom, tls = config.dicom_tls, data = %config.data.display(), "serving");
        Ok(Self {
            url,
            http,
            dicom,
            dicom_tls: config.dicom_tls,
            router: opened.router,
            operator: opened.operator,
            set_up_link,
            services: opened.services,
            stop,
            tasks,
            _run_file: run_file,
        })
    }

    /// Stops taking work, finishes or hands back what is held, and closes.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(SHUTDOWN, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some work did not end in time; it goes on at the next start");
        }
        self.services.close().await;
        tracing::info!("stopped");
    }
}

/// Every service, each with its own database.
struct Services {
    archive: Archive,
    imaging: ImagingService,
    patients: PatientsService,
    inference: InferenceService,
    integration: IntegrationService,
    identity: IdentityService,
    audit: AuditService,
}

impl Services {
    /// Folds every write-ahead log back into its database. One that is still
    /// read from after a while is left; the next start takes it up.
    async fn close(self) {
        let services = async {
            // The last counts of all, under the last seal, while every trail can be read.
            for trail in [
                self.imaging.trail(),
                self.patients.trail(),
                self.inference.trail(),
                self.integration.trail(),
                self.identity.trail().clone(),
            ] {
                trail.close().await;
            }
            self.audit.close().await;
            self.imaging.close().await;
            self.patients.close().await;
            self.inference.close().await;
            self.integration.close().await;
            self.identity.close().await;
        };
        if tokio::time::timeout(CLOSE, services).await.is_err() {
            tracing::warn!("a database is in use and was not closed");
        }
        self.archive.close().await;
    }
}

/// The way to the mail server, and where links in mails begin.
fn mail(config: &Config) -> anyhow::Result<Option<(Mailer, String)>> {
    let Some(mail) = &config.mail else {
        return Ok(None);
    };
    let mailer = Mailer::new(mail).map_err(anyhow::Error::msg)?;
    let url = config.identity.public_url.as_deref().unwrap_or_default();
    Ok(Some((mailer, url.trim_end_matches('/').to_owned())))
}

/// Every service, open and idle: nobody listens and nothing works by itself.
pub(crate) struct Opened {
    /// The requests that HTTP takes, without a socket.
    pub(crate) router: Router,
    /// What the operator's requests carry.
    pub(crate) operator: http::OperatorToken,
    tenants: Directory,
    services: Services,
    inboxes: Vec<Inbox>,
    transit: Transit,
    erasures: http::Erasures,
    stop: CancellationToken,
}

impl Opened {
    /// Opens every service on `config.data`.
    pub(crate) async fn new(
        config: Arc<Config>,
        master_key: MasterKey,
        clock: SharedClock,
        metrics: PrometheusHandle,
    ) -> anyhow::Result<Self> {
        let notices = Notices::default();
        let archive = Archive::open(ArchiveConfig {
            dir: config.data.clone(),
            master_key,
            clock: Arc::clone(&clock),
            limits: Limits::default(),
        })
        .await
        .context("the archive did not open")?;
        let operator = http::OperatorToken::new()?;
        let keyring = Keyring::new(Arc::new(archive.clone()));
        let tenants = Directory::default();
        let identity = IdentityService::open(
            &config.data,
            &config,
            Arc::clone(&clock),
            notices.clone(),
            tenants.clone(),
            keyring.clone(),
        )
        .await?;
        let imaging = ImagingService::open(
            archive.clone(),
            Arc::clone(&config),
            tenants.clone(),
            Arc::clone(&clock),
            notices.clone(),
        )
        .await?;
        let patients = PatientsService::open(
            &config.data,
            Arc::clone(&clock),
            notices.clone(),
            keyring.clone(),
        )
        .await?;
        let inference = InferenceService::open(
            &config.data,
            Arc::clone(&clock),
            notices.clone(),
            keyring.clone(),
            Options::new(
                &config,
                std::env::current_exe().context("this program's own path is unknown")?,
                installation_id(&config.data)?,
            ),
        )
        .await?;
        let integration = IntegrationService::open(
            &config.data,
            Arc::clone(&clock),
            notices.clone(),
            keyring.clone(),
            config.destinations.clone(),
            config.tls.clone(),
            mail(&config)?,
        )
        .await?;
        let trails = [
            imaging.trail(),
            patients.trail(),
            inference.trail(),
            integration.trail(),
            identity.trail().clone(),
        ];
        let mut sources: Vec<Arc<dyn AuditSource>> = vec![Arc::new(archive.clone())];
        for trail in &trails {
            sources.push(Arc::new(trail.clone()));
        }
        let audit = AuditService::open(
            &config.data,
            keyring,
            Arc::clone(&clock),
            sources,
            Arc::new(identity.clone()),
            config.audit.keep(),
        )
        .await?;

        let stop = CancellationToken::new();
        let inboxes = vec![
            imaging.inbox(),
            patients.inbox(),
            inference.inbox(),
            integration.inbox(),
        ];
        let forgetful: [Arc<dyn Forgets>; 6] = [
            Arc::new(imaging.clone()),
            Arc::new(patients.clone()),
            Arc::new(inference.clone()),
            Arc::new(integration.clone()),
            Arc::new(audit.clone()),
            Arc::new(identity.clone()),
        ];
        let mut audited = trails.to_vec();
        audited.push(audit.trail());
        let transit = Transit::default();
        let erasures = http::Erasures::new(
            archive.clone(),
            forgetful.into(),
            audited.into(),
            transit.clone(),
            Arc::clone(&clock),
            notices.clone(),
        );
        let endings = http::Endings::new(erasures.clone(), identity.clone());
        endings
            .carry_out_due()
            .await
            .context("a tenant whose end was begun can't be ended")?;
        erasures
            .carry_out_due()
            .await
            .context("erasures that the restored backup does not know can't be carried out")?;
        let parts = http::Parts {
            erasures: erasures.clone(),
            endings,
            exporting: [
                Arc::new(identity.clone()) as Arc<dyn Exports>,
                Arc::new(archive.clone()),
                Arc::new(imaging.clone()),
                Arc::new(patients.clone()),
                Arc::new(inference.clone()),
                Arc::new(integration.clone()),
                Arc::new(audit.clone()),
            ]
            .into(),
            config: Arc::clone(&config),
            operator: operator.clone(),
            tenants: tenants.clone(),
            identity: Arc::new(identity.clone()),
            rates: http::Rates::new({
                let identity = identity.clone();
                move |tenant| identity.requests_per_minute(tenant)
            }),
            auth: identity.auth_router(),
            clock,
            notices,
            metrics,
            archive: archive.clone(),
            inboxes: inboxes.clone().into(),
            jobs: [
                Arc::new(inference.clone()) as Arc<dyn JobSource>,
                Arc::new(integration.clone()),
            ]
            .into(),
            rest: [
                imaging.router(),
                patients.router(),
                inference.router(),
                integration.router(),
                identity.router(),
                audit.router(),
            ],
            audit: audit.clone(),
            dicomweb: imaging.dicomweb(),
            stop: stop.clone(),
        };
        let router = http::router(parts);
        Ok(Self {
            router,
            operator,
            tenants,
            services: Services {
                archive,
                imaging,
                patients,
                inference,
                integration,
                identity,
                audit,
            },
            inboxes,
            transit,
            erasures,
            stop,
        })
    }

    /// Closes what was opened.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.services.close().await;
    }
}

/// Names this installation in the results that it makes (Device Serial
/// Number, Device UID): made once, kept in the data folder, and durable before
/// anything is called after it.
fn installation_id(data: &Path) -> anyhow::Result<String> {
    let path = data.join("installation");
    let context = || format!("can't read or write {}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(context),
    }
    let id = uuid::Uuid::new_v4().to_string();
    durable::replace(&path, format!("{id}\n").as_bytes()).with_context(context)?;
    Ok(id)
}

async fn listen(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{what} can't listen on {address}: stop what uses it, or choose another address")
    })
}
