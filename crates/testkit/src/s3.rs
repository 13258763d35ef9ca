//! A bucket of a test's own: npm's `s3rver`, run by node, its objects in a folder.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::peers::free_address;
use crate::tools::{root, wait_until};

/// Its one user, and that one's secret.
pub const S3_KEY: &str = "S3RVER";

/// A server with one bucket, `hilum`. It ends with the test's process.
pub struct S3 {
    folder: TempDir,
    address: SocketAddr,
    server: Option<Child>,
}

impl S3 {
    /// A place for one that does not listen yet.
    #[must_use]
    pub fn down() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), S3_KEY).unwrap();
        Self {
            folder,
            address: free_address(),
            server: None,
        }
    }

    /// One that listens.
    #[must_use]
    pub fn up() -> Self {
        let mut server = Self::down();
        server.comes_up();
        server
    }

    /// Begins to listen, with the objects that it had.
    pub fn comes_up(&mut self) {
        let npm = root().join(".cache/s3rver");
        assert!(
            npm.join("node_modules/s3rver").is_dir(),
            "there is no {}: run `make test-deps`",
            npm.display()
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/s3.mjs");
        let child = Command::new("node")
            .arg(script)
            .arg(npm)
            .arg(self.address.port().to_string())
            .arg(self.folder.path().join("buckets"))
            .arg("hilum")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        self.server = Some(child);
        wait_until("the bucket's server listens", 30, || {
            TcpStream::connect(self.address).ok()
        });
    }

    /// Ends at once.
    pub fn is_killed(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ended = server.kill();
            let _status = server.wait();
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
        kill_process(Pid::from_child(self.server.as_ref().unwrap()), signal).unwrap();
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
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

impl Drop for S3 {
    fn drop(&mut self) {
        self.is_killed();
    }
}
