//! Connections to the broker: made when they are needed, over TLS or on this
//! machine, and with the whole topology declared before anything else is said.

use std::sync::Arc;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::reactor::{Socket, runtime};
use super::{BusError, Shared};
use crate::config;
use crate::limits::{BUS_ANSWER, BUS_CONNECT, BUS_HEARTBEAT, BUS_PAUSE_FIRST};
use crate::tls;

/// Where the broker is. Its files are read anew at each connection: what was
/// renewed is used.
#[derive(Debug)]
pub(super) struct Address(config::Bus);

impl Address {
    pub(super) fn new(config: &config::Bus) -> Result<Self, BusError> {
        let this = Self(config.clone());
        this.read()?;
        Ok(this)
    }

    fn read(&self) -> Result<(AMQPUri, Option<TlsConnector>), BusError> {
        let mut uri = self.0.address().map_err(BusError::Address)?;
        uri.query.heartbeat = Some(BUS_HEARTBEAT);
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(tls::client(self.0.ca_file.as_deref(), None)?.into()),
        };
        Ok((uri, tls))
    }

    async fn connect(&self, name: &'static str) -> Result<Connection, BusError> {
        let (uri, tls) = self.read()?;
        let open = async move |uri: AMQPUri, _| {
            let (host, port) = (uri.authority.host, uri.authority.port);
            // An IPv6 address stands in brackets in a URI, and nowhere else.
            let host = host.trim_matches(['[', ']']).to_owned();
            let tcp = TcpStream::connect((host.as_str(), port)).await?;
            tcp.set_nodelay(true)?;
            let socket = match &tls {
                None => Socket::new(tcp),
                Some(tls) => {
                    let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
                    Socket::new(tls.connect(name, tcp).await?)
                }
            };
            Ok(AsyncTcpStream::Plain(socket))
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Ok(Connection::connector(uri, runtime(), open, properties).await?)
    }
}

/// A connection that is made again when it was lost. Whoever needs it waits for
/// one attempt, whoever else's it is.
pub(super) struct Link {
    name: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Arc<Connection>>,
    failed: Option<(Instant, String)>,
}

impl Link {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::default(),
        }
    }

    /// A new channel.
    pub(super) async fn channel(&self, bus: &Shared) -> Result<Channel, BusError> {
        let connection = self.connection(bus).await?;
        within(BUS_ANSWER, "a channel", connection.create_channel()).await
    }

    /// The connection; made if there is none.
    pub(super) async fn connection(&self, bus: &Shared) -> Result<Arc<Connection>, BusError> {
        let mut state = self.state.lock().await;
        if let Some(open) = &state.open
            && open.status().connected()
        {
            return Ok(Arc::clone(open));
        }
        state.open = None;
        if let Some((at, why)) = &state.failed
            && at.elapsed() < BUS_PAUSE_FIRST / 2
        {
            return Err(BusError::Unreachable(why.clone()));
        }
        let made = async {
            let connection = bus.address.connect(self.name).await?;
            bus.topology.declare(&connection).await?;
            Ok::<_, BusError>(connection)
        };
        let made = timeout(BUS_CONNECT, made).await;
        match made.unwrap_or(Err(BusError::TimedOut("a connection"))) {
            Ok(connection) => {
                let connection = Arc::new(connection);
                state.open = Some(Arc::clone(&connection));
                state.failed = None;
                Ok(connection)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.to_string()));
                Err(error)
            }
        }
    }

    /// Has the next one who needs it make it anew: it does not answer.
    pub(super) async fn abandon(&self) {
        self.state.lock().await.open = None;
    }
}

/// What the broker answers in time.
pub(super) async fn within<T>(
    time: Duration,
    what: &'static str,
    asking: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BusError> {
    match timeout(time, asking).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(BusError::TimedOut(what)),
    }
}
