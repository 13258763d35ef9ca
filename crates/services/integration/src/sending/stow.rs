//! Results to a DICOMweb server by STOW-RS (PS3.18 §10.5), an instance a request:
//! what was acknowledged is never sent again, and memory stays bounded.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream;
use futures::{StreamExt as _, TryStreamExt as _};
use hilum_contracts::imaging::{DataSetStream, InstanceRef};
use hilum_dataset::part10;
use hilum_dicomweb::multipart::{Boundary, PartHead, write};
use hilum_platform::http_client::Answer;
use http::{Request, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

use super::peer::{Peer, authorization, unaskable};
use super::{Failure, Sending};
use crate::domain::target::Credential;
use crate::limits::{REQUEST, TEST};

/// A DICOMweb server.
pub(super) struct Server<'a> {
    pub(super) peer: &'a Peer<'a>,
    pub(super) url: &'a str,
    pub(super) credential: Option<&'a Credential>,
}

/// FailedSOPSequence and ReferencedSOPSequence (PS3.18 annex I.2), and in their
/// items FailureReason and ReferencedSOPInstanceUID.
const FAILED: &str = "00081198";
const STORED: &str = "00081199";
const REASON: &str = "00081197";
const INSTANCE: &str = "00081155";

impl Server<'_> {
    pub(super) async fn take(&self, sending: &Sending<'_>) -> Result<(), Failure> {
        for item in sending.unsent {
            if sending.stop.is_cancelled() {
                return Err(Failure::Stopped);
            }
            self.store(sending, &item.instance).await?;
            sending.acknowledged(item).await?;
        }
        Ok(())
    }

    async fn store(&self, sending: &Sending<'_>, instance: &InstanceRef) -> Result<(), Failure> {
        let head = part10::head(
            &instance.sop_class_uid,
            &instance.sop_instance_uid,
            &instance.transfer_syntax_uid,
            hilum_dimse::IMPLEMENTATION_CLASS_UID,
        );
        let head = head.ok_or_else(|| {
            Failure::Lasting(
                "A file of the result can't be made: it has a UID that is none.".to_owned(),
            )
        })?;
        let data = sending.data_set(instance).await?;
        let (content_type, body) = multipart(head, data);
        let answer = self.post(content_type, body, REQUEST).await?;
        judge(self.peer, &answer, &instance.sop_instance_uid)
    }

    async fn post(
        &self,
        content_type: String,
        body: Body,
        within: Duration,
    ) -> Result<Answer, Failure> {
        let mut request = Request::post(format!("{}/studies", self.url))
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/dicom+json");
        if let Some(credential) = self.credential {
            request = request.header(header::AUTHORIZATION, authorization(credential).await?);
        }
        let request = request.body(body).map_err(unaskable)?;
        self.peer.ask(request, within).await
    }

    /// Stores nothing, to hear whether it takes what comes this way: a request without
    /// an instance is refused by who would take one (PS3.18 §10.5.3).
    pub(super) async fn test(&self) -> Result<(), Failure> {
        let boundary = Boundary::from_bits(Uuid::new_v4().as_u128());
        let content_type = boundary.content_type("application/dicom");
        let nothing =
            stream::empty::<std::io::Result<(PartHead, stream::Empty<std::io::Result<Bytes>>)>>();
        let body = Body::from_stream(write(boundary, nothing));
        let status = self.post(content_type, body, TEST).await?.status;
        let is_there = status.is_success()
            || matches!(
                status,
                StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY
            );
        match is_there {
            true => Ok(()),
            false => Err(self.peer.refusal(status)),
        }
    }
}

/// A body with one file, and its Content-Type.
fn multipart(head: Vec<u8>, data: DataSetStream) -> (String, Body) {
    let data = data.map_err(std::io::Error::other);
    let file = stream::once(std::future::ready(Ok(Bytes::from(head)))).chain(data);
    let part = PartHead {
        content_type: "application/dicom".to_owned(),
        location: None,
        length: None,
    };
    let boundary = Boundary::from_bits(Uuid::new_v4().as_u128());
    let content_type = boundary.content_type("application/dicom");
    let parts = stream::once(std::future::ready(Ok((part, file))));
    (content_type, Body::from_stream(write(boundary, parts)))
}

fn judge(peer: &Peer<'_>, answer: &Answer, instance: &str) -> Result<(), Failure> {
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(reason) = failed(&said, instance) {
        let name = peer.name();
        // Out of resources (PS3.18 table I.2-2): A700H to A7FFH.
        return Err(match (0xa700..0xa800).contains(&reason) {
            true => Failure::Passing(format!("{name} could not take it now ({reason:04X}H).")),
            false => Failure::Lasting(format!(
                "{name} refused it ({reason:04X}H). Change its settings, then retry."
            )),
        });
    }
    match answer.status {
        // Everything was stored (PS3.18 table 10.5.3-1).
        StatusCode::OK => Ok(()),
        StatusCode::ACCEPTED if items(&said, STORED).any(|one| is_of(one, instance)) => Ok(()),
        status => Err(peer.refusal(status)),
    }
}

/// Why the instance was not stored, where the answer says so.
fn failed(said: &Value, instance: &str) -> Option<u64> {
    let mut failed = items(said, FAILED);
    let one = failed.find(|one| is_of(one, instance))?;
    one.pointer(&format!("/{REASON}/Value/0"))?.as_u64()
}

fn items<'a>(said: &'a Value, sequence: &str) -> impl Iterator<Item = &'a Value> {
    let items = said.pointer(&format!("/{sequence}/Value"));
    items.and_then(Value::as_array).into_iter().flatten()
}

fn is_of(item: &Value, instance: &str) -> bool {
    let uid = item.pointer(&format!("/{INSTANCE}/Value/0"));
    uid.and_then(Value::as_str) == Some(instance)
}
