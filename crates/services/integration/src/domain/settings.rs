//! What a destination of a tenant is set to, as it is kept; its secret is kept apart.

use hilum_contracts::error::ServiceError;
use hilum_platform::config::{https_or_here, is_ae_title};
use hilum_platform::email::email;
use hilum_platform::words::one_line;
use http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rule::Rule;
use crate::limits::{ADDRESS_MAX, AUTHORITIES_MAX, NAME_MAX, TOKEN_MAX, USER_MAX};

/// How results get to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = DestinationKind)]
pub(crate) enum Kind {
    /// By C-STORE to a DICOM node.
    Dicom,
    /// By STOW-RS to a DICOMweb server.
    Stow,
    /// A webhook is told of them.
    Webhook,
    /// People are told by mail.
    Mail,
}

impl Kind {
    /// Its word in lists.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dicom => "dicom",
            Self::Stow => "stow",
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }
}

/// What a destination is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) kind: Kind,
    /// `host:port`, an address of HTTP, or one for mail.
    pub(crate) address: String,
    /// Of a DICOM node.
    #[serde(default)]
    pub(crate) ae_title: Option<String>,
    /// What Hilum calls itself there.
    #[serde(default)]
    pub(crate) calling_ae_title: Option<String>,
    /// Whether a DICOM node is spoken to over TLS. The others are anyway.
    #[serde(default)]
    pub(crate) tls: bool,
    /// The authorities of its TLS (PEM); none: those that the system trusts.
    #[serde(default)]
    pub(crate) authorities: Option<String>,
    /// Who signs in to a DICOMweb server, where that is not by a token.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// Until when a webhook's former secret signs, too; milliseconds since 1970.
    #[serde(default)]
    pub(crate) former_until: Option<i64>,
    #[serde(default)]
    pub(crate) rule: Rule,
}

fn invalid<T>(text: impl Into<String>) -> Result<T, ServiceError> {
    Err(ServiceError::invalid(text))
}

/// A destination's name as it is kept.
pub(crate) fn name(text: &str) -> Result<String, ServiceError> {
    one_line(text, NAME_MAX).ok_or_else(|| {
        ServiceError::invalid(format!(
            "A destination's name has 1 to {NAME_MAX} characters on one line."
        ))
    })
}

/// A token or password as it is kept: it stands in a header of HTTP (RFC 9110 §5.5).
pub(crate) fn token(text: &str) -> Result<&str, ServiceError> {
    let text = text.trim();
    let fits = (1..=TOKEN_MAX).contains(&text.len());
    if !fits || text.chars().any(char::is_control) {
        return invalid(format!(
            "A token or password has 1 to {TOKEN_MAX} characters on one line."
        ));
    }
    Ok(text)
}

impl Settings {
    /// The settings as they are kept, or what is wrong with them.
    pub(crate) fn checked(self) -> Result<Self, ServiceError> {
        let title = |text: Option<String>| text.map(|text| text.trim().to_owned());
        let mut kept = Self {
            address: self.address.trim().to_owned(),
            ae_title: title(self.ae_title),
            calling_ae_title: title(self.calling_ae_title),
            rule: self.rule.checked()?,
            ..self
        };
        if kept.address.len() > ADDRESS_MAX {
            return invalid(format!("An address has at most {ADDRESS_MAX} characters."));
        }
        kept.check_fields()?;
        match kept.kind {
            Kind::Dicom => {
                kept.calling_ae_title
                    .get_or_insert_with(|| "HILUM".to_owned());
                let titles = [&kept.ae_title, &kept.calling_ae_title];
                let is_title = |one: &&Option<String>| one.as_deref().is_some_and(is_ae_title);
                if !titles.iter().all(is_title) {
                    return invalid("An AE title has 1 to 16 printable characters.");
                }
                check_host_and_port(&kept.address)?;
            }
            Kind::Stow | Kind::Webhook => {
                let url = https_or_here(&kept.address);
                kept.address = url.map_err(|why| ServiceError::invalid(format!("{why}.")))?;
            }
            Kind::Mail => kept.address = email(&kept.address)?,
        }
        if let Some(text) = &kept.authorities {
            if text.len() > AUTHORITIES_MAX {
                return invalid(format!(
                    "Authorities have at most {AUTHORITIES_MAX} characters."
                ));
            }
            // Read as they will be at each attempt.
            let trusted = hilum_platform::tls::Trusted::Text(text);
            if hilum_platform::tls::client(trusted, None).is_err() {
                return invalid("The authorities are no certificates in PEM.");
            }
        }
        let is_user =
            |text: &String| one_line(text, USER_MAX).as_ref() == Some(text) && !text.contains(':');
        if !kept.user.as_ref().is_none_or(is_user) {
            return invalid(format!(
                "A user has 1 to {USER_MAX} characters on one line, without a colon."
            ));
        }
        Ok(kept)
    }

