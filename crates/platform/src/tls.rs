//! TLS of the doors: the certificate's files, read anew when they change, and
//! what is agreed on. TLS 1.2 with forward secrecy and authenticated encryption,
//! and TLS 1.3: what OWASP ASVS level 2 asks of HTTP, and PS3.15's "BCP 195
//! RFC 8996, 9325 TLS Secure Transport Connection Profile" of DICOM. Which device
//! a client certificate is of is Identity's to say, never decided here.

mod facts;
mod shown;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs as provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::config::Tls;
use crate::limits::{TLS_FILE_MAX, TLS_LOOK_EVERY};

pub use facts::{Facts, facts};
use shown::Shown;

const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// What a door's next handshake is made with.
pub type Feed = watch::Receiver<Arc<ServerConfig>>;

/// The certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("tls: {}: {error}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file holds something else, or is longer than any such file.
    #[error("tls: {} holds no {what} in PEM", path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Others than its owner can read the key.
    #[error(
        "tls: {} can be read by everybody, or written by its group: `chmod 600` it",
        path.display()
    )]
    OpenKey {
        /// The file of the key.
        path: PathBuf,
    },
    /// The parts do not go together.
    #[error("tls: {0}")]
    Unusable(String),
}

/// Makes the process's TLS use this cryptography. Called first of all; a second
/// call changes nothing.
pub fn install_provider() {
    let _already_there = provider::default_provider().install_default();
}

/// SHA-256 of a certificate (DER), by which a device is known.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = digest::digest(&digest::SHA256, certificate);
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The certificate of the doors, as its files are now.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Tls,
    seen: Mutex<Vec<Option<Stamp>>>,
    http: watch::Sender<Arc<ServerConfig>>,
    dicom: watch::Sender<Arc<ServerConfig>>,
    neighbours: watch::Sender<Arc<ServerConfig>>,
}

/// A file that has this has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// When one can't be read, the key is open to others, or they do not go
    /// together.
    pub fn open(files: &Tls) -> Result<Self, TlsError> {
        let seen = stamps(files);
        let served = load(files)?;
        Ok(Self(Arc::new(Shared {
            files: files.clone(),
            seen: Mutex::new(seen),
            http: watch::Sender::new(served.http),
            dicom: watch::Sender::new(served.dicom),
            neighbours: watch::Sender::new(served.neighbours),
        })))
    }

    /// For HTTP: HTTP/2 or HTTP/1.1, and no client certificate.
    #[must_use]
    pub fn http(&self) -> Feed {
        self.0.http.subscribe()
    }

    /// For DICOM: a client certificate is asked for and may be left out.
    #[must_use]
    pub fn dicom(&self) -> Feed {
        self.0.dicom.subscribe()
    }

    /// For neighbours: a certificate of the authorities' has to be shown. Nobody has
    /// one where the files name no authority.
    #[must_use]
    pub fn neighbours(&self) -> Feed {
        self.0.neighbours.subscribe()
    }

    /// Reads the files again if one has changed. Whether new ones are served;
    /// files that can't be used leave the old ones in their place.
    pub fn look(&self) -> bool {
        let now = stamps(&self.0.files);
        {
            let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return false;
            }
            *seen = now;
        }
        match load(&self.0.files) {
            Ok(served) => {
                self.0.http.send_replace(served.http);
                self.0.dicom.send_replace(served.dicom);
                self.0.neighbours.send_replace(served.neighbours);
                tracing::info!("the certificate's files have changed and were read anew");
                true
            }
            Err(error) => {
                metrics::counter!("hilum_tls_reload_failures_total").increment(1);
                tracing::error!(%error, "the certificate's files have changed; the old ones stay");
                false
            }
        }
    }

    /// Looks again and again until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TLS_LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let this = self.clone();
            let _panicked = tokio::task::spawn_blocking(move || this.look()).await;
        }
    }
}

/// Who vouches for a peer, or is one.
#[derive(Clone, Copy, Debug)]
pub enum Trusted<'a> {
    /// Whom the system trusts.
    System,
    /// Who stands in a file (PEM), which is read at each use.
    File(&'a Path),
    /// Who stands in a text (PEM).
    Text(&'a str),
}

impl<'a> From<Option<&'a Path>> for Trusted<'a> {
    fn from(file: Option<&'a Path>) -> Self {
        file.map_or(Self::System, Self::File)
    }
}

