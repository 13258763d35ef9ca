//! A server that keeps what it receives in memory, instances to send, and child processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hilum_dimse::{
    Acceptor, Admission, AssociationEnd, AssociationHandler, AssociationInfo, AssociationRequest,
    Carried, Client, ClientConfig, Rejection, Server, ServerConfig, Status, StoreOperation,
    StoreRequest, StoreSink, StoreStatus,
};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
pub(crate) const PRIVATE: &str = "1.2.826.0.1.3680043.9.7777.1.1";
/// Long enough for a loaded machine, short enough to fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How the test server behaves.
pub(crate) struct Behaviour {
    pub(crate) called: Option<&'static str>,
    /// Returned by `begin_store`.
    pub(crate) refuse: Option<StoreStatus>,
    /// Returned by the first `write`.
    pub(crate) fail_write: Option<StoreStatus>,
    /// Returned by `finish`.
    pub(crate) outcome: StoreStatus,
    /// A permit is taken before `finish` returns.
    pub(crate) gate: Option<Arc<Semaphore>>,
    /// `begin_store` panics.
    pub(crate) panic: bool,
    /// A `write` beyond the first 8 MiB takes a permit before it returns.
    pub(crate) stall: Option<Arc<Semaphore>>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            called: None,
            refuse: None,
            fail_write: None,
            outcome: StoreStatus::SUCCESS,
            gate: None,
            panic: false,
            stall: None,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) association: AssociationInfo,
    pub(crate) request: StoreRequest,
    pub(crate) data: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) received: Vec<Received>,
    pub(crate) opened: Vec<AssociationInfo>,
    pub(crate) certificates: Vec<Option<Vec<u8>>>,
    pub(crate) ended: Vec<AssociationEnd>,
    pub(crate) begun: usize,
    pub(crate) dropped: usize,
    pub(crate) stalled: usize,
    pub(crate) refused: usize,
    pub(crate) largest_fragment: usize,
}

#[derive(Clone)]
struct Recorder {
    behaviour: Arc<Behaviour>,
    log: Arc<Mutex<Log>>,
}

#[async_trait]
impl Acceptor for Recorder {
    async fn admit(&self, request: &AssociationRequest) -> Result<Admission, Rejection> {
        match self.behaviour.called {
            Some(title) if title != request.called_ae_title => Err(Rejection::CALLED_AE_TITLE),
            _ => {
                let shown = request.certificate.clone();
                self.log.lock().unwrap().certificates.push(shown);
                Ok(Admission::Served(Box::new(self.clone())))
            }
        }
    }

    fn refused(&self, _peer: SocketAddr, _rejection: Option<Rejection>) {
        self.log.lock().unwrap().refused += 1;
    }
}

#[async_trait]
impl AssociationHandler for Recorder {
    async fn opened(&self, association: &AssociationInfo) {
        self.log.lock().unwrap().opened.push(association.clone());
    }

    async fn begin_store(
        &self,
        association: &AssociationInfo,
        request: StoreRequest,
    ) -> Result<Box<dyn StoreSink>, StoreStatus> {
        self.log.lock().unwrap().begun += 1;
        assert!(!self.behaviour.panic, "as the test wants it");
        if let Some(status) = self.behaviour.refuse {
            return Err(status);
        }
        let received = Received {
            association: association.clone(),
            request,
            data: Vec::new(),
        };
        Ok(Box::new(Sink {
            recorder: self.clone(),
            received: Some(received),
        }))
    }

    async fn closed(&self, _association: &AssociationInfo, end: AssociationEnd) {
        self.log.lock().unwrap().ended.push(end);
    }
}

struct Sink {
    recorder: Recorder,
    received: Option<Received>,
}

