//! The certificate that a client shows: as its files are at each handshake, so that
//! one that was renewed is shown without a new start.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs as provider;
use rustls::sign::CertifiedKey;

use super::{Stamp, TlsError, certificates, key, stamps};
use crate::config::Tls;

/// A certificate and its key, and the files that they were read from.
#[derive(Debug)]
pub(super) struct Shown {
    files: Tls,
    now: Mutex<(Vec<Option<Stamp>>, Arc<CertifiedKey>)>,
}

impl Shown {
    /// Reads the files.
    pub(super) fn open(files: &Tls) -> Result<Self, TlsError> {
        let seen = stamps(files);
        Ok(Self {
            files: files.clone(),
            now: Mutex::new((seen, load(files)?)),
        })
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let found = stamps(&self.files);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != found {
            match load(&self.files) {
                Ok(renewed) => *now = (found, renewed),
                // Looked at again at the next handshake: files are written one after the other.
                Err(error) => {
                    metrics::counter!("hilum_tls_reload_failures_total").increment(1);
                    tracing::error!(%error, "the files of the certificate that is shown to others have changed; the old one stays");
                }
            }
        }
        Some(Arc::clone(&now.1))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn load(files: &Tls) -> Result<Arc<CertifiedKey>, TlsError> {
    let (chain, key) = (certificates(&files.certificate)?, key(&files.key)?);
    CertifiedKey::from_der(chain, key, &provider::default_provider())
        .map(Arc::new)
        .map_err(|error| {
            TlsError::Unusable(format!(
                "{} and {}: {error}",
                files.certificate.display(),
                files.key.display()
            ))
        })
}
