//! What must hold before other machines can reach the doors.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};

/// The files of a certificate, PEM all of them. They are read anew when they
/// change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, and behind it those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key: for its owner's and at most its group's eyes.
    pub key: PathBuf,
    /// The authorities of DICOM devices' certificates. Absent: any certificate
    /// may be shown, and a device is known by its fingerprint alone.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

impl Config {
    pub(super) fn check_exposure(&self) -> Result<(), ConfigError> {
        let invalid = |text: String| Err(ConfigError::Invalid(text));
        let http_exposed = !self.http.ip().is_loopback();
        if http_exposed && self.tls.is_none() {
            return invalid(format!(
                "http = {} is reachable from other machines: give the server a certificate \
                 ([tls] certificate and key), or use an address on loopback, such as 127.0.0.1:{}",
                self.http,
                self.http.port()
            ));
        }
        if self.dicom_tls && self.tls.is_none() {
            return invalid("dicom_tls needs a certificate: [tls] certificate and key".to_owned());
        }
        let dicom_guarded = self.dicom_tls || self.dicom_plain_on_network;
        if !self.dicom.ip().is_loopback() && !dicom_guarded {
            return invalid(format!(
                "dicom = {} is reachable from other machines: take associations over TLS \
                 (dicom_tls = true), or say that images may cross the network in clear \
                 (dicom_plain_on_network = true)",
                self.dicom
            ));
        }
        match self.identity.public_url.as_deref() {
            None if http_exposed => invalid(format!(
                "http = {} is reachable from other machines: say by which name, \
                 identity.public_url = \"https://…\"",
                self.http
            )),
            Some(url) if http_exposed && !url.starts_with("https://") => {
                invalid("identity.public_url begins with https:// when there is TLS".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(set: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        set(&mut config);
        let checked = config.check();
        checked.err().map(|e| e.to_string()).unwrap_or_default()
    }

    fn with_tls(config: &mut Config) {
        config.tls = Some(Tls {
            certificate: "hilum.pem".into(),
            key: "hilum.key".into(),
            client_ca: None,
        });
        config.identity.public_url = Some("https://hilum.example".to_owned());
    }

    fn on_network(config: &mut Config) {
        config.http = "0.0.0.0:443".parse().unwrap();
    }

    #[test]
    fn http_that_others_can_reach_needs_tls_and_a_name() {
        assert!(refusal(on_network).contains("[tls]"));
        let nameless = refusal(|config| {
            with_tls(config);
            on_network(config);
            config.identity.public_url = None;
        });
        assert!(nameless.contains("public_url"), "{nameless}");
        let in_clear = refusal(|config| {
            with_tls(config);
            on_network(config);
            config.identity.public_url = Some("http://hilum.example".to_owned());
        });
        assert!(in_clear.contains("https://"), "{in_clear}");
        let good = refusal(|config| {
            with_tls(config);
            on_network(config);
        });
        assert_eq!(good, "");
    }

    #[test]
    fn dicom_that_others_can_reach_needs_tls_or_the_operators_word() {
        let exposed = |config: &mut Config| config.dicom = "[::]:11112".parse().unwrap();
        assert!(refusal(exposed).contains("dicom_tls"));
        let in_clear = refusal(|config| {
            exposed(config);
            config.dicom_plain_on_network = true;
        });
        assert_eq!(in_clear, "");
        let over_tls = refusal(|config| {
            exposed(config);
            with_tls(config);
            config.dicom_tls = true;
        });
        assert_eq!(over_tls, "");
        assert!(refusal(|config| config.dicom_tls = true).contains("certificate"));
    }
}
