//! Certificates by openssl, each of its own making.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hilum_platform::config::Tls;
use hilum_platform::tls::install_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A certificate for `localhost` that is its own authority, as `NAME.pem` and
/// `NAME.key`.
pub(crate) fn make(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}.key")),
    );
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-noenc", "-days", "2"])
        .args(["-subj", &format!("/CN={name}")])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl runs: `make test-deps` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    (certificate, key)
}

pub(crate) fn files(folder: &Path, name: &str) -> Tls {
    let (certificate, key) = make(folder, name);
    Tls {
        certificate,
        key,
        client_ca: None,
    }
}

pub(crate) fn der(certificate: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(certificate).unwrap()
}

/// A client that trusts the holder of `trusted` and shows `shown`.
pub(crate) fn client(trusted: &Path, shown: Option<(&Path, &Path)>) -> Arc<ClientConfig> {
    install_provider();
    let mut roots = RootCertStore::empty();
    roots.add(der(trusted)).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![der(certificate)],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap(),
    })
}
