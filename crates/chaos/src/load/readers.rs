//! People who look for studies and images and sign in, and who looks for the
//! results that must come.

use std::collections::BTreeSet;
use std::time::Duration;

use hilum_testkit::Files;
use serde_json::{Value, json};

use super::{Ground, judged};
use crate::ledger::{RESULTS, Series};
use crate::receiver::Receiver;
use crate::seen::Outcome;
use crate::world::{EMAIL, PASSWORD};

/// Series that are looked for at once, those first that wait longest.
const AWAITED: usize = 12;
/// Longest look for them: one that stands still says nothing about the others.
const LOOK: Duration = Duration::from_secs(5);
/// Modalities of what the model makes.
pub(crate) const RESULTS_ARE: [&str; RESULTS] = ["SEG", "SR"];
const MODALITY: &str = "00080060";
const SOP_INSTANCE_UID: &str = "00080018";

/// The studies of today's work list, in a session.
pub(super) async fn query(ground: &Ground) -> Outcome {
    let answer = ground
        .client
        .get(ground.url("/dicomweb/studies?limit=10"))
        .header("cookie", &ground.keys.cookie)
        .header("sec-fetch-site", "same-origin")
        .header("accept", "application/dicom+json")
        .send();
    judged(&answer.await)
}

/// Whoever works here was at each door before: a process lets in without Identity
/// whom it let in with it.
pub(super) async fn visit_every_door(ground: &Ground) {
    for door in ground.all_doors() {
        let url = format!("http://{door}/dicomweb/studies?limit=1");
        let ask = || ground.client.get(&url);
        let session = ask()
            .header("cookie", &ground.keys.cookie)
            .header("sec-fetch-site", "same-origin");
        let keys = ground.keys.keys.iter().chain([&ground.keys.auditor]);
        let keys = keys.map(|key| ask().bearer_auth(key));
        for request in keys.chain([session]) {
            let _asked_again_later = request.send().await;
        }
    }
}

/// An image that was acknowledged, with an API key.
pub(super) async fn retrieve(
    ground: &Ground,
    (tenant, study, uid): (&str, u64, String),
) -> Outcome {
    let (study_uid, series_uid) = (Files::study(study), Files::series(study));
    let path = format!("/dicomweb/studies/{study_uid}/series/{series_uid}/instances/{uid}");
    let answer = ground
        .client
        .get(ground.url(&path))
        .bearer_auth(ground.key_of(tenant))
        .header("accept", "application/dicom; transfer-syntax=*")
        .send()
        .await;
    let outcome = judged(&answer);
    let answer = match answer {
        Ok(answer) => answer,
        Err(_) => return outcome,
    };
    if answer.status() == 404 {
        let what = format!("{uid} was acknowledged and is not there (404)");
        ground.ledger.is_wrong(what);
    }
    if outcome != Outcome::Done {
        return outcome;
    }
    // It breaks off when what serves it breaks.
    let Ok(bytes) = answer.bytes().await else {
        return Outcome::Not("broke off".to_owned());
    };
    if memchr::memmem::find(&bytes, uid.as_bytes()).is_none() {
        ground
            .ledger
            .is_wrong(format!("{uid} was asked for and another one was given"));
    }
    outcome
}

/// A password for a session.
pub(super) async fn sign_in(ground: &Ground) -> Outcome {
    let answer = ground
        .client
        .post(ground.url("/auth/sign-in"))
        .header("sec-fetch-site", "same-origin")
        .json(&json!({ "email": EMAIL, "password": PASSWORD }))
        .send();
    judged(&answer.await)
}

/// The newest entries of the audit trail, with an auditor's key.
pub(super) async fn search(ground: &Ground) -> Outcome {
    let answer = ground
        .client
        .get(ground.url("/api/v1/audit/entries?limit=10"))
        .bearer_auth(&ground.keys.auditor)
        .send();
    judged(&answer.await)
}

/// Looks for results that are not there yet, and which of them were delivered.
pub(super) async fn results(ground: &Ground, receiver: &Receiver) {
    let all = ground.ledger.series();
    for series in all.iter().filter(|series| series.delivered.is_none()) {
        let uid = Files::study(series.study);
        if let Some(at) = receiver.came().get(&uid).and_then(|of| of.whole) {
            ground.ledger.delivered(series.study, at);
        }
    }
    let is_awaited = |series: &&Series| series.acknowledged.is_some() && series.result.is_none();
    let looks = all
        .iter()
        .filter(is_awaited)
        .take(AWAITED)
        .map(async |series| {
            let path = format!("/dicomweb/studies/{}/series", Files::study(series.study));
            let looking = tokio::time::timeout(LOOK, listed(ground, series.tenant, &path));
            let listed = looking.await.ok().flatten().unwrap_or_default();
            let is_result = |one: &&Value| RESULTS_ARE.contains(&text(one, MODALITY));
            if listed.iter().filter(is_result).count() >= RESULTS {
                ground.ledger.results_are_there(series.study);
            }
        });
    futures::future::join_all(looks).await;
}

/// SOP Instance UIDs of a study's instances of these modalities, or of all; none:
/// nobody answers.
pub(crate) async fn instances(
    ground: &Ground,
    tenant: &str,
    study: u64,
    modalities: &[&str],
) -> Option<BTreeSet<String>> {
    let path = format!("/dicomweb/studies/{}/instances", Files::study(study));
    let mut found = BTreeSet::new();
    let queries = modalities
        .iter()
        .map(|modality| format!("?Modality={modality}"));
    let queries: Vec<_> = match modalities {
        [] => vec![String::new()],
        _ => queries.collect(),
    };
    for query in queries {
        let listed = listed(ground, tenant, &format!("{path}{query}")).await?;
        found.extend(
            listed
                .iter()
                .map(|one| text(one, SOP_INSTANCE_UID).to_owned()),
        );
    }
    Some(found)
}

/// What a QIDO-RS query finds; none: nobody answers.
async fn listed(ground: &Ground, tenant: &str, path: &str) -> Option<Vec<Value>> {
    let answer = ground
        .client
        .get(ground.url(path))
        .bearer_auth(ground.key_of(tenant))
        .header("accept", "application/dicom+json")
        .send()
        .await
        .ok()?;
    if !answer.status().is_success() && answer.status() != 404 {
        return None;
    }
    // No content: none match (PS3.18 §10.6.3).
    let bytes = answer.bytes().await.ok()?;
    let list: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Some(list.as_array().cloned().unwrap_or_default())
}

/// The first value of an attribute (PS3.18 §F.2).
fn text<'a>(of: &'a Value, tag: &str) -> &'a str {
    of[tag]["Value"][0].as_str().unwrap_or_default()
}
