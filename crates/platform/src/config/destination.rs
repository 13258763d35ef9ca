//! Where results of a tenant go: to a DICOM node, to a DICOMweb server, to a
//! webhook or to people by mail. An entry of the configuration names exactly one
//! of them.

use std::path::PathBuf;

use hilum_contracts::ids::TenantId;
use http::Uri;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What holds for the destinations that tenants make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryRules {
    /// Networks that are not public and to which tenants may have results sent:
    /// `["10.0.0.0/8"]`. What they name is asked from within the installation.
    pub networks: Vec<IpNet>,
}

/// Where results of a tenant go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct Destination {
    /// Its name in lists.
    pub name: String,
    /// The tenant whose results it takes.
    pub tenant: TenantId,
    /// How they get there.
    pub way: Way,
    /// The models whose results it takes; none named: every model's.
    pub models: Vec<String>,
    /// The authorities, or the very certificate, of its TLS (PEM). A DICOM node
    /// without it gets results in clear; another server is then held against the
    /// system's authorities. The doors' certificate is shown to who asks.
    pub tls_ca: Option<PathBuf>,
}

/// How results get to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By C-STORE.
    Dicom {
        /// Its AE title.
        ae_title: String,
        /// Its address, `host:port`.
        address: String,
        /// The AE title that Hilum calls itself there.
        calling_ae_title: String,
    },
    /// By STOW-RS.
    Stow {
        /// Its DICOMweb root, without a slash at its end.
        url: String,
        /// A file with the token that it is shown as a bearer.
        token_file: Option<PathBuf>,
    },
    /// It is told of them, signed, and fetches what it wants.
    Webhook {
        /// What is posted to.
        url: String,
        /// A file with the secret that both sides sign with.
        secret_file: PathBuf,
    },
    /// People are told where to look, and nothing of a patient.
    Mail {
        /// Their address.
        to: String,
    },
}

impl Way {
    /// Its word in lists.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Dicom { .. } => "dicom",
            Self::Stow { .. } => "stow",
            Self::Webhook { .. } => "webhook",
            Self::Mail { .. } => "mail",
        }
    }
}

impl Destination {
    /// Whether results of a model go there.
    #[must_use]
    pub fn takes(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|one| one == model)
    }

    /// What lists show: `host:port` or an address.
    #[must_use]
    pub fn address(&self) -> &str {
        match &self.way {
            Way::Dicom { address, .. } => address,
            Way::Stow { url, .. } | Way::Webhook { url, .. } => url,
            Way::Mail { to } => to,
        }
    }
}

/// As it is written.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    name: String,
    tenant: Option<TenantId>,
    ae_title: Option<String>,
    address: Option<String>,
    calling_ae_title: Option<String>,
    stow: Option<String>,
    token_file: Option<PathBuf>,
    webhook: Option<String>,
    secret_file: Option<PathBuf>,
    mail: Option<String>,
    models: Vec<String>,
    tls_ca: Option<PathBuf>,
}

impl TryFrom<Entry> for Destination {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let name = entry.name.clone();
        let wrong = move |what: &str| format!("destination {name:?}: {what}");
        let is_node = [&entry.ae_title, &entry.address, &entry.calling_ae_title]
            .iter()
            .any(|one| one.is_some());
        let (token_file, secret_file) = (entry.token_file, entry.secret_file);
        let files = (token_file.is_some(), secret_file.is_some());
        let way = match (entry.stow, entry.webhook, entry.mail, is_node, files) {
            (None, None, None, _, (false, false)) => Way::Dicom {
                ae_title: entry.ae_title.ok_or_else(|| {
                    wrong("ae_title and address, stow, webhook or mail is missing")
                })?,
                address: entry.address.ok_or_else(|| wrong("address is missing"))?,
                calling_ae_title: entry.calling_ae_title.unwrap_or_else(|| "HILUM".to_owned()),
            },
            (Some(url), None, None, false, (_, false)) => Way::Stow {
                url: https_or_here(&url).map_err(|what| wrong(&what))?,
                token_file,
            },
            (None, Some(url), None, false, (false, _)) => Way::Webhook {
                url: https_or_here(&url).map_err(|what| wrong(&what))?,
                secret_file: secret_file.ok_or_else(|| wrong("secret_file is missing"))?,
            },
            (None, None, Some(to), false, (false, false)) if entry.tls_ca.is_none() => {
                Way::Mail { to }
            }
            _ => {
                return Err(wrong(
                    "it has ae_title and address, or stow (and token_file), or webhook and secret_file, or mail",
                ));
            }
        };
        if entry.name.is_empty() {
            return Err(wrong("name is missing"));
        }
        Ok(Self {
            tenant: entry.tenant.ok_or_else(|| wrong("tenant is missing"))?,
            name: entry.name,
            way,
            models: entry.models,
            tls_ca: entry.tls_ca,
        })
    }
}

