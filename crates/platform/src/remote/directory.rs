//! Which tenants and devices there are, told by Identity to its neighbours. What
//! was told last is kept in a file, so that a process that starts while Identity
//! is away lets the same devices in.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hilum_contracts::error::ServiceError;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Answering, Asking, Neighbour};
use crate::durable;
use crate::limits::{NEIGHBOUR_HOLDS, NEIGHBOUR_REST_MAX, NEIGHBOUR_WITHIN};
use crate::tenants::{Directory, Known};

/// What is known, and its digest, by which a change is seen.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    digest: String,
    known: Known,
}

/// Keeps `directory` as `neighbour` has it, until `stop`.
pub async fn follow(
    neighbour: Neighbour,
    directory: Directory,
    file: PathBuf,
    stop: CancellationToken,
) {
    let mut digest = String::new();
    let asking = Asking::ONCE.within(NEIGHBOUR_HOLDS.saturating_add(NEIGHBOUR_WITHIN));
    while !stop.is_cancelled() {
        let asked = neighbour.ask(asking, "directory", None, &digest);
        let Some(told) = stop.run_until_cancelled(asked).await else {
            return;
        };
        match told {
            Ok(None) => {}
            Ok(Some(Snapshot { digest: new, known })) => {
                keep(&file, &known);
                directory.replace(known);
                digest = new;
            }
            Err(error) => {
                tracing::debug!(%error, "tenants and devices stay as they were told last");
                let pause = NEIGHBOUR_REST_MAX.mul_f64(0.1 + fastrand::f64() * 0.2);
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        }
    }
}

/// What was told last before this process started; nothing when nothing was.
#[must_use]
pub fn told_last(file: &Path) -> Option<Known> {
    let text = std::fs::read(file).ok()?;
    match serde_json::from_slice(&text) {
        Ok(known) => Some(known),
        Err(error) => {
            tracing::warn!(kind = ?error.classify(), "what was known of tenants can't be read: identity tells it anew");
            None
        }
    }
}

fn keep(file: &Path, known: &Known) {
    let Ok(text) = serde_json::to_vec(known) else {
        return;
    };
    if let Err(error) = durable::replace(file, &text) {
        tracing::warn!(%error, "what is known of tenants can't be kept for the next start");
    }
}

/// Answers with what `directory` knows, as soon as that is not what was known.
pub fn answer(answering: Answering, directory: Directory) -> Answering {
    let stop = answering.stop();
    answering.on_any("directory", move |digest: String| {
        let (directory, stop) = (directory.clone(), stop.clone());
        async move {
            let mut changes = directory.follow();
            let told = tokio::time::timeout(NEIGHBOUR_HOLDS, async {
                loop {
                    let known = Known::clone(&changes.borrow_and_update());
                    let snapshot = snapshot(known)?;
                    if snapshot.digest != digest {
                        return Ok(Some(snapshot));
                    }
                    if changes.changed().await.is_err() {
                        return Ok(None);
                    }
                }
            });
            let told = stop.run_until_cancelled(told).await;
            told.and_then(Result::ok).unwrap_or(Ok(None))
        }
    })
}

fn snapshot(known: Known) -> Result<Snapshot, ServiceError> {
    let text = serde_json::to_vec(&known)
        .map_err(|_| ServiceError::internal("What is known of tenants can't be written."))?;
    let digest = digest::digest(&digest::SHA256, &text);
    Ok(Snapshot {
        digest: STANDARD_NO_PAD.encode(digest),
        known,
    })
}
