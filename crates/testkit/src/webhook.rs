//! A webhook of others: it verifies what it is told with the `standardwebhooks`
//! package, in Python.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;

use serde_json::Value;
use tempfile::TempDir;

use crate::peers::{free_address, start};
use crate::tools::{script, wait_until};

/// What both sides sign with.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A server that takes webhooks.
pub struct Webhook {
    address: SocketAddr,
    folder: TempDir,
    secret: String,
    child: Option<Child>,
}

impl Webhook {
    /// A place for one that does not listen yet.
    #[must_use]
    pub fn down() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        Self {
            address: free_address(),
            folder,
            secret: SECRET.to_owned(),
            child: None,
        }
    }

    /// Knows this secret when it comes up next.
    pub fn knows(&mut self, secret: &str) {
        secret.clone_into(&mut self.secret);
    }

    /// Ends.
    pub fn goes_down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended = child.kill();
            let _status = child.wait();
        }
    }

    /// Begins to listen; answers the first message with `first`, and each other
    /// one with 204.
    pub fn comes_up(&mut self, first: u16) {
        let mut command = script("webhook_server.py");
        command
            .arg(self.address.port().to_string())
            .args([self.secret.as_str(), &first.to_string()])
            .arg(self.folder.path().join("told"));
        self.child = Some(start(&mut command));
        wait_until("the webhook listens", 20, || {
            TcpStream::connect(self.address).ok()
        });
    }

    /// What is posted to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The file with its secret.
    #[must_use]
    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// What it was told, and verified: `id`, `answered` and `message`.
    #[must_use]
    pub fn told(&self) -> Vec<Value> {
        lines(&self.folder.path().join("told"))
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.goes_down();
    }
}
