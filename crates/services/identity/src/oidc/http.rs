//! The way to providers: TLS, no redirects, little time and few bytes, and to
//! public addresses only, unless the configuration names others: tenants choose
//! whom this server asks. Plain HTTP is for a provider on this machine, on an
//! installation that others can't reach.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use hilum_contracts::error::ServiceError;
use hilum_platform::config::Config;
use hilum_platform::network::is_loopback;
use hilum_platform::reach::{Names, Reach};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

use crate::limits::{PROVIDER_ANSWER_MAX, PROVIDER_TIMEOUT};

/// Why a provider was not asked, or did not answer. Its own words stay with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("the provider's address is not https, or not one that is asked")]
    NotAllowed,
    #[error("the provider could not be reached")]
    Unreachable,
    #[error("the provider's answer is too long or broke off")]
    Answer,
}

/// The client.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector<Names>>, Full<Bytes>>,
    reach: Reach,
    /// Only this machine reaches the installation: a provider on it may be asked in clear.
    here: bool,
}

impl Http {
    /// As the configuration has it.
    pub(crate) fn of(config: &Config) -> Result<Self, ServiceError> {
        let here = config.http.ip().is_loopback();
        let reach = Reach::within(here, &config.identity.provider_networks);
        let failed = || ServiceError::internal("TLS to providers could not be set up.");
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| failed())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new_with_resolver(Names::new(reach.clone()));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            reach,
            here,
        })
    }

    /// Whether this address may be asked, as far as it says where it is; names
    /// are looked up later.
    pub(crate) fn may_ask(&self, address: &str) -> bool {
        let Ok(uri) = address.parse::<http::Uri>() else {
            return false;
        };
        let host = uri.host().unwrap_or_default();
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let is_here = host == "localhost" || literal.is_some_and(is_loopback);
        match uri.scheme_str() {
            Some("https") => self.reach.may_ask(host),
            Some("http") => is_here && self.here,
            _ => false,
        }
    }

    async fn ask(self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.may_ask(&request.uri().to_string()) {
            return Err(HttpError::NotAllowed);
        }
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let asking = async {
            let answer = self.client.request(request).await;
            let (head, body) = answer.map_err(|_| HttpError::Unreachable)?.into_parts();
            let body = Limited::new(body, PROVIDER_ANSWER_MAX).collect().await;
            let body = body.map_err(|_| HttpError::Answer)?.to_bytes();
            Ok(HttpResponse::from_parts(head, body.to_vec()))
        };
        tokio::time::timeout(PROVIDER_TIMEOUT, asking)
            .await
            .map_err(|_| HttpError::Unreachable)?
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}
