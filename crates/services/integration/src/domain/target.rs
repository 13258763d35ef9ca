//! A destination as it is sent to: of the configuration, or one that a tenant made.

use std::path::PathBuf;

use hilum_platform::config::{Destination, Way};
use hilum_platform::reach::Reach;
use hilum_platform::tls::Trusted;
use zeroize::Zeroizing;

use super::settings::{Kind, Settings};

/// A destination as it is sent to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) route: Route,
    authorities: Authorities,
    /// Where it may be.
    pub(crate) reach: Reach,
    /// Whether it is shown the doors' certificate when it asks for one: that proves the
    /// installation, which a tenant may not lend to an address of its choice.
    pub(crate) is_shown_ours: bool,
}

/// How results get there.
#[derive(Clone)]
pub(crate) enum Route {
    Dicom {
        ae_title: String,
        address: String,
        calling_ae_title: String,
        tls: bool,
    },
    Stow {
        url: String,
        credential: Option<Credential>,
    },
    Webhook {
        url: String,
        secrets: Vec<Secret>,
    },
    Mail {
        to: String,
    },
}

/// What a DICOMweb server is shown.
#[derive(Clone)]
pub(crate) enum Credential {
    Bearer(Secret),
    Basic { user: String, password: Secret },
}

/// A secret, or where it stands.
#[derive(Clone)]
pub(crate) enum Secret {
    File(PathBuf),
    Kept(Zeroizing<String>),
}

#[derive(Clone)]
enum Authorities {
    System,
    File(PathBuf),
    Text(String),
}

impl Target {
    /// Of the configuration: the operator names it, and it may be anywhere.
    pub(crate) fn configured(destination: &Destination) -> Self {
        let route = match destination.way.clone() {
            Way::Dicom {
                ae_title,
                address,
                calling_ae_title,
            } => Route::Dicom {
                ae_title,
                address,
                calling_ae_title,
                tls: destination.tls_ca.is_some(),
            },
            Way::Stow { url, token_file } => Route::Stow {
                url,
                credential: token_file.map(|file| Credential::Bearer(Secret::File(file))),
            },
            Way::Webhook { url, secret_file } => Route::Webhook {
                url,
                secrets: vec![Secret::File(secret_file)],
            },
            Way::Mail { to } => Route::Mail { to },
        };
        Self {
            name: destination.name.clone(),
            route,
            authorities: match destination.tls_ca.clone() {
                Some(file) => Authorities::File(file),
                None => Authorities::System,
            },
            reach: Reach::ANYWHERE,
            is_shown_ours: true,
        }
    }

    /// One that a tenant made. `secrets`: the one that holds, then a former one.
    pub(crate) fn made(
        name: String,
        settings: Settings,
        secrets: Vec<Zeroizing<String>>,
        reach: Reach,
    ) -> Self {
        let mut secrets = secrets.into_iter().map(Secret::Kept);
        let route = match settings.kind {
            Kind::Dicom => Route::Dicom {
                ae_title: settings.ae_title.unwrap_or_default(),
                address: settings.address,
                calling_ae_title: settings.calling_ae_title.unwrap_or_default(),
                tls: settings.tls,
            },
            Kind::Stow => Route::Stow {
                url: settings.address,
                credential: secrets.next().map(|secret| match settings.user {
                    Some(user) => Credential::Basic {
                        user,
                        password: secret,
                    },
                    None => Credential::Bearer(secret),
                }),
            },
            Kind::Webhook => Route::Webhook {
                url: settings.address,
                secrets: secrets.collect(),
            },
            Kind::Mail => Route::Mail {
                to: settings.address,
            },
        };
        Self {
            name,
            route,
            authorities: match settings.authorities {
                Some(text) => Authorities::Text(text),
                None => Authorities::System,
            },
            reach,
            is_shown_ours: false,
        }
    }

    /// Who vouches for it over TLS.
    pub(crate) fn trusted(&self) -> Trusted<'_> {
        match &self.authorities {
            Authorities::System => Trusted::System,
            Authorities::File(path) => Trusted::File(path),
            Authorities::Text(text) => Trusted::Text(text),
        }
    }
}
