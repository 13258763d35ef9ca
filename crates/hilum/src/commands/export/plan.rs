//! Which studies are exported: asked for once, when an export begins, and
//! sorted by patient.

use hilum_contracts::ids::TenantId;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Wanted;
use crate::commands::door::{Door, component};

/// Studies that are asked for at once.
const PAGE: u32 = 200;

/// A study of the plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Planned {
    /// Counts the patients, from 1.
    #[serde(rename = "p")]
    pub(super) patient: u32,
    /// Study Instance UID.
    pub(super) uid: String,
    /// How many instances it had.
    #[serde(rename = "n")]
    pub(super) instances: u64,
}

/// A study as the worklist tells of it.
#[derive(Deserialize)]
pub(crate) struct Listed {
    study_uid: String,
    pub(crate) patient: Patient,
    pub(crate) instance_count: u64,
    #[serde(with = "time::serde::rfc3339")]
    last_received_at: OffsetDateTime,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Patient {
    id: String,
    pub(crate) issuer: String,
}

#[derive(Deserialize)]
struct ListPage {
    items: Vec<Listed>,
    next: Option<String>,
}

/// Finds the studies that are wanted.
pub(super) async fn make(
    door: &Door,
    wanted: &Wanted,
    tenant: &TenantId,
) -> anyhow::Result<Vec<Planned>> {
    let mut found = match wanted {
        Wanted::Studies(uids) => {
            let mut found = Vec::with_capacity(uids.len());
            for uid in uids {
                let path = format!("/api/v1/studies/{}", component(uid));
                let study: Option<Listed> = door.ask(Method::GET, &path, None::<&()>).await?;
                found.push(
                    study.ok_or_else(|| anyhow::anyhow!("tenant {tenant} has no study {uid}"))?,
                );
            }
            found
        }
        Wanted::Patient { id, issuer } => {
            let mut found = of_patient(door, id).await?;
            found.retain(|study| {
                let asked = issuer.as_ref();
                asked.is_none_or(|issuer| study.patient.issuer == *issuer)
            });
            one_issuer(&found)?;
            anyhow::ensure!(
                !found.is_empty(),
                "tenant {tenant} has no study of this patient"
            );
            found
        }
        Wanted::Everything => {
            let mut found = Vec::new();
            list(door, "", None, &mut found).await?;
            // What received an image meanwhile has moved to the front of the
            // list, past the page that was being read.
            let newest = found.iter().map(|study| study.last_received_at).max();
            if let Some(newest) = newest {
                list(door, "", Some(newest), &mut found).await?;
            }
            anyhow::ensure!(!found.is_empty(), "tenant {tenant} has no studies");
            found
        }
    };
    // Without an ID, nothing says that two studies are of one patient.
    let key = |study: &Listed| {
        let nobody = study.patient.id.is_empty();
        let own = nobody.then(|| study.study_uid.clone());
        (study.patient.id.clone(), study.patient.issuer.clone(), own)
    };
    found.sort_by_cached_key(|study| (key(study), study.study_uid.clone()));
    found.dedup_by(|a, b| a.study_uid == b.study_uid);
    let mut patient = 0;
    let mut last = None;
    let mut planned = Vec::with_capacity(found.len());
    for study in found {
        let key = key(&study);
        if last.as_ref() != Some(&key) {
            patient += 1;
            last = Some(key);
        }
        planned.push(Planned {
            patient,
            uid: study.study_uid,
            instances: study.instance_count,
        });
    }
    Ok(planned)
}

/// Studies that match, the latest reception first; of those received after
/// `since` only, where it is given.
async fn list(
    door: &Door,
    condition: &str,
    since: Option<OffsetDateTime>,
    found: &mut Vec<Listed>,
) -> anyhow::Result<()> {
    let mut cursor: Option<String> = None;
    loop {
        let from = cursor.as_deref().map(component);
        let from = from
            .map(|from| format!("&cursor={from}"))
            .unwrap_or_default();
        let path = format!("/api/v1/studies?limit={PAGE}{condition}{from}");
        let page: Option<ListPage> = door.ask(Method::GET, &path, None::<&()>).await?;
        let Some(page) = page else {
            return Ok(());
        };
        let fresh = |study: &Listed| since.is_none_or(|since| study.last_received_at >= since);
        let all = page.items.iter().all(fresh);
        found.extend(page.items.into_iter().filter(fresh));
        match page.next {
            Some(next) if all => cursor = Some(next),
            _ => return Ok(()),
        }
    }
}

/// The studies of a Patient ID, whoever issued it.
pub(crate) async fn of_patient(door: &Door, id: &str) -> anyhow::Result<Vec<Listed>> {
    let mut found = Vec::new();
    list(
        door,
        &format!("&patient_id={}", component(id)),
        None,
        &mut found,
    )
    .await?;
    // `*` and `?` in an ID are wild cards to a search, and none here.
    found.retain(|study| study.patient.id == id);
    Ok(found)
}

/// One ID of two issuers is two people: an export must not mix them unasked.
fn one_issuer(found: &[Listed]) -> anyhow::Result<()> {
    let issuers = issuers(found);
    anyhow::ensure!(
        issuers.len() < 2,
        "this Patient ID was issued by several: name one with --issuer ({})",
        issuers.join(", ")
    );
    Ok(())
}

/// Who issued the patient's ID, in quotation marks: nobody may have.
pub(crate) fn issuers(found: &[Listed]) -> Vec<String> {
    let issuer = |study: &Listed| json!(study.patient.issuer).to_string();
    let mut issuers: Vec<String> = found.iter().map(issuer).collect();
    issuers.sort_unstable();
    issuers.dedup();
    issuers
}

/// An instance of a study as QIDO-RS tells of it.
pub(super) struct Instance {
    pub(super) series: String,
    pub(super) uid: String,
}

/// Instances of a study from `offset` on, by series and instance number.
pub(super) async fn instances(
    door: &Door,
    study: &str,
    offset: usize,
    limit: usize,
) -> anyhow::Result<Vec<Instance>> {
    let study = component(study);
    let path = format!("/dicomweb/studies/{study}/instances?limit={limit}&offset={offset}");
    let found: Option<Vec<Value>> = door.ask(Method::GET, &path, None::<&()>).await?;
    let uid = |one: &Value, tag: &str| {
        let value = one.get(tag)?.get("Value")?.get(0)?;
        value.as_str().map(ToOwned::to_owned)
    };
    found
        .unwrap_or_default()
        .iter()
        .map(|one| {
            Some(Instance {
                series: uid(one, "0020000E")?,
                uid: uid(one, "00080018")?,
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| anyhow::anyhow!("Hilum listed an instance without its UIDs"))
}
