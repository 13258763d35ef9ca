//! An authority of its own for neighbours' certificates, by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use hilum_platform::config::Tls;

use crate::tools::run;

/// An authority that vouches for whom it is asked to.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// A new one, which keeps its files in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let this = Self {
            folder: folder.to_owned(),
        };
        this.openssl(&[
            "-subj",
            "/CN=neighbours",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        this
    }

    /// Its own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate for somebody on this machine, as `NAME.pem` and `NAME.key`.
    #[must_use]
    pub fn vouches_for(&self, name: &str) -> Tls {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        self.openssl(&[
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        Tls {
            certificate: self.folder.join(certificate),
            key: self.folder.join(key),
            client_ca: Some(self.certificate()),
        }
    }

    fn openssl(&self, arguments: &[&str]) {
        let made = run(Command::new("openssl")
            .current_dir(&self.folder)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-noenc", "-days", "2"])
            .args(arguments));
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl made no certificate: {said}");
    }
}
