//! A RabbitMQ of a test's own: its node, its port mapper, its cookie and its
//! files below a temporary folder, on loopback only. Its one user may do what
//! docs/operations/bus.md says that Hilum needs, and nothing else.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::mail::make_certificate;
use crate::peers::{free_address, start};
use crate::tools::wait_until;

/// Where Debian has it. Its `rabbitmq-server` in the path changes the user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A broker.
pub struct RabbitMq {
    folder: TempDir,
    clear: SocketAddr,
    over_tls: SocketAddr,
    between_nodes: SocketAddr,
    mapper_address: SocketAddr,
    mapper: Option<Child>,
    node: Option<Child>,
}

impl RabbitMq {
    /// A place for one that does not listen yet.
    #[must_use]
    pub fn down() -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
            clear: free_address(),
            over_tls: free_address(),
            between_nodes: free_address(),
            mapper_address: free_address(),
            mapper: None,
            node: None,
        };
        make_certificate(this.folder.path());
        let files = |name: &str| this.folder.path().join(name).display().to_string();
        let config = format!(
            "listeners.tcp.1 = {}
listeners.ssl.1 = {}
ssl_options.cacertfile = {certificate}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
default_vhost = hilum
default_user = hilum
default_pass = word
default_permissions.configure = ^hilum\\..*
default_permissions.read = ^hilum\\..*
default_permissions.write = ^hilum\\..*
disk_free_limit.absolute = 1MB
log.file.level = warning
",
            this.clear,
            this.over_tls,
            files("key.pem"),
            certificate = files("certificate.pem"),
        );
        std::fs::write(this.folder.path().join("rabbitmq.conf"), config).unwrap();
        std::fs::write(this.folder.path().join("plugins"), "[].\n").unwrap();
        std::fs::create_dir(this.folder.path().join("home")).unwrap();
        this
    }

    /// One that listens.
    #[must_use]
    pub fn up() -> Self {
        let mut broker = Self::down();
        broker.comes_up();
        broker
    }

    /// Begins to listen, with the messages that it had.
    pub fn comes_up(&mut self) {
        assert!(
            Path::new(SERVER).is_file(),
            "there is no {SERVER}: run `make test-deps`"
        );
        if self.mapper.is_none() {
            // In the foreground: the one that a node starts would stay behind.
            let mut mapper = Command::new("epmd");
            mapper.args(["-address", "127.0.0.1", "-port"]);
            mapper.arg(self.mapper_address.port().to_string());
            self.mapper = Some(start(&mut mapper));
            wait_until("the port mapper listens", 20, || {
                TcpStream::connect(self.mapper_address).ok()
            });
        }
        let port = |of: &SocketAddr| of.port().to_string();
        let folder = |name: &str| self.folder.path().join(name);
        let mut node = Command::new(SERVER);
        node.env("HOME", folder("home"))
            .env("RABBITMQ_NODENAME", "hilum@localhost")
            .env("RABBITMQ_MNESIA_BASE", folder("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder("log"))
            .env("RABBITMQ_CONFIG_FILE", folder("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder("plugins"))
            .env("RABBITMQ_PID_FILE", folder("pid"))
            .env("RABBITMQ_NODE_PORT", port(&self.clear))
            .env("RABBITMQ_DIST_PORT", port(&self.between_nodes))
            .env("ERL_EPMD_PORT", port(&self.mapper_address))
            // Without it a shell stands between us and the node.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
            );
        self.node = Some(start(&mut node));
        wait_until("RabbitMQ listens", 120, || {
            let clear = TcpStream::connect(self.clear).ok()?;
            TcpStream::connect(self.over_tls).ok().map(|_| clear)
        });
    }

    /// Ends at once, as in a power cut.
    pub fn is_killed(&mut self) {
        if let Some(mut node) = self.node.take() {
            let _ended = node.kill();
            let _status = node.wait();
        }
    }

    /// Stands still: it has its connections and says nothing.
    pub fn freezes(&self) {
        self.signal(Signal::STOP);
    }

    /// Goes on where it stood still.
    pub fn goes_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.node.as_ref().unwrap()), signal).unwrap();
    }

    /// Its address in clear, on this machine.
    #[must_use]
    pub fn amqp(&self) -> String {
        Self::amqp_at(self.clear)
    }

    /// Where it listens in clear.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.clear
    }

    /// The address of a broker that is reached there in clear.
    #[must_use]
    pub fn amqp_at(address: SocketAddr) -> String {
        format!("amqp://hilum:word@{address}/hilum")
    }

    /// Its address over TLS, with a certificate that [`Self::ca_file`] is.
    #[must_use]
    pub fn amqps(&self) -> String {
        let port = self.over_tls.port();
        format!("amqps://hilum:word@localhost:{port}/hilum")
    }

    /// Its certificate, which nobody vouches for.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.is_killed();
        if let Some(mut mapper) = self.mapper.take() {
            let _ended = mapper.kill();
            let _status = mapper.wait();
        }
    }
}
