//! Who signs passes and what ended, told by Identity to its neighbours. What was told
//! last is kept in a file, so that a process that starts while Identity is away
//! believes the same signatures and lets in nobody whose session it knew to be over.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::{Answering, Asking, Neighbour};
use crate::durable;
use crate::limits::{NEIGHBOUR_HOLDS, NEIGHBOUR_REST_MAX, NEIGHBOUR_WITHIN, PASS_KEPT_EVERY};
use crate::passes::{Known, Passes};

/// Keeps `passes` as `neighbour` has them, until `stop`.
pub async fn follow(neighbour: Neighbour, passes: Passes, file: PathBuf, stop: CancellationToken) {
    tokio::join!(
        ask(neighbour, passes.clone(), stop.clone()),
        keep(passes, file, stop)
    );
}

async fn ask(neighbour: Neighbour, passes: Passes, stop: CancellationToken) {
    let asking = Asking::ONCE.within(NEIGHBOUR_HOLDS.saturating_add(NEIGHBOUR_WITHIN));
    // Whatever this process knows from before: Identity may have been restored since.
    let mut heard = 0;
    while !stop.is_cancelled() {
        let asked = neighbour.ask(asking, "passes", None, &heard);
        let told: Result<Option<Known>, _> = match stop.run_until_cancelled(asked).await {
            Some(told) => told,
            None => return,
        };
        match told {
            Ok(None) => {}
            Ok(Some(known)) => {
                heard = known.told;
                passes.heard(known);
            }
            Err(error) => {
                tracing::debug!(%error, "passes are verified by what was told last");
                passes.learn().await;
                let pause = NEIGHBOUR_REST_MAX.mul_f64(0.1 + fastrand::f64() * 0.2);
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        }
    }
}

async fn keep(passes: Passes, file: PathBuf, stop: CancellationToken) {
    let mut changes = passes.follow();
    // What was learned before this, from the shared cache, too.
    changes.mark_changed();
    while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
        let known = Known::clone(&changes.borrow_and_update());
        let (file, signers) = (file.clone(), known.signers.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let text = serde_json::to_vec(&known).unwrap_or_default();
            durable::replace(&file, &text)
        });
        if !matches!(kept.await, Ok(Ok(()))) {
            tracing::warn!("what is known of passes can't be kept for the next start");
        }
        // Who starts without a new signer believes nothing that it signed.
        let pause = tokio::time::timeout(PASS_KEPT_EVERY, async {
            let other = changes.wait_for(|known| known.signers != signers).await;
            other.is_ok()
        });
        if let Some(Ok(true)) = stop.run_until_cancelled(pause).await {
            changes.mark_changed();
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
            tracing::warn!(kind = ?error.classify(), "what was known of passes can't be read: identity tells it anew");
            None
        }
    }
}

/// Answers with what `passes` knows, as soon as that is not what was heard.
pub fn answer(answering: Answering, passes: Passes) -> Answering {
    let stop = answering.stop();
    answering.on_any("passes", move |heard: i64| {
        let (passes, stop) = (passes.clone(), stop.clone());
        async move {
            let mut changes = passes.follow();
            let told = tokio::time::timeout(NEIGHBOUR_HOLDS, async {
                let other = changes.wait_for(|known| known.told != heard).await;
                other.ok().map(|known| Known::clone(&known))
            });
            let told = stop.run_until_cancelled(told).await;
            Ok(told.and_then(Result::ok).flatten())
        }
    })
}
