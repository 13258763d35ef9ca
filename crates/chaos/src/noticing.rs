//! How long it takes until the rest of the installation says that a part of it
//! does not work: a person at another process's page of the status, or what
//! watches its `/readyz`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::rows::Row;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(200);
/// A status that takes longer is looked at again.
const WITHIN: Duration = Duration::from_secs(10);

/// Where the status is looked at.
#[derive(Clone)]
pub(crate) struct Window {
    pub(crate) client: reqwest::Client,
    pub(crate) door: SocketAddr,
    /// The operator's token there.
    pub(crate) token: String,
}

impl Window {
    /// When it said that `row` does not work; none until `stop`.
    pub(crate) async fn noticed(self, row: Row, stop: CancellationToken) -> Option<Instant> {
        loop {
            let seen = stop.run_until_cancelled(self.says(row)).await?;
            if seen {
                return Some(Instant::now());
            }
            stop.run_until_cancelled(tokio::time::sleep(EVERY)).await?;
        }
    }

    async fn says(&self, row: Row) -> bool {
        let ready = self.get("/readyz").await;
        if ready.is_none_or(|text| text != "ready\n") {
            return true;
        }
        let Some(status) = self.get("/api/v1/status").await else {
            return false;
        };
        let status: Value = serde_json::from_str(&status).unwrap_or_default();
        let mut services = status["services"].as_array().into_iter().flatten();
        services.any(|one| {
            let is_meant = row.service().is_none_or(|service| one["name"] == service);
            is_meant && one["ready"] == false
        })
    }

    async fn get(&self, path: &str) -> Option<String> {
        let asked = self.client.get(format!("http://{}{path}", self.door));
        let asked = asked.bearer_auth(&self.token).timeout(WITHIN);
        asked.send().await.ok()?.text().await.ok()
    }
}
