//! Where an export reads: the Hilum that serves, or the same endpoints in this
//! process when none does. One way of asking for both, so that an export never
//! gives what the doors would not.

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::{Extension, Router};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use hilum_contracts::ids::TenantId;
use hilum_platform::config::Config;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;

use crate::commands::own::Own;
use crate::commands::running::{Connection, Connections};

/// Longest answer that is read as a whole.
const ANSWER_MAX: usize = 64 << 20;
/// What a component of an address is written with as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

pub(super) enum Door {
    Running(Connections),
    Own(Box<Own>, Router),
}

/// An answer whose body streams.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: BoxStream<'static, Result<Bytes, axum::Error>>,
    connection: Option<Connection>,
}

impl Answer {
    pub(super) async fn piece(&mut self) -> Option<Result<Bytes, axum::Error>> {
        self.body.next().await
    }

    /// What a refusal says.
    pub(super) async fn detail(mut self) -> String {
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
    pub(super) async fn open(config: &Config, tenant: &TenantId) -> anyhow::Result<Self> {
        if let Some(first) = Connection::of(&config.data, Some(tenant.as_str())).await? {
            return Ok(Self::Running(Connections::new(first)));
        }
        anyhow::ensure!(
            config.data.join("archive.sqlite").is_file(),
            "there is no archive in {}: name its folder with --data",
            config.data.display()
        );
        let own = Own::open(config, tenant).await?;
        let (rest, _) = own.imaging.router().split_for_parts();
        let router = Router::new()
            .nest("/api/v1", rest)
            .nest("/dicomweb", own.imaging.dicomweb())
            .layer(Extension(own.scope.clone()));
        Ok(Self::Own(Box::new(own), router))
    }

    pub(super) async fn close(self) {
        if let Self::Own(own, _) = self {
            own.close().await;
        }
    }

    /// Asks for bytes.
    pub(super) async fn fetch(&self, path: &str, accept: &str) -> anyhow::Result<Answer> {
        let request = http::Request::builder()
            .uri(path)
            .header(ACCEPT, accept)
            .header(HOST, "localhost")
            .body(Body::empty())?;
        self.exchange(request).await
    }

    /// Gives a connection back whose answer was read to its end.
    pub(super) fn done(&self, answer: Answer) {
        if let (Self::Running(connections), Some(connection)) = (self, answer.connection) {
            connections.give_back(connection);
        }
    }

    /// Sends JSON and reads JSON; `None` for what is not there.
    pub(super) async fn ask<T: DeserializeOwned>(
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
pub(super) fn component(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