impl From<Destination> for Entry {
    fn from(destination: Destination) -> Self {
        let mut entry = Self {
            name: destination.name,
            tenant: Some(destination.tenant),
            models: destination.models,
            tls_ca: destination.tls_ca,
            ..Self::default()
        };
        match destination.way {
            Way::Dicom {
                ae_title,
                address,
                calling_ae_title,
            } => {
                entry.ae_title = Some(ae_title);
                entry.address = Some(address);
                entry.calling_ae_title = Some(calling_ae_title);
            }
            Way::Stow { url, token_file } => {
                entry.stow = Some(url);
                entry.token_file = token_file;
            }
            Way::Webhook { url, secret_file } => {
                entry.webhook = Some(url);
                entry.secret_file = Some(secret_file);
            }
            Way::Mail { to } => entry.mail = Some(to),
        }
        entry
    }
}

/// An address of HTTP that results may go to: over TLS, or on this machine; without a
/// slash at its end.
///
/// # Errors
/// Why it is none, in words.
pub fn https_or_here(url: &str) -> Result<String, String> {
    let wrong = || format!("{url} is no https address");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().ok_or_else(wrong)?;
    let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    // A password in an address ends up in logs.
    let has_user = uri
        .authority()
        .is_some_and(|one| one.as_str().contains('@'));
    match uri.scheme_str() {
        _ if has_user || uri.query().is_some() => Err(format!("{host}: it has a user or a query")),
        Some("https") => Ok(url.trim_end_matches('/').to_owned()),
        Some("http") if is_here => Ok(url.trim_end_matches('/').to_owned()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Destination, String> {
        let text = format!("name = \"ris\"\ntenant = \"a\"\n{more}");
        figment::Figment::from(
            <figment::providers::Toml as figment::providers::Format>::string(&text),
        )
        .extract()
        .map_err(|error| error.to_string())
    }

    #[test]
    fn a_destination_is_a_dicom_node_a_dicomweb_server_a_webhook_or_an_address() {
        let dicom = read("ae_title = \"PACS\"\naddress = \"192.0.2.1:104\"").unwrap();
        let Way::Dicom {
            calling_ae_title, ..
        } = &dicom.way
        else {
            panic!("{dicom:?}");
        };
        assert_eq!(
            (&**calling_ae_title, dicom.address()),
            ("HILUM", "192.0.2.1:104")
        );
        let stow = read("stow = \"https://pacs.example/dicom-web/\"").unwrap();
        assert_eq!(stow.address(), "https://pacs.example/dicom-web");
        let hook = read("webhook = \"http://127.0.0.1:9/x\"\nsecret_file = \"/s\"").unwrap();
        assert_eq!(hook.address(), "http://127.0.0.1:9/x");
        let mail = read("mail = \"reading@example.org\"\nmodels = [\"brain\"]").unwrap();
        assert_eq!(mail.address(), "reading@example.org");
        assert!(mail.takes("brain") && !mail.takes("lung") && hook.takes("lung"));
        let written = serde_json::to_string(&hook).unwrap();
        let again: Destination = serde_json::from_str(&written).unwrap();
        assert_eq!(again.way, hook.way);
    }

    #[test]
    fn what_is_two_of_them_or_in_clear_is_refused() {
        for (more, why) in [
            ("", "is missing"),
            ("ae_title = \"PACS\"", "address is missing"),
            (
                "stow = \"https://a.example\"\nae_title = \"PACS\"",
                "it has ae_title",
            ),
            (
                "stow = \"http://pacs.example/dicom-web\"",
                "no https address",
            ),
            ("stow = \"https://u:p@pacs.example\"", "a user or a query"),
            (
                "webhook = \"https://ris.example/hook\"",
                "secret_file is missing",
            ),
            (
                "webhook = \"https://a.example\"\nstow = \"https://a.example\"",
                "it has ae_title",
            ),
            (
                "mail = \"a@example.org\"\ntls_ca = \"/ca\"",
                "it has ae_title",
            ),
            (
                "mail = \"a@example.org\"\nsecret_file = \"/s\"",
                "it has ae_title",
            ),
            ("stow = \"https://a.example\"\nport = 1", "unknown field"),
        ] {
            let refused = read(more).unwrap_err();
            assert!(refused.contains(why), "{more}: {refused}");
        }
    }
}