impl<'a> From<Option<&'a PathBuf>> for Trusted<'a> {
    fn from(file: Option<&'a PathBuf>) -> Self {
        Self::from(file.map(PathBuf::as_path))
    }
}

/// For a peer that `authorities` vouch for, or that is named there itself; without
/// them one that the system trusts. Shows the certificate of `own` as its files are
/// at each handshake. The authorities are read anew at each call.
///
/// # Errors
/// When a file can't be used.
pub fn client<'a>(
    authorities: impl Into<Trusted<'a>>,
    own: Option<&Tls>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match authorities.into() {
        Trusted::File(path) => roots(path)?,
        Trusted::Text(text) => roots_of(text.as_bytes(), Path::new("its authorities"))?,
        Trusted::System => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(VERSIONS)
        .map_err(|error| TlsError::Unusable(error.to_string()))?
        .with_root_certificates(roots);
    let Some(own) = own else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let shown = Arc::new(Shown::open(own)?);
    Ok(Arc::new(builder.with_client_cert_resolver(shown)))
}

fn stamps(files: &Tls) -> Vec<Option<Stamp>> {
    [
        Some(&files.certificate),
        Some(&files.key),
        files.client_ca.as_ref(),
    ]
    .into_iter()
    .flatten()
    .map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    })
    .collect()
}

/// What each door is served with.
struct Served {
    http: Arc<ServerConfig>,
    dicom: Arc<ServerConfig>,
    neighbours: Arc<ServerConfig>,
}

fn load(files: &Tls) -> Result<Served, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = key(&files.key)?;
    let provider = Arc::new(provider::default_provider());
    let devices = verifier(files.client_ca.as_deref(), &provider)?;
    let unusable = |error: rustls::Error| {
        TlsError::Unusable(format!(
            "{} and {}: {error}",
            files.certificate.display(),
            files.key.display()
        ))
    };
    let builder = || {
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(VERSIONS)
    };
    let mut http = builder()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(unusable)?;
    http.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut dicom = builder()
        .map_err(unusable)?
        .with_client_cert_verifier(devices)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(unusable)?;
    // Every association shows its certificate itself.
    dicom.session_storage = Arc::new(NoServerSessionStorage {});
    dicom.send_tls13_tickets = 0;
    let neighbours = builder()
        .map_err(unusable)?
        .with_client_cert_verifier(certified(files.client_ca.as_deref(), &provider)?)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    Ok(Served {
        http: Arc::new(http),
        dicom: Arc::new(dicom),
        neighbours: Arc::new(neighbours),
    })
}

/// Takes whom the authorities vouch for, and nobody without them.
fn certified(
    authorities: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(path) = authorities else {
        return Ok(Arc::new(Nobody));
    };
    let roots = Arc::new(roots(path)?);
    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(|error| TlsError::Unusable(format!("{}: {error}", path.display())))
}

fn verifier(
    client_ca: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(path) = client_ca else {
        let algorithms = provider.signature_verification_algorithms;
        return Ok(Arc::new(AnyCertificate(algorithms)));
    };
    let roots = Arc::new(roots(path)?);
    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Unusable(format!("{}: {error}", path.display())))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    roots_of(&read(path)?, path)
}

fn roots_of(text: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates_of(text, path)? {
        let added = roots.add(authority);
        added.map_err(|error| TlsError::Unusable(format!("{}: {error}", path.display())))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates_of(&read(path)?, path)
}

fn certificates_of(text: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Content {
            path: path.to_owned(),
            what: "certificate",
        }),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let metadata = std::fs::metadata(path).map_err(|error| TlsError::Read {
        path: path.to_owned(),
        error,
    })?;
    // Keys that a group of services reads are common: 0640, root and its group.
    if metadata.mode() & 0o027 != 0 {
        return Err(TlsError::OpenKey {
            path: path.to_owned(),
        });
    }
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::Content {
        path: path.to_owned(),
        what: "private key",
    })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mut text = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(TLS_FILE_MAX).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(TlsError::Read {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Takes nobody.
#[derive(Debug)]
struct Nobody;

impl ClientCertVerifier for Nobody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Err(rustls::Error::General("no authority is known".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("no authority is known".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("no authority is known".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Takes any well-formed certificate whose holder signs the handshake with its
/// key: proof of the key, and of nothing else. Whose it is, its fingerprint says.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        ParsedCertificate::try_from(certificate).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
