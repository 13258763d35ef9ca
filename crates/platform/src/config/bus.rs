//! The broker between services that run in different processes.

use std::fmt;
use std::path::PathBuf;

use lapin::uri::{AMQPScheme, AMQPUri};
use serde::{Deserialize, Serialize};

use super::address::is_here;

/// A RabbitMQ.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bus {
    /// Its address with user, password and virtual host:
    /// `amqps://hilum:…@rabbit.example.org/hilum`.
    pub amqp: Option<String>,
    /// The file that holds that address, in the place of `amqp`.
    pub amqp_file: Option<PathBuf>,
    /// The authorities of its certificate, or the certificate itself (PEM); else
    /// those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// Without the address: it holds a password.
impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("amqp", &self.amqp.as_ref().map(|_| "…"))
            .field("amqp_file", &self.amqp_file)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

impl Bus {
    /// The address, read from its file where there is one.
    ///
    /// # Errors
    /// What is wrong with it, in words that do not show it.
    pub fn address(&self) -> Result<AMQPUri, String> {
        let text = match (&self.amqp, &self.amqp_file) {
            (Some(text), None) => text.clone(),
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|error| format!("bus.amqp_file: {}: {error}", file.display()))?,
            _ => return Err("bus has amqp or amqp_file, one of them".to_owned()),
        };
        let form = "bus: the address is amqps://USER:PASSWORD@HOST/VHOST";
        let uri: AMQPUri = text.trim().parse().map_err(|_| form.to_owned())?;
        match uri.scheme {
            AMQPScheme::AMQP if !is_here(&uri.authority.host) => {
                Err("bus: amqp:// is for a broker on this machine only; \
                 another one is reached by amqps://"
                    .to_owned())
            }
            AMQPScheme::AMQP if self.ca_file.is_some() => {
                Err("bus.ca_file is for amqps://, and the address is amqp://".to_owned())
            }
            _ => Ok(uri),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus(amqp: &str) -> Bus {
        Bus {
            amqp: Some(amqp.to_owned()),
            ..Bus::default()
        }
    }

    #[test]
    fn a_broker_in_clear_is_on_this_machine() {
        for here in ["127.0.0.1", "localhost:5673", "[::1]"] {
            let address = bus(&format!("amqp://hilum:word@{here}/hilum")).address();
            assert!(address.is_ok(), "{here}: {address:?}");
        }
        for there in ["rabbit.example.org", "192.0.2.1", "localhost.example.org"] {
            let refused = bus(&format!("amqp://hilum:word@{there}/hilum")).address();
            assert!(refused.unwrap_err().contains("amqps://"), "{there}");
            let address = bus(&format!("amqps://hilum:word@{there}/hilum")).address();
            assert!(address.is_ok(), "{there}");
        }
    }

    #[test]
    fn an_address_stands_in_one_place() {
        let both = Bus {
            amqp_file: Some("address".into()),
            ..bus("amqp://127.0.0.1")
        };
        assert!(both.address().is_err());
        assert!(Bus::default().address().is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "amqps://hilum:word@rabbit.example.org/h\n").unwrap();
        let from_file = Bus {
            amqp_file: Some(file.path().to_owned()),
            ..Bus::default()
        };
        assert_eq!(from_file.address().unwrap().vhost, "h");
    }

    #[test]
    fn the_password_is_shown_nowhere() {
        let shown = format!("{:?}", bus("amqps://hilum:word@rabbit.example.org/h"));
        assert!(!shown.contains("word"), "{shown}");
        for wrong in [
            "amqps//hilum:word@h",
            "http://hilum:word@h",
            "amqp://a:word@h",
        ] {
            let told = bus(wrong).address().unwrap_err();
            assert!(!told.contains("word"), "{told}");
        }
    }
}