#[async_trait]
impl StoreSink for Sink {
    async fn write(&mut self, fragment: Bytes) -> Result<(), StoreStatus> {
        if let Some(status) = self.recorder.behaviour.fail_write {
            return Err(status);
        }
        {
            let mut log = self.recorder.log.lock().unwrap();
            log.largest_fragment = log.largest_fragment.max(fragment.len());
        }
        self.received
            .as_mut()
            .unwrap()
            .data
            .extend_from_slice(&fragment);
        let beyond = self
            .received
            .as_ref()
            .is_some_and(|received| received.data.len() > 8 << 20);
        if let Some(stall) = self.recorder.behaviour.stall.as_ref().filter(|_| beyond) {
            self.recorder.log.lock().unwrap().stalled += 1;
            stall.acquire().await.unwrap().forget();
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> StoreStatus {
        if let Some(gate) = &self.recorder.behaviour.gate {
            gate.acquire().await.unwrap().forget();
        }
        let received = self.received.take().unwrap();
        self.recorder.log.lock().unwrap().received.push(received);
        self.recorder.behaviour.outcome
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.received.is_some() {
            self.recorder.log.lock().unwrap().dropped += 1;
        }
    }
}

/// A server on a private port.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    log: Arc<Mutex<Log>>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(ServerConfig::default(), Behaviour::default()).await
    }

    pub(crate) async fn with(config: ServerConfig, behaviour: Behaviour) -> Self {
        Self::that_serves(config, behaviour, None).await
    }

    /// One that serves also what another server brings.
    pub(crate) async fn that_serves(
        config: ServerConfig,
        behaviour: Behaviour,
        carried: Option<mpsc::Receiver<Carried>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let recorder = Recorder {
            behaviour: Arc::new(behaviour),
            log: Arc::clone(&log),
        };
        let shutdown = CancellationToken::new();
        let mut server = Server::new(config, Arc::new(recorder));
        if let Some(carried) = carried {
            server = server.with_carried(carried);
        }
        let task = tokio::spawn(server.serve(listener, shutdown.clone()));
        Self {
            address,
            shutdown,
            task,
            log,
        }
    }

    pub(crate) fn port(&self) -> String {
        self.address.port().to_string()
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.log.lock().unwrap())
    }

    /// Waits until `look` sees it.
    pub(crate) async fn until(&self, what: &str, look: impl Fn(&Log) -> bool) {
        eventually(what, || self.look(&look)).await;
    }

    /// Waits for the end of `count` associations and gives the last.
    pub(crate) async fn ended(&self, count: usize) -> AssociationEnd {
        self.until("associations end", |log| log.ended.len() >= count)
            .await;
        self.look(|log| *log.ended.last().unwrap())
    }

    pub(crate) async fn client(&self, config: ClientConfig) -> Client {
        Client::connect(self.address, config).await.unwrap()
    }
}

pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            tokio::time::Instant::now() < end,
            "in vain waited until {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Proposes verification and MR in explicit little endian.
pub(crate) fn proposal() -> ClientConfig {
    ClientConfig::new("HILUM", "TEST")
        .propose("1.2.840.10008.1.1", &[IMPLICIT])
        .propose(MR, &[EXPLICIT])
}

pub(crate) fn operation(number: usize) -> StoreOperation {
    StoreOperation {
        sop_class_uid: MR.to_owned(),
        sop_instance_uid: format!("1.2.3.{number}"),
        transfer_syntax_uid: EXPLICIT.to_owned(),
    }
}

/// A stream of `data` in chunks.
pub(crate) fn chunks(
    data: &[u8],
    size: usize,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    let chunks: Vec<_> = data
        .chunks(size)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    futures::stream::iter(chunks)
}

/// Starts a program of dcmtk.
pub(crate) fn spawn(program: &str, arguments: &[&str]) -> Child {
    Command::new(program)
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error} (`make test-deps` installs it)"))
}

/// Runs a program to its end beside the test.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Output {
    let child = spawn(program, arguments);
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output());
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the program ends")
        .unwrap()
        .unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub(crate) fn python() -> PathBuf {
    std::env::var_os("HILUM_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.cache/venv/bin/python"),
        Into::into,
    )
}

pub(crate) fn failure(code: u16, comment: &'static str) -> StoreStatus {
    StoreStatus::with_comment(Status::new(code), comment)
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
