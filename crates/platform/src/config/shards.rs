//! Shards: which one this process belongs to, and where the others are.

use std::collections::BTreeMap;

use hilum_contracts::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, Database};
use crate::limits::SHARDS;

/// The shard of every tenant of which nobody said another one: that of an
/// installation which has one only.
pub const MAIN: &str = "main";

/// The shard that this process belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Its name.
    #[serde(default = "main")]
    pub name: String,
}

impl Default for Shard {
    fn default() -> Self {
        Self { name: main() }
    }
}

fn main() -> String {
    MAIN.to_owned()
}

/// How a shard is reached. The same sections serve every process, also those of that
/// shard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardAt {
    /// Where its services are asked, at their doors for neighbours:
    /// `imaging = "https://imaging.north.example:7300"`.
    #[serde(default)]
    pub at: BTreeMap<ServiceName, String>,
    /// Its database, for who moves tenants; no other process needs it.
    #[serde(default)]
    pub database: Option<Database>,
}

impl Config {
    pub(super) fn check_shards(&self) -> Result<(), ConfigError> {
        let invalid = |text: String| Err(ConfigError::Invalid(text));
        let names = self.shards.keys().chain([&self.shard.name]);
        for name in names {
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if !(1..=32).contains(&name.len()) || !name.bytes().all(allowed) {
                return invalid(format!(
                    "a shard's name has 1 to 32 of a-z, 0-9 and -: {name:?}"
                ));
            }
        }
        if self.shards.len() > SHARDS {
            return invalid(format!("there are at most {SHARDS} shards"));
        }
        if self.shards.is_empty() {
            return match self.shard.name.as_str() {
                MAIN => Ok(()),
                name => invalid(format!(
                    "this is shard {name}: say where {MAIN} is ([shards.{MAIN}] at.imaging = …)"
                )),
            };
        }
        if self.neighbours.is_none() {
            return invalid("shards need [neighbours]: a certificate, and where it listens".into());
        }
        for (name, shard) in &self.shards {
            if let Some(database) = &shard.database {
                database.check()?;
            }
            for (service, at) in &shard.at {
                let uri = at.parse::<http::Uri>().ok();
                if !uri.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.path() == "/") {
                    return invalid(format!(
                        "shards.{name}.at.{service} = {at:?} is no \"https://host:port\""
                    ));
                }
            }
            for service in ServiceName::ALL {
                let is_told = shard.at.contains_key(service) || *service == ServiceName::Identity;
                if !is_told && *name != self.shard.name {
                    return invalid(format!(
                        "say where {service} of shard {name} is: \
                         shards.{name}.at.{service} = \"https://host:port\""
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Neighbours;
    use super::*;

    fn refusal(set: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        set(&mut config);
        let checked = config.check();
        checked.err().map(|e| e.to_string()).unwrap_or_default()
    }

    fn north(config: &mut Config) {
        let every = ServiceName::ALL.iter().copied();
        config.neighbours = Some(Neighbours {
            listen: "127.0.0.1:7300".parse().unwrap(),
            certificate: "own.pem".into(),
            key: "own.key".into(),
            ca: "ca.pem".into(),
            at: BTreeMap::new(),
        });
        let at = every.map(|one| (one, "https://north:7300".to_owned()));
        let north = ShardAt {
            at: at.collect(),
            database: None,
        };
        config.shards.insert("north".to_owned(), north);
    }

    #[test]
    fn every_service_of_another_shard_has_an_address() {
        assert_eq!(refusal(north), "");
        let text = refusal(|config| {
            north(config);
            let north = config.shards.get_mut("north").unwrap();
            north.at.remove(&ServiceName::Audit);
        });
        assert!(text.contains("shards.north.at.audit"), "{text}");
        let text = refusal(|config| {
            north(config);
            config.neighbours = None;
        });
        assert!(text.contains("[neighbours]"), "{text}");
        let text = refusal(|config| config.shard.name = "north".to_owned());
        assert!(text.contains("[shards.main]"), "{text}");
        let text = refusal(|config| config.shard.name = "North".to_owned());
        assert!(text.contains("a-z"), "{text}");
    }
}
