//! A bucket of a test's own: npm's `s3rver`, run by node, its objects in a folder.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::peers::free_address;
use crate::processes::Server;
use crate::relay::{Behind, Relay};
use crate::tools::{root, wait_until};

/// Its one user, and that one's secret.
pub const S3_KEY: &str = "S3RVER";

/// A server with one bucket, `hilum`. It ends with the test's process.
pub struct S3 {
    server: Server,
    address: SocketAddr,
    /// On the way to it.
    way: Option<Relay>,
    folder: TempDir,
}

impl S3 {
    /// One that listens.
    #[must_use]
    pub fn up() -> Self {
        let npm = root().join(".cache/s3rver");
        assert!(
            npm.join("node_modules/s3rver").is_dir(),
            "there is no {}: run `make test-deps`",
            npm.display()
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), S3_KEY).unwrap();
        let address = free_address();
        let (buckets, log) = (folder.path().join("buckets"), folder.path().join("log"));
        let launch = move || {
            let mut command = Command::new("node");
            command
                // s3rver hides where the next page of a list begins with IDEA, which
                // OpenSSL 3 calls legacy.
                .arg("--openssl-legacy-provider")
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("node/s3.mjs"))
                .arg(&npm)
                .arg(address.port().to_string())
                .arg(&buckets)
                .arg("hilum")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(File::create(&log).unwrap());
            command
        };
        let this = Self {
            server: Server::start(launch, Signal::TERM),
            address,
            way: None,
            folder,
        };
        this.listens();
        this
    }

    /// One that is reached over a relay.
    #[must_use]
    pub fn over_relay() -> Self {
        let mut this = Self::up();
        this.way = Some(Relay::to(Behind::Tcp(this.address)));
        this
    }

    /// The relay on the way to it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn way(&self) -> &Relay {
        self.way.as_ref().expect("a bucket over a relay")
    }

    fn listens(&self) {
        wait_until("the bucket's server listens", 30, || {
            TcpStream::connect(self.address).ok()
        });
    }

    /// Listens again, with the objects that it had.
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

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let way = self.way.as_ref();
        format!("http://{}", way.map_or(self.address, Relay::address))
    }

    /// Where its bucket's objects lie, by their keys.
    #[must_use]
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("buckets/hilum")
    }

    /// The setting `objects` that uses it.
    #[must_use]
    pub fn setting(&self) -> String {
        format!(
            "{{ bucket = \"hilum\", endpoint = {:?}, access_key_id = {S3_KEY:?}, \
             secret_access_key_file = {:?} }}",
            self.endpoint(),
            self.folder.path().join("secret")
        )
    }
}
