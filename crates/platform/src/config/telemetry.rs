//! Where traces go.

use std::net::IpAddr;
use std::path::PathBuf;

use http::Uri;
use serde::{Deserialize, Serialize};

/// What is told of the installation's work to a collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The collector that takes OTLP over HTTP: `http://127.0.0.1:4318`; by https
    /// on another machine. None: nothing is traced.
    pub otlp: Option<String>,
    /// The authorities of its certificate, or the certificate itself (PEM); else
    /// those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The part of all traces that is kept, from 0 to 1.
    pub share: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp: None,
            ca_file: None,
            share: 1.0,
        }
    }
}

impl Telemetry {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.share) {
            return Err("telemetry.share is between 0 and 1".to_owned());
        }
        let Some(otlp) = &self.otlp else {
            return Ok(());
        };
        let form = || format!("telemetry.otlp = {otlp:?} is no address: https://HOST:4318");
        let uri: Uri = otlp.parse().map_err(|_| form())?;
        let host = uri.host().ok_or_else(form)?;
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|of| of.is_loopback());
        match uri.scheme_str() {
            Some("https") => Ok(()),
            Some("http") if is_here => Ok(()),
            Some("http") => Err(
                "telemetry.otlp: http:// is for a collector on this machine only; \
                 another one is reached by https://"
                    .to_owned(),
            ),
            _ => Err(form()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_in_clear_is_on_this_machine() {
        let check = |otlp: &str| {
            let telemetry = Telemetry {
                otlp: Some(otlp.to_owned()),
                ..Telemetry::default()
            };
            telemetry.check()
        };
        for right in [
            "http://127.0.0.1:4318",
            "http://[::1]:4318",
            "https://otlp.example.org",
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        assert!(
            check("http://otlp.example.org:4318")
                .unwrap_err()
                .contains("https://")
        );
        for wrong in ["otlp.example.org", "ftp://127.0.0.1", ""] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
