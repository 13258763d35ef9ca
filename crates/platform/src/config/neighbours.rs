//! Which services run here, and where the others are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use hilum_contracts::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, Tls};

/// The way to services in other processes, and theirs to this one. The same
/// section serves every process of an installation: what it says about a service
/// that runs here is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbours {
    /// Where neighbours ask this process.
    pub listen: SocketAddr,
    /// The certificate (PEM) that this process shows to its neighbours, as who asks
    /// and as who answers. It bears the name or address that neighbours find it by.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority of every neighbour's certificate: one made for this
    /// installation alone, because whoever it vouches for is a part of it.
    pub ca: PathBuf,
    /// Where services are asked: `imaging = "https://imaging.example:7300"`.
    #[serde(default)]
    pub at: BTreeMap<ServiceName, String>,
}

impl Neighbours {
    /// The files of the certificate.
    #[must_use]
    pub fn tls(&self) -> Tls {
        Tls {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            client_ca: Some(self.ca.clone()),
        }
    }
}

impl Config {
    /// Whether the service runs in this process.
    #[must_use]
    pub fn runs(&self, service: ServiceName) -> bool {
        self.services.contains(&service)
    }

    pub(super) fn check_neighbours(&self) -> Result<(), ConfigError> {
        let invalid = |text: String| Err(ConfigError::Invalid(text));
        if self.services.is_empty() {
            return invalid("services names at least one service".to_owned());
        }
        let mut absent = ServiceName::ALL.iter().filter(|one| !self.runs(**one));
        let Some(neighbours) = &self.neighbours else {
            return match absent.next() {
                Some(one) => invalid(format!(
                    "{one} does not run here: say where it does ([neighbours] listen, certificate, \
                     key, ca, and at.{one} = \"https://…\")"
                )),
                None => Ok(()),
            };
        };
        // Who comes in and what was sealed is told by questions: events are the others'.
        let tells =
            |one: &&ServiceName| !matches!(**one, ServiceName::Identity | ServiceName::Audit);
        if self.bus.is_none() && absent.clone().any(|one| tells(&one)) {
            let text = "services that run apart tell each other what happens over a bus: \
                        [bus] amqp = \"amqps://…\"";
            return invalid(text.to_owned());
        }
        for one in absent {
            let at = neighbours
                .at
                .get(one)
                .map(String::as_str)
                .unwrap_or_default();
            let authority = at
                .parse::<http::Uri>()
                .ok()
                .filter(|uri| uri.scheme_str() == Some("https") && uri.path() == "/");
            if authority.is_none() {
                return invalid(format!(
                    "{one} does not run here: say where it does, \
                     neighbours.at.{one} = \"https://host:port\""
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bus;
    use super::*;

    fn refusal(set: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        set(&mut config);
        let checked = config.check();
        checked.err().map(|e| e.to_string()).unwrap_or_default()
    }

    fn alone(config: &mut Config, at: &str) {
        config.services = vec![ServiceName::Imaging];
        config.bus = Some(Bus {
            amqp: Some("amqp://guest:guest@127.0.0.1".to_owned()),
            ..Bus::default()
        });
        let elsewhere = ServiceName::ALL.iter().map(|one| (*one, at.to_owned()));
        config.neighbours = Some(Neighbours {
            listen: "127.0.0.1:7300".parse().unwrap(),
            certificate: "own.pem".into(),
            key: "own.key".into(),
            ca: "ca.pem".into(),
            at: elsewhere.collect(),
        });
    }

    #[test]
    fn a_service_that_runs_elsewhere_is_found_there_over_tls() {
        assert_eq!(
            refusal(|config| alone(config, "https://a.example:7300")),
            ""
        );
        for wrong in ["", "http://a.example:7300", "https://a.example/path", "a:1"] {
            let text = refusal(|config| alone(config, wrong));
            assert!(text.contains("neighbours.at.patients"), "{wrong}: {text}");
        }
        let text = refusal(|config| config.services = vec![ServiceName::Audit]);
        assert!(text.contains("[neighbours]"), "{text}");
        assert!(refusal(|config| config.services.clear()).contains("at least one"));
    }
}
