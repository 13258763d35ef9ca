//! What changed, told to the pages that are open at another process.

use futures::StreamExt as _;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::answering::stream_of;
use super::{Answering, Asking, Neighbour};
use crate::limits::{NEIGHBOUR_HOLDS, NEIGHBOUR_REST_MAX, NEIGHBOUR_WITHIN};
use crate::notices::{Notice, Notices, Topic};

#[derive(Serialize, Deserialize)]
struct Told {
    tenant: TenantId,
    topic: Topic,
    #[serde(default)]
    study_uid: Option<String>,
}

/// Longest line of a notice.
const LINE_MAX: usize = 4_096;

/// Tells `notices` what `neighbour` tells, until `stop`.
pub async fn follow(neighbour: Neighbour, notices: Notices, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let listening = listen(&neighbour, &notices);
        let Some(ended) = stop.run_until_cancelled(listening).await else {
            return;
        };
        if ended.is_err() {
            let pause = NEIGHBOUR_REST_MAX.mul_f64(0.1 + fastrand::f64() * 0.2);
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }
}

async fn listen(neighbour: &Neighbour, notices: &Notices) -> Result<(), ServiceError> {
    let asking = Asking::ONCE.within(NEIGHBOUR_WITHIN);
    let mut pieces = neighbour.ask_stream(asking, "notices", None, &()).await?;
    let mut text = Vec::new();
    // Something comes at least as often as the other side holds a question.
    let silence = NEIGHBOUR_HOLDS.saturating_mul(2);
    while let Ok(Some(piece)) = tokio::time::timeout(silence, pieces.next()).await {
        text.extend_from_slice(&piece?);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            // An empty line says that the other side is there; a topic of a later
            // release is for its pages.
            if let Ok(told) = serde_json::from_slice::<Told>(&line) {
                notices.tell_on(told.tenant, told.topic, told.study_uid);
            }
        }
        if text.len() > LINE_MAX {
            break;
        }
    }
    Err(ServiceError::internal("The neighbour tells no more."))
}

/// Answers with what is told in this process, as it is told.
pub fn answer(answering: Answering, notices: Notices) -> Answering {
    let stop = answering.stop();
    answering.on_bytes("notices", move |_, _| {
        let (changes, stop) = (notices.listen(), stop.clone());
        async move {
            let lines = futures::stream::unfold(changes, |mut changes| async move {
                let line = match tokio::time::timeout(NEIGHBOUR_HOLDS, changes.recv()).await {
                    Ok(Ok(notice)) if !notice.from_neighbour => line(notice),
                    Ok(Err(RecvError::Closed)) => return None,
                    // Told by a neighbour, missed, or nothing for a while.
                    _ => b"\n".to_vec(),
                };
                Some((Ok(line.into()), changes))
            });
            Ok(stream_of(lines.take_until(stop.cancelled_owned())))
        }
    })
}

fn line(notice: Notice) -> Vec<u8> {
    let told = Told {
        tenant: notice.tenant,
        topic: notice.topic,
        study_uid: notice.study_uid,
    };
    let mut line = serde_json::to_vec(&told).unwrap_or_default();
    line.push(b'\n');
    line
}
