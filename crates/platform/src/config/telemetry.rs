//! Where traces go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::check_http;

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
        match &self.otlp {
            Some(otlp) => check_http("telemetry.otlp", otlp, "https://HOST:4318"),
            None => Ok(()),
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
