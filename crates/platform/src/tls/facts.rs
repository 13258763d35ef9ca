//! What certificates say of themselves: for how long they hold and for whom.

use std::net::IpAddr;
use std::path::Path;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::OffsetDateTime;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use super::{TlsError, certificates};

/// What a certificate says of itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// From when it holds.
    pub not_before: OffsetDateTime,
    /// Until when.
    pub not_after: OffsetDateTime,
    /// The DNS names and addresses that it is for (RFC 5280 §4.2.1.6).
    pub names: Vec<String>,
    der: CertificateDer<'static>,
}

/// Every certificate of a file, in its order.
///
/// # Errors
/// When it can't be read or holds something else.
pub fn facts(path: &Path) -> Result<Vec<Facts>, TlsError> {
    certificates(path)?
        .into_iter()
        .map(|der| {
            Facts::of(der).ok_or_else(|| TlsError::Content {
                path: path.to_owned(),
                what: "certificate of the standard's form",
            })
        })
        .collect()
}

impl Facts {
    fn of(der: CertificateDer<'static>) -> Option<Self> {
        let certificate = Certificate::from_der(&der).ok()?.tbs_certificate;
        let (_, names) = certificate
            .get::<SubjectAltName>()
            .ok()?
            .unwrap_or_else(|| {
                let none = SubjectAltName(Vec::new());
                (false, none)
            });
        Some(Self {
            not_before: at(certificate.validity.not_before)?,
            not_after: at(certificate.validity.not_after)?,
            names: names.0.iter().filter_map(shown).collect(),
            der,
        })
    }

    /// Whether who asks for `host`, a DNS name or an address, takes it for its
    /// own (RFC 9525).
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let name = ServerName::try_from(host.to_owned());
        let parsed = ParsedCertificate::try_from(&self.der);
        match (name, parsed) {
            (Ok(name), Ok(parsed)) => verify_server_name(&parsed, &name).is_ok(),
            _ => false,
        }
    }
}

fn at(time: Time) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

fn shown(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let six = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
            four.or(six).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
