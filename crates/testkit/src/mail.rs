//! A mail server of others: aiosmtpd, in Python.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::peers::{free_address, start};
use crate::tools::{run, script, wait_until};

/// Who may send by a server that asks.
pub const MAIL_USER: (&str, &str) = ("hilum", "a word between servers");

/// A mail server.
pub struct MailServer {
    address: SocketAddr,
    folder: TempDir,
    with_tls: bool,
    child: Option<Child>,
}

impl MailServer {
    /// A place for one that does not listen yet and takes what anybody sends.
    #[must_use]
    pub fn down() -> Self {
        Self {
            address: free_address(),
            folder: tempfile::tempdir().unwrap(),
            with_tls: false,
            child: None,
        }
    }

    /// One that listens and takes what anybody sends.
    #[must_use]
    pub fn up() -> Self {
        let mut server = Self::down();
        server.comes_up();
        server
    }

    /// One that takes mail over STARTTLS only, from [`MAIL_USER`] only.
    #[must_use]
    pub fn up_with_tls() -> Self {
        let mut server = Self::down();
        server.with_tls = true;
        make_certificate(server.folder.path());
        server.comes_up();
        server
    }

    /// Begins to listen.
    pub fn comes_up(&mut self) {
        let mut command = script("mail_server.py");
        let mails = self.folder.path().join("mails");
        std::fs::create_dir_all(&mails).unwrap();
        command.arg(self.address.port().to_string()).arg(mails);
        if self.with_tls {
            command.arg(self.ca_file()).arg(self.key_file());
            command.args([MAIL_USER.0, MAIL_USER.1]);
        }
        self.child = Some(start(&mut command));
        wait_until("the mail server listens", 20, || {
            TcpStream::connect(self.address).ok()
        });
    }

    /// Where it listens, at `localhost`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of one with TLS, which nobody vouches for.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The mails that it took, in the order in which they came: `to`, `from`,
    /// `subject`, `body`, `tls`.
    #[must_use]
    pub fn mails(&self) -> Vec<Value> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("mails")) else {
            return Vec::new();
        };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
        files.sort();
        files.iter().map(|file| read(file)).collect()
    }
}

/// Makes `certificate.pem`, of a server at `localhost`, and its `key.pem`.
pub(crate) fn make_certificate(folder: &Path) {
    let config = folder.join("openssl.cnf");
    std::fs::write(&config, CERTIFICATE).unwrap();
    let mut command = Command::new("openssl");
    command
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .arg("-config")
        .arg(&config)
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"));
    let made = run(&mut command);
    assert!(made.status.success(), "openssl made no certificate");
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

impl Drop for MailServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// An end entity's own: what may sign others is refused as a server's.
const CERTIFICATE: &str = "[req]
distinguished_name = name
x509_extensions = server
prompt = no
[name]
CN = localhost
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost
";
