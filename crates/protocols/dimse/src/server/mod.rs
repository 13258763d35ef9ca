//! Service class provider: accepts associations and hands C-STORE data sets on as they stream in.
//! Owns the listener, the bound on associations and shutdown; knows nothing of what is done with a
//! data set.

mod association;
mod elsewhere;
mod handler;
mod message;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

pub use handler::{
    AbortCause, Acceptor, Admission, AssociationCounts, AssociationEnd, AssociationHandler,
    Carried, Duplex, EndReason, MoveOriginator, StoreRequest, StoreSink,
};

use crate::Implementation;
use crate::association::receivable_length;
use crate::limits::MAX_PENDING_CONNECTIONS;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Associations at one time; the next gets A-ASSOCIATE-RJ, local limit exceeded.
    pub max_associations: usize,
    /// Longest P-DATA-TF taken, in bytes, 4 KiB to 16 MiB; announced to the peer. Each association
    /// holds about one.
    pub max_pdu_length: u32,
    /// From connection to A-ASSOCIATE-RQ, a TLS handshake included, and from our last PDU to the peer's close (the ARTIM
    /// timer of PS3.8 §9.1.5).
    pub artim: Duration,
    /// Longest silence between messages of an association.
    pub idle: Duration,
    /// Longest time for one PDU to arrive, and longest silence within a message.
    pub pdu: Duration,
    /// Longest time for the peer to take what we send.
    pub send: Duration,
    /// After shutdown was asked for, what running associations get before A-ABORT.
    pub grace: Duration,
    /// Sent in A-ASSOCIATE-AC.
    pub implementation: Implementation,
    /// Makes the correlation id of each association.
    pub new_id: fn() -> Uuid,
    /// Associations come over TLS, and only so; each handshake takes what is here then.
    pub tls: Option<watch::Receiver<Arc<rustls::ServerConfig>>>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_associations: 64,
            max_pdu_length: 256 * 1024,
            artim: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            pdu: Duration::from_secs(60),
            send: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            implementation: Implementation::default(),
            new_id: Uuid::new_v4,
            tls: None,
        }
    }
}

/// After the grace, what aborted associations get to tell their handlers.
const ABORTING: Duration = Duration::from_secs(5);

/// A DIMSE service class provider.
pub struct Server {
    shared: Arc<Shared>,
    carried: Option<mpsc::Receiver<Carried>>,
}

struct Shared {
    config: ServerConfig,
    acceptor: Arc<dyn Acceptor>,
    associations: Arc<Semaphore>,
    /// Asks associations to end between messages.
    stopping: CancellationToken,
    /// The grace is over.
    abort: CancellationToken,
}

impl Server {
    /// A server that asks `acceptor` about every association.
    #[must_use]
    pub fn new(mut config: ServerConfig, acceptor: Arc<dyn Acceptor>) -> Self {
        config.max_pdu_length = receivable_length(config.max_pdu_length);
        let associations = Arc::new(Semaphore::new(config.max_associations));
        let shared = Shared {
            config,
            acceptor,
            associations,
            stopping: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        Self {
            shared: Arc::new(shared),
            carried: None,
        }
    }

    /// Serves also what other servers bring.
    #[must_use]
    pub fn with_carried(mut self, carried: mpsc::Receiver<Carried>) -> Self {
        self.carried = Some(carried);
        self
    }

    /// Serves until `shutdown` is cancelled, then stops accepting, lets messages in progress finish
    /// within the grace, and aborts what is left. Returns when every association has ended.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let (shared, mut carried) = (self.shared, self.carried);
        let pending = Arc::new(Semaphore::new(
            shared
                .config
                .max_associations
                .saturating_add(MAX_PENDING_CONNECTIONS),
        ));
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    note_panic(done);
                    continue;
                }
                accepted = accept(&listener, &pending, &mut carried) => accepted,
            };
            let Some((came, peer, permit)) = accepted else {
                continue;
            };
            spawn(&mut tasks, &shared, (came, peer), permit);
        }
        // Whoever stands in the queue was told that it is connected: closing would reset it.
        for (stream, peer) in queued(listener) {
            let Ok(permit) = Arc::clone(&pending).try_acquire_owned() else {
                break;
            };
            spawn(&mut tasks, &shared, (Came::Here(stream), peer), permit);
        }
        shared.stopping.cancel();
        let drain = async {
            while let Some(done) = tasks.join_next().await {
                note_panic(done);
            }
        };
        if tokio::time::timeout(shared.config.grace, drain)
            .await
            .is_err()
        {
            shared.abort.cancel();
            let last = async {
                while let Some(done) = tasks.join_next().await {
                    note_panic(done);
                }
            };
            let _ = tokio::time::timeout(ABORTING, last).await;
            // Only a handler that doesn't return is left by now.
            tasks.shutdown().await;
        }
    }
}

fn spawn(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    (came, peer): (Came, SocketAddr),
    permit: OwnedSemaphorePermit,
) {
    let shared = Arc::clone(shared);
    let id = (shared.config.new_id)();
    let span = tracing::info_span!("association", %id, %peer);
    let run = async move {
        association::run(&shared, came, peer, id).await;
        drop(permit);
    };
    tasks.spawn(run.instrument(span));
}

/// The connections that the kernel has made and nobody has accepted.
fn queued(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let listener = listener.into_std().ok();
    std::iter::from_fn(move || {
        let (stream, peer) = listener.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    })
}

/// How a connection came.
enum Came {
    Here(TcpStream),
    /// To another server, which has opened it.
    Carried(Carried),
}

async fn accept(
    listener: &TcpListener,
    pending: &Arc<Semaphore>,
    carried: &mut Option<mpsc::Receiver<Carried>>,
) -> Option<(Came, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(pending).acquire_owned().await.ok()?;
    let brought = async {
        match carried {
            Some(carried) => carried.recv().await,
            None => std::future::pending().await,
        }
    };
    let accepted = tokio::select! {
        accepted = listener.accept() => accepted,
        Some(brought) = brought => {
            let peer = brought.peer;
            return Some((Came::Carried(brought), peer, permit));
        }
    };
    match accepted {
        Ok((stream, peer)) => Some((Came::Here(stream), peer, permit)),
        Err(error) => {
            // Out of file descriptors, as a rule: an immediate retry would only spin.
            tracing::warn!(%error, "accepting a connection failed");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// An association that panicked has closed its connection by being dropped.
fn note_panic(done: Result<(), tokio::task::JoinError>) {
    if done.is_err() {
        metrics::counter!("hilum_dimse_association_panics_total").increment(1);
        tracing::error!("an association's task panicked; its connection was closed");
    }
}
