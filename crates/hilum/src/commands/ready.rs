//! `hilum ready`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use clap::Args;
use http::Request;

use super::running::Connection;
use super::{Doors, Installation};
use crate::terminal;

/// A process that has not answered by then does not.
const WITHIN: Duration = Duration::from_secs(5);

/// Longest answer.
const ANSWER_MAX: usize = 4096;

#[derive(Args)]
pub(crate) struct Ready {
    #[command(flatten)]
    installation: Installation,
}

impl Ready {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let asked = async {
            let running = Connection::of(&config.data, None).await?;
            let mut running = running.with_context(|| {
                format!(
                    "nobody serves {}: start it with `hilum serve`",
                    config.data.display()
                )
            })?;
            let request = Request::get("/readyz").body(Body::empty())?;
            let answer = running.exchange(request).await?;
            let status = answer.status();
            let said = axum::body::to_bytes(answer.into_body(), ANSWER_MAX).await?;
            anyhow::Ok((status, String::from_utf8_lossy(&said).trim().to_owned()))
        };
        let (status, said) = tokio::time::timeout(WITHIN, asked)
            .await
            .context("the running Hilum does not answer")??;
        terminal::line(said);
        Ok(match status.is_success() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}
