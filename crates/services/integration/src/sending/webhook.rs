//! Tells a webhook that results are there, signed as Standard Webhooks says
//! (<https://www.standardwebhooks.com>, version 1): its id is the delivery's at
//! each try, so that whoever is told twice sees one. It says which instances
//! there are and where, and nothing of what they hold.

use std::path::Path;

use aws_lc_rs::hmac;
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hilum_platform::clock::from_millis;
use http::{Request, header};
use serde::Serialize;
use time::OffsetDateTime;

use super::web::{ask, refusal, secret, unaskable};
use super::{Failure, Sending};

/// A webhook.
pub(super) struct Hook<'a> {
    pub(super) url: &'a str,
    pub(super) secret_file: &'a Path,
}

/// What a webhook is told.
#[derive(Serialize)]
struct Told<'a> {
    r#type: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
    data: Results<'a>,
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
        let now = sending.now();
        let instances = sending.unsent.iter().map(|item| Instance {
            series_uid: &item.instance.series_uid,
            sop_class_uid: &item.instance.sop_class_uid,
            sop_instance_uid: &item.instance.sop_instance_uid,
        });
        let told = Told {
            r#type: "results.published",
            timestamp: from_millis(now),
            data: Results {
                tenant: sending.scope.tenant().as_str(),
                delivery: &sending.job.subject,
                run: &sending.begun.run,
                study_uid: &sending.begun.study_uid,
                path: format!("/dicomweb/studies/{}", sending.begun.study_uid),
                instances: instances.collect(),
            },
        };
        let body = serde_json::to_string(&told)
            .map_err(|_| Failure::Lasting("The message can't be written.".to_owned()))?;
        let (id, seconds) = (&sending.job.subject, now / 1_000);
        let key = secret(self.secret_file).await?;
        let signature = signature(&key, id, seconds, &body).ok_or_else(|| {
            let file = self.secret_file.display();
            Failure::Lasting(format!("{file} holds no secret: whsec_ and base64."))
        })?;
        let request = Request::post(self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(Body::from(body))
            .map_err(unaskable)?;
        let answer = ask(sending, request).await?;
        if !answer.status.is_success() {
            return Err(refusal(sending, answer.status));
        }
        sending.told().await
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
