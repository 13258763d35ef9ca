//! A Redis of a test's own: Debian's server on loopback, its password and log in a
//! temporary folder, and nothing on the disk. Its user may do what
//! docs/operations/cache.md says that Hilum needs, and nothing else.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::mail::make_certificate;
use crate::peers::free_address;
use crate::processes::Server;
use crate::relay::{Behind, Relay};
use crate::tools::{run, wait_until};

/// A cache. It ends with the test's process.
pub struct Redis {
    server: Server,
    address: SocketAddr,
    over_tls: SocketAddr,
    /// On the way to it.
    way: Option<Relay>,
    folder: TempDir,
}

impl Redis {
    /// One that listens.
    #[must_use]
    pub fn up() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (address, over_tls) = (free_address(), free_address());
        let log = folder.path().join("log");
        make_certificate(folder.path());
        let config = folder.path().join("redis.conf");
        let text = format!(
            "bind 127.0.0.1\nport {}\ndir {:?}\nsave \"\"\nappendonly no\ndaemonize no\n\
             requirepass word\nuser hilum on >word ~hilum:* -@all +getrange +set +ping\nmaxmemory 64mb\nmaxmemory-policy volatile-ttl\n\
             tls-port {}\ntls-auth-clients no\n\
             tls-cert-file certificate.pem\ntls-key-file key.pem\n",
            address.port(),
            folder.path(),
            over_tls.port()
        );
        std::fs::write(&config, text).unwrap();
        let launch = move || {
            let mut command = Command::new("redis-server");
            command
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(File::create(&log).unwrap())
                .stderr(Stdio::null());
            command
        };
        let this = Self {
            server: Server::start(launch, Signal::TERM),
            address,
            over_tls,
            way: None,
            folder,
        };
        this.listens();
        std::fs::write(this.url_file(), format!("{}\n", this.url())).unwrap();
        this
    }

    /// One that is reached over a relay.
    #[must_use]
    pub fn over_relay() -> Self {
        let mut this = Self::up();
        this.way = Some(Relay::to(Behind::Tcp(this.address)));
        std::fs::write(this.url_file(), format!("{}\n", this.url())).unwrap();
        this
    }

    /// The relay on the way to it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn way(&self) -> &Relay {
        self.way.as_ref().expect("a cache over a relay")
    }

    fn listens(&self) {
        wait_until("Redis listens", 30, || {
            TcpStream::connect(self.address).ok()
        });
    }

    /// Listens again. It kept nothing.
    pub fn comes_up(&mut self) {
        self.server.comes_back();
        self.listens();
    }

    /// Ends at once.
    pub fn is_killed(&mut self) {
        self.server.is_killed();
    }

    /// Stands still: it has its connections and says nothing.
    pub fn freezes(&self) {
        self.server.freezes();
    }

    /// Goes on where it stood still.
    pub fn goes_on(&self) {
        self.server.goes_on();
    }

    /// Its address with the password.
    #[must_use]
    pub fn url(&self) -> String {
        let address = self.way.as_ref().map_or(self.address, Relay::address);
        format!("redis://hilum:word@{address}/0")
    }

    /// The same over TLS, with a certificate that [`Self::ca_file`] is.
    #[must_use]
    pub fn url_over_tls(&self) -> String {
        format!("rediss://hilum:word@localhost:{}/0", self.over_tls.port())
    }

    /// Its certificate, which nobody vouches for.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The file that holds its address.
    #[must_use]
    pub fn url_file(&self) -> PathBuf {
        self.folder.path().join("url")
    }

    /// The setting `cache` that uses it.
    #[must_use]
    pub fn setting(&self) -> String {
        format!("{{ url_file = {:?} }}", self.url_file())
    }

    /// What `redis-cli` answers.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command
            .args(["-p", &self.address.port().to_string()])
            .args(["-a", "word", "--no-auth-warning"])
            .args(arguments);
        let Output { stdout, .. } = run(&mut command);
        String::from_utf8_lossy(&stdout).trim_end().to_owned()
    }

    /// The names of everything in it that begins so.
    #[must_use]
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let found = self.cli(&["--scan", "--pattern", &format!("{prefix}*")]);
        found.lines().map(ToOwned::to_owned).collect()
    }
}