    /// What belongs to another kind is refused: it would do nothing.
    fn check_fields(&self) -> Result<(), ServiceError> {
        let is_node = self.kind == Kind::Dicom;
        let wrong = [
            (!is_node && self.ae_title.is_some(), "ae_title"),
            (
                !is_node && self.calling_ae_title.is_some(),
                "calling_ae_title",
            ),
            (!is_node && self.tls, "tls"),
            (self.kind != Kind::Stow && self.user.is_some(), "user"),
            (
                self.authorities.is_some() && (self.kind == Kind::Mail || is_node && !self.tls),
                "authorities",
            ),
        ];
        match wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, field)) => invalid(format!(
                "{field} says nothing of this destination, which is of the kind {}.",
                self.kind.name()
            )),
            None => Ok(()),
        }
    }

    /// `host:port` of where it is; none for mail.
    pub(crate) fn host_and_port(&self) -> Option<String> {
        match self.kind {
            Kind::Dicom => Some(self.address.clone()),
            Kind::Mail => None,
            Kind::Stow | Kind::Webhook => {
                let uri: Uri = self.address.parse().ok()?;
                let is_plain = uri.scheme_str() == Some("http");
                let port = uri.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
                Some(format!("{}:{port}", uri.host()?))
            }
        }
    }

    /// Whether what is sent there reaches whom it reached before: who was given a
    /// secret.
    pub(crate) fn is_at_the_same_as(&self, before: &Self) -> bool {
        self.host_and_port() == before.host_and_port()
            && self.address.starts_with("https:") == before.address.starts_with("https:")
    }
}

fn check_host_and_port(address: &str) -> Result<(), ServiceError> {
    let parts = address.rsplit_once(':').filter(|(host, port)| {
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        // RFC 3986 §3.2.2: an address of IPv6 stands in brackets.
        let uri: Option<Uri> = address.parse().ok();
        let is_host = uri.is_some_and(|uri| uri.host() == Some(host));
        is_port && is_host && !host.contains('@')
    });
    match parts {
        Some(_) => Ok(()),
        None => invalid("A node's address is its host and port, such as pacs.example.org:104."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(kind: &str, address: &str) -> Settings {
        let ae_title = (kind == "dicom").then_some("PACS");
        let text = serde_json::json!({ "kind": kind, "address": address, "ae_title": ae_title });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn an_address_is_of_its_kind() {
        for (kind, address) in [
            ("dicom", "pacs.example.org:104"),
            ("dicom", "[2001:db8::1]:104"),
            ("dicom", " 192.0.2.1:11112 "),
            ("stow", "https://pacs.example.org/dicom-web/"),
            ("webhook", "http://127.0.0.1:9/x"),
            ("mail", "Reading@Example.org"),
        ] {
            assert!(settings(kind, address).checked().is_ok(), "{address}");
        }
        for (kind, address) in [
            ("dicom", "pacs.example.org"),
            ("dicom", "pacs.example.org:0"),
            ("dicom", "https://pacs.example.org:104"),
            ("dicom", "a@b:104"),
            ("stow", "http://pacs.example.org/dicom-web"),
            ("stow", "https://u:p@pacs.example.org"),
            ("webhook", "ftp://a.example"),
            ("mail", "two@example.org,three@example.org"),
        ] {
            assert!(settings(kind, address).checked().is_err(), "{address}");
        }
        let node = settings("dicom", "192.0.2.1:104").checked().unwrap();
        assert_eq!(node.calling_ae_title.as_deref(), Some("HILUM"));
    }

    #[test]
    fn what_says_nothing_of_a_kind_is_refused() {
        let wrong = |change: fn(&mut Settings)| {
            let mut one = settings("webhook", "https://a.example");
            change(&mut one);
            one.checked().unwrap_err().message
        };
        assert!(wrong(|one| one.tls = true).starts_with("tls"));
        assert!(wrong(|one| one.user = Some("u".to_owned())).starts_with("user"));
        assert!(wrong(|one| one.ae_title = Some("A".to_owned())).starts_with("ae_title"));
        assert!(wrong(|one| one.authorities = Some("x".to_owned())).contains("PEM"));
    }

    #[test]
    fn a_secret_goes_to_whom_it_was_given_for_only() {
        let before = settings("stow", "https://a.example/x");
        let to = |address: &str| settings("stow", address).is_at_the_same_as(&before);
        assert!(to("https://a.example/y") && to("https://a.example:443/x"));
        assert!(!to("https://b.example/x") && !to("https://a.example:8443/x"));
        assert!(!to("http://a.example:443/x"));
    }
}
