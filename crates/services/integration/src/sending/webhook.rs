//! Tells a webhook that results are there, signed as Standard Webhooks says
//! (<https://www.standardwebhooks.com>, version 1): its id is the delivery's at
//! each try, so that whoever is told twice sees one. It says which instances
//! there are and where, and nothing of what they hold.

use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hilum_platform::clock::from_millis;
use http::{Request, header};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::peer::{Peer, secret, unaskable};
use super::{Failure, Sending};
use crate::domain::target::Secret;
use crate::limits::{REQUEST, TEST};

/// A webhook.
pub(super) struct Hook<'a> {
    pub(super) peer: &'a Peer<'a>,
    pub(super) url: &'a str,
    /// Each signs, so that either side may change to a new one first.
    pub(super) secrets: &'a [Secret],
}

/// What a webhook is told.
#[derive(Serialize)]
struct Told<T> {
    r#type: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
    data: T,
}

/// What a test says.
#[derive(Serialize)]
struct Test<'a> {
    tenant: &'a str,
}

#[derive(Serialize)]
struct Results<'a> {
    tenant: &'a str,
    delivery: &'a str,
    run: &'a str,
    study_uid: &'a str,
    /// Of the study, below Hilum's address.
    path: String,
    instances: Vec<Instance<'a>>,
}

#[derive(Serialize)]
struct Instance<'a> {
    series_uid: &'a str,
    sop_class_uid: &'a str,
    sop_instance_uid: &'a str,
}

impl Hook<'_> {
    pub(super) async fn take(&self, sending: &Sending<'_>) -> Result<(), Failure> {
        let instances = sending.unsent.iter().map(|item| Instance {
            series_uid: &item.instance.series_uid,
            sop_class_uid: &item.instance.sop_class_uid,
            sop_instance_uid: &item.instance.sop_instance_uid,
        });
        let results = Results {
            tenant: sending.scope.tenant().as_str(),
            delivery: &sending.job.subject,
            run: &sending.begun.run,
            study_uid: &sending.begun.study_uid,
            path: format!("/dicomweb/studies/{}", sending.begun.study_uid),
            instances: instances.collect(),
        };
        self.tell("results.published", &sending.job.subject, results, REQUEST)
            .await?;
        sending.told().await
    }

    /// Tells it that there is nothing to do, signed as results will be.
    pub(super) async fn test(&self, tenant: &str) -> Result<(), Failure> {
        let id = format!("test_{}", Uuid::new_v4().simple());
        self.tell("test", &id, Test { tenant }, TEST).await
    }

    async fn tell(
        &self,
        r#type: &'static str,
        id: &str,
        data: impl Serialize,
        within: Duration,
    ) -> Result<(), Failure> {
        let now = self.peer.service.clock.now_millis();
        let told = Told {
            r#type,
            timestamp: from_millis(now),
            data,
        };
        let body = serde_json::to_string(&told)
            .map_err(|_| Failure::Lasting("The message can't be written.".to_owned()))?;
        let seconds = now / 1_000;
        let mut signatures = Vec::with_capacity(self.secrets.len());
        for one in self.secrets {
            let signed = signature(&secret(one).await?, id, seconds, &body);
            signatures.push(signed.ok_or_else(|| {
                let where_it_stands = match one {
                    Secret::File(path) => path.display().to_string(),
                    Secret::Kept(_) => self.peer.name().to_owned(),
                };
                Failure::Lasting(format!(
                    "{where_it_stands} holds no secret: whsec_ and base64."
                ))
            })?);
        }
        let request = Request::post(self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            // One for each secret, with a space between them.
            .header("webhook-signature", signatures.join(" "))
            .body(Body::from(body))
            .map_err(unaskable)?;
        let answer = self.peer.ask(request, within).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(self.peer.refusal(answer.status)),
        }
    }
}

/// `v1,` and the HMAC-SHA256 of id, time and body; nothing under a secret that
/// is none.
fn signature(secret: &str, id: &str, seconds: i64, body: &str) -> Option<String> {
    let key = BASE64_STANDARD
        .decode(secret.strip_prefix("whsec_")?)
        .ok()?;
    // The specification asks for 24 to 64 bytes.
    if !(24..=64).contains(&key.len()) {
        return None;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    Some(format!("v1,{}", BASE64_STANDARD.encode(signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let signed = signature(
            secret,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            body,
        );
        assert_eq!(
            signed.as_deref(),
            Some("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=")
        );
        assert_eq!(
            signature("C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "m", 1, body),
            None
        );
        assert_eq!(signature("whsec_c2hvcnQ=", "m", 1, body), None);
    }
}
