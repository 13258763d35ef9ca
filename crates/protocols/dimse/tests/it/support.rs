//! A server that keeps what it receives in memory, instances to send, and child processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hilum_dimse::{
    Acceptor, AssociationEnd, AssociationHandler, AssociationInfo, AssociationRequest, Client,
    ClientConfig, Rejection, Server, ServerConfig, Status, StoreOperation, StoreRequest, StoreSink,
    StoreStatus,
};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
pub(crate) const PRIVATE: &str = "1.2.826.0.1.3680043.9.7777.1.1";
/// Long enough for a loaded machine, short enough to fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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
    async fn admit(
        &self,
        request: &AssociationRequest,
    ) -> Result<Box<dyn AssociationHandler>, Rejection> {
        match self.behaviour.called {
            Some(title) if title != request.called_ae_title => Err(Rejection::CALLED_AE_TITLE),
            _ => Ok(Box::new(self.clone())),
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let recorder = Recorder {
            behaviour: Arc::new(behaviour),
            log: Arc::clone(&log),
        };
        let shutdown = CancellationToken::new();
        let server = Server::new(config, Arc::new(recorder));
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

/// The real series that the project ships.
pub(crate) fn series() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../samples/mr-brain");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dcm"))
        .collect();
    files.sort();
    assert!(files.len() >= 20);
    files
}

/// A UID of a part 10 file's meta information.
pub(crate) fn meta_uid(path: &Path, element: u8) -> String {
    let bytes = std::fs::read(path).unwrap();
    let tag = [2, 0, element, 0, b'U', b'I'];
    let at = bytes.windows(6).position(|window| window == tag).unwrap();
    let length = usize::from(bytes[at + 6]);
    let uid = std::str::from_utf8(&bytes[at + 8..at + 8 + length]).unwrap();
    uid.trim_end_matches('\0').to_owned()
}

/// The same without its first slice, whose 2.5 MB of bytes after the pixels dcmtk reads as elements,
/// for seconds.
pub(crate) fn plain_series() -> Vec<PathBuf> {
    series().split_off(1)
}

/// The data set's bytes of a part 10 file, as they are in it.
pub(crate) fn data_set_bytes(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    // (0002,0000) is the first element: 132 + 12 bytes in front of what its value counts.
    let length = u32::from_le_bytes(bytes[140..144].try_into().unwrap());
    bytes[144 + length as usize..].to_vec()
}

fn put(out: &mut Vec<u8>, tag: (u16, u16), vr: &[u8; 2], value: &[u8]) {
    out.extend(tag.0.to_le_bytes());
    out.extend(tag.1.to_le_bytes());
    out.extend(vr);
    if matches!(vr, b"OB" | b"OW") {
        out.extend([0, 0]);
        out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    } else {
        out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    }
    out.extend(value);
}

fn padded(uid: &str) -> Vec<u8> {
    let mut bytes = uid.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

/// An MR instance in explicit little endian with this many bytes of pixels.
pub(crate) fn instance(class: &str, instance: &str, pixels: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, (8, 0x16), b"UI", &padded(class));
    put(&mut out, (8, 0x18), b"UI", &padded(instance));
    put(&mut out, (0x10, 0x20), b"LO", b"NOBODY");
    put(&mut out, (0x20, 0x0d), b"UI", &padded("1.2.3.1000"));
    put(&mut out, (0x20, 0x0e), b"UI", &padded("1.2.3.1001"));
    let pixels: Vec<u8> = (0..pixels).map(|i| (i * 31 % 251) as u8).collect();
    put(&mut out, (0x7fe0, 0x10), b"OW", &pixels);
    out
}

/// The same as a part 10 file.
pub(crate) fn file(folder: &Path, class: &str, uid: &str, pixels: usize) -> PathBuf {
    let mut meta = Vec::new();
    put(&mut meta, (2, 1), b"OB", &[0, 1]);
    put(&mut meta, (2, 2), b"UI", &padded(class));
    put(&mut meta, (2, 3), b"UI", &padded(uid));
    put(&mut meta, (2, 0x10), b"UI", &padded(EXPLICIT));
    put(&mut meta, (2, 0x12), b"UI", &padded("1.2.3.4"));
    let mut out = vec![0; 128];
    out.extend(b"DICM");
    put(
        &mut out,
        (2, 0),
        b"UL",
        &u32::try_from(meta.len()).unwrap().to_le_bytes(),
    );
    out.extend(meta);
    out.extend(instance(class, uid, pixels));
    let path = folder.join(format!("{uid}.dcm"));
    std::fs::write(&path, out).unwrap();
    path
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
