//! Where a command asks: the Hilum that serves, or the same endpoints in this
//! process when none does. One way of asking for both, so that a command never
//! does what the doors would not.

use std::sync::Arc;

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::{Extension, Router};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use hilum_contracts::ids::TenantId;
use hilum_platform::config::Config;
use hilum_platform::http_server::Ends;
use hilum_platform::{clock, telemetry};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;

use super::own::Own;
use super::running::{Connection, Connections};
use super::{archive_is_there, master_key, tell_of_new_archive};
use crate::compose::Opened;
use crate::http::TENANT_HEADER;

/// Longest answer that is read as a whole.
const ANSWER_MAX: usize = 64 << 20;
/// What a component of an address is written with as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

pub(crate) enum Door {
    Running(Connections),
    /// The archive and Imaging, for what needs no more.
    Own(Box<Own>, Router),
    /// Every service, for what all of them must do; about this tenant, or about
    /// the installation.
    All(Box<Opened>, Option<TenantId>),
}

/// An answer whose body streams.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    body: BoxStream<'static, Result<Bytes, axum::Error>>,
    connection: Option<Connection>,
}

impl Answer {
    pub(crate) async fn piece(&mut self) -> Option<Result<Bytes, axum::Error>> {
        self.body.next().await
    }

    /// What a refusal says.
    pub(crate) async fn detail(mut self) -> String {
        let mut text = Vec::new();
        while let Some(Ok(piece)) = self.piece().await {
            if text.len() < ANSWER_MAX {
                text.extend_from_slice(&piece);
            }
        }
        let problem: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        match problem.get("detail").and_then(serde_json::Value::as_str) {
            Some(detail) => detail.to_owned(),
            None => format!("Hilum answered {}", self.status),
        }
    }
}

impl Door {
    /// To what Imaging answers.
    pub(crate) async fn open(config: &Config, tenant: &TenantId) -> anyhow::Result<Self> {
        if let Some(running) = Self::running(config, tenant).await? {
            return Ok(running);
        }
        let own = Own::open(config, tenant).await?;
        let (rest, _) = own.imaging.router().split_for_parts();
        let router = Router::new()
            .nest("/api/v1", rest)
            .nest("/dicomweb", own.imaging.dicomweb())
            .layer(Extension(own.scope.clone()));
        Ok(Self::Own(Box::new(own), router))
    }

    /// To everything that is answered.
    pub(crate) async fn open_all(config: &Config, tenant: &TenantId) -> anyhow::Result<Self> {
        match Self::running(config, tenant).await? {
            Some(running) => Ok(running),
            None => Self::opened(config, Some(tenant)).await,
        }
    }

    /// To what is answered about the installation.
    pub(crate) async fn of_installation(config: &Config) -> anyhow::Result<Self> {
        if let Some(first) = Connection::of(&config.data, None).await? {
            return Ok(Self::Running(Connections::new(first)));
        }
        archive_is_there(config)?;
        Self::opened(config, None).await
    }

    /// The same door, to what is answered about a tenant. Not for one of the
    /// archive alone, which is about the one that it was opened for.
    pub(crate) async fn about(self, tenant: &TenantId) -> anyhow::Result<Self> {
        Ok(match self {
            Self::Running(connections) => Self::Running(connections.about(tenant).await?),
            Self::All(opened, _) => Self::All(opened, Some(tenant.clone())),
            own @ Self::Own(..) => own,
        })
    }

    /// The same on a data folder that may be empty.
    pub(crate) async fn make_all(config: &Config, tenant: &TenantId) -> anyhow::Result<Self> {
        match Connection::of(&config.data, Some(tenant.as_str())).await? {
            Some(first) => Ok(Self::Running(Connections::new(first))),
            None => {
                tell_of_new_archive(config);
                Self::opened(config, Some(tenant)).await
            }
        }
    }

    async fn opened(config: &Config, tenant: Option<&TenantId>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data)?;
        let metrics = telemetry::start_metrics().map_err(anyhow::Error::msg)?;
        let config = Arc::new(config.clone());
        let opened = Opened::new(
            config,
            master_key()?,
            clock::system(),
            metrics,
            Ends::default(),
        )
        .await?;
        Ok(Self::All(Box::new(opened), tenant.cloned()))
    }

    async fn running(config: &Config, tenant: &TenantId) -> anyhow::Result<Option<Self>> {
        let running = Connection::of(&config.data, Some(tenant.as_str())).await?;
        if running.is_none() {
            archive_is_there(config)?;
        }
        Ok(running.map(|first| Self::Running(Connections::new(first))))
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Running(_) => {}
            Self::Own(own, _) => own.close().await,
            Self::All(opened, _) => opened.close().await,
        }
    }

    /// Asks for bytes.
    pub(crate) async fn fetch(&self, path: &str, accept: &str) -> anyhow::Result<Answer> {
        let request = http::Request::builder()
            .uri(path)
            .header(ACCEPT, accept)
            .header(HOST, "localhost")
            .body(Body::empty())?;
        self.exchange(request).await
    }

    /// Gives a connection back whose answer was read to its end.
    pub(crate) fn done(&self, answer: Answer) {
        if let (Self::Running(connections), Some(connection)) = (self, answer.connection) {
            connections.give_back(connection);
        }
    }

    /// Sends JSON and reads JSON; `None` for what is not there.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<Option<T>> {
        let body = match body {
            Some(body) => Body::from(serde_json::to_vec(body)?),
            None => Body::empty(),
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .header(HOST, "localhost")
            .body(body)?;
        let mut answer = self.exchange(request).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status.is_success() {
            anyhow::bail!("{}", answer.detail().await);
        }
        let mut text = Vec::new();
        while let Some(piece) = answer.piece().await {
            text.extend_from_slice(&piece?);
            anyhow::ensure!(text.len() <= ANSWER_MAX, "Hilum's answer has no end");
        }
        self.done(answer);
        let text: &[u8] = if text.is_empty() { b"null" } else { &text };
        Ok(Some(serde_json::from_slice(text)?))
    }

    async fn exchange(&self, request: http::Request<Body>) -> anyhow::Result<Answer> {
        let (response, connection) = match self {
            Self::Own(_, router) => (router.clone().oneshot(request).await?, None),
            Self::All(opened, tenant) => {
                let mut request = request;
                if let Some(tenant) = tenant {
                    let name = HeaderValue::from_str(tenant.as_str())?;
                    request.headers_mut().insert(TENANT_HEADER, name);
                }
                let token = HeaderValue::from_str(&opened.operator.bearer())?;
                request.headers_mut().insert(AUTHORIZATION, token);
                (opened.router.clone().oneshot(request).await?, None)
            }
            Self::Running(connections) => {
                let mut connection = connections.take().await?;
                let response = connection
                    .exchange(request)
                    .await
                    .context("the running Hilum does not answer any more")?;
                (response, Some(connection))
            }
        };
        Ok(Answer {
            status: response.status(),
            body: response.into_body().into_data_stream().boxed(),
            connection,
        })
    }
}

/// A component of an address.
pub(crate) fn component(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
