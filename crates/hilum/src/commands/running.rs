//! Talks to the Hilum that serves a data folder: whoever has the archive open
//! does the work, and a command asks it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::body::Body;
use hilum_contracts::ids::TenantId;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::client::conn::http1::SendRequest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::TENANT_HEADER;
use crate::run_file::RunFile;

/// Longest answer that a command reads.
const ANSWER_MAX: usize = 64 << 20;

/// A connection to the Hilum that serves.
pub(crate) struct Connection {
    running: Arc<RunFile>,
    tenant: Option<String>,
    sender: SendRequest<Body>,
}

impl Connection {
    /// To the Hilum that serves `data`; `None` when none does.
    pub(crate) async fn of(data: &Path, tenant: Option<&str>) -> anyhow::Result<Option<Self>> {
        match RunFile::of_running(data) {
            None => Ok(None),
            Some(running) => Self::open(Arc::new(running), tenant).await.map(Some),
        }
    }

    async fn open(running: Arc<RunFile>, tenant: Option<&str>) -> anyhow::Result<Self> {
        let sender = Self::connect(&running).await?;
        Ok(Self {
            running,
            tenant: tenant.map(ToOwned::to_owned),
            sender,
        })
    }

    async fn connect(running: &RunFile) -> anyhow::Result<SendRequest<Body>> {
        let stream = tokio::net::TcpStream::connect(running.http)
            .await
            .context("the running Hilum does not answer")?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Another one to the same.
    pub(crate) async fn another(&self) -> anyhow::Result<Self> {
        Self::open(Arc::clone(&self.running), self.tenant.as_deref()).await
    }

    /// Sends JSON and reads JSON.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        method: http::Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<T> {
        let body = match body {
            Some(body) => Body::from(serde_json::to_vec(body)?),
            None => Body::empty(),
        };
        self.send(method, path, "application/json", body).await
    }

    /// Sends a body and reads JSON. A refusal is an error with the server's
    /// own sentence.
    pub(crate) async fn send<T: DeserializeOwned>(
        &mut self,
        method: http::Method,
        path: &str,
        kind: &str,
        body: Body,
    ) -> anyhow::Result<T> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, kind)
            .body(body)?;
        let response = self.exchange(request).await?;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), ANSWER_MAX).await?;
        if status.is_success() {
            let body: &[u8] = if body.is_empty() { b"null" } else { &body };
            return Ok(serde_json::from_slice(body)?);
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem.get("detail").and_then(serde_json::Value::as_str);
        match detail {
            Some(detail) => anyhow::bail!("{detail}"),
            None => anyhow::bail!("the running Hilum answered {status}"),
        }
    }

    /// Sends a request whole; the answer's body streams, and the connection is
    /// free again when it has ended.
    pub(crate) async fn exchange(
        &mut self,
        mut request: http::Request<Body>,
    ) -> anyhow::Result<http::Response<Body>> {
        let headers = request.headers_mut();
        headers.insert(HOST, self.running.http.to_string().parse()?);
        let bearer = format!("Bearer {}", self.running.operator_token);
        headers.insert(AUTHORIZATION, bearer.parse()?);
        if let Some(tenant) = &self.tenant {
            headers.insert(TENANT_HEADER, tenant.parse()?);
        }
        // The server closes what was idle for long, between two questions.
        if self.sender.is_closed() {
            self.sender = Self::connect(&self.running).await?;
        }
        self.sender
            .ready()
            .await
            .context("the running Hilum closed the connection")?;
        let response = self.sender.send_request(request).await?;
        Ok(response.map(Body::new))
    }
}

/// Connections that are idle; one that failed does not come back.
pub(crate) struct Connections {
    model: tokio::sync::Mutex<Connection>,
    idle: Mutex<Vec<Connection>>,
}

impl Connections {
    pub(crate) fn new(model: Connection) -> Self {
        Self {
            model: tokio::sync::Mutex::new(model),
            idle: Mutex::default(),
        }
    }

    /// Others, for questions about `tenant`.
    pub(crate) async fn about(self, tenant: &TenantId) -> anyhow::Result<Self> {
        let running = Arc::clone(&self.model.lock().await.running);
        let model = Connection::open(running, Some(tenant.as_str())).await?;
        Ok(Self::new(model))
    }

    pub(crate) async fn take(&self) -> anyhow::Result<Connection> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(connection) => Ok(connection),
            None => self.model.lock().await.another().await,
        }
    }

    pub(crate) fn give_back(&self, connection: Connection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}
