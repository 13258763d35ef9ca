//! Devices that send by C-STORE and programs that send by STOW-RS. What is
//! acknowledged to them stands in the ledger.

use std::time::Duration;

use bytes::Bytes;
use hilum_dimse::{Client, ClientConfig, ClientError, Status, StoreOperation};
use hilum_testkit::{Image, Odd};

use super::{Ground, PATIENCE, judged};
use crate::seen::Outcome;
use crate::world::TENANTS;

const MR_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.4";
const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// Slices of a series that the model takes.
const SLICES: u64 = 6;
/// Before a series that was not taken is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Preamble and prefix of a file (PS3.10 §7.1), and the element that tells how
/// long the rest of the file meta information is.
const BEFORE_META: usize = 128 + 4 + 12;

/// An image that no model asks for, in an association of its own.
pub(super) async fn one_by_dicom(ground: &Ground) -> Outcome {
    let (tenant, study) = ground.new_study();
    match ground.files.image(study, 0, Odd::OtherModality) {
        Ok(image) => by_dicom(ground, tenant, study, vec![image]).await,
        Err(error) => Outcome::Not(error.to_string()),
    }
}

/// The same in a request.
pub(super) async fn one_by_stow(ground: &Ground) -> Outcome {
    let (tenant, study) = ground.new_study();
    match ground.files.image(study, 0, Odd::OtherModality) {
        Ok(image) => by_stow(ground, tenant, study, vec![image]).await,
        Err(error) => Outcome::Not(error.to_string()),
    }
}

/// A series that the model takes, again and again until it was.
pub(super) async fn series(ground: &Ground, tenant: &'static str, is_device: bool) {
    let (_, study) = ground.new_study();
    let tenant = usize::from(TENANTS[0].0 != tenant);
    ground.ledger.series_begins(TENANTS[tenant].0, study);
    loop {
        let slices = (0..SLICES).map(|number| ground.files.image(study, number, Odd::Nothing));
        let slices = match slices.collect::<Result<Vec<_>, _>>() {
            Ok(slices) => slices,
            Err(error) => return ground.ledger.is_wrong(error.to_string()),
        };
        let outcome = match is_device {
            true => by_dicom(ground, tenant, study, slices).await,
            false => by_stow(ground, tenant, study, slices).await,
        };
        if outcome == Outcome::Done {
            return ground.ledger.series_ended(study);
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn by_dicom(ground: &Ground, tenant: usize, study: u64, images: Vec<Image>) -> Outcome {
    let (name, called) = TENANTS[tenant];
    let sending = async {
        let mut config = ClientConfig::new(called, "SCANNER")
            .propose(MR_IMAGE_STORAGE, &[EXPLICIT_VR_LITTLE_ENDIAN]);
        (config.connect, config.artim) = (PATIENCE, PATIENCE);
        (config.send, config.response) = (PATIENCE, PATIENCE);
        let mut association = Client::connect(ground.dicom, config).await?;
        for image in images {
            ground.ledger.sent();
            let operation = StoreOperation {
                sop_class_uid: MR_IMAGE_STORAGE.to_owned(),
                sop_instance_uid: image.uid.clone(),
                transfer_syntax_uid: EXPLICIT_VR_LITTLE_ENDIAN.to_owned(),
            };
            let data = futures::stream::iter([Ok(data_set(image.bytes))]);
            let response = association.c_store(&operation, data).await?;
            if !response.status.is_accepted() {
                // Whatever breaks, a sender is told to come back (PS3.4 §B.2.3).
                if response.status != Status::OUT_OF_RESOURCES {
                    let what = format!("C-STORE was answered {}", response.status);
                    ground.ledger.is_wrong(what);
                }
                return Ok(Outcome::Not(response.status.to_string()));
            }
            ground.ledger.acknowledged(name, study, image.uid);
        }
        association.release().await?;
        Ok(Outcome::Done)
    };
    sending.await.unwrap_or_else(|error: ClientError| {
        Outcome::Not(match error {
            ClientError::Timeout(_) => "no answer".to_owned(),
            ClientError::Rejected(rejection) => format!("rejected: {rejection}"),
            ClientError::Aborted(_) => "aborted".to_owned(),
            _ => "no connection".to_owned(),
        })
    })
}

/// What follows the file meta information (PS3.10 §7.1).
fn data_set(file: Vec<u8>) -> Bytes {
    let file = Bytes::from(file);
    let mut length = [0; 4];
    length.copy_from_slice(&file[BEFORE_META - 4..BEFORE_META]);
    let meta = usize::try_from(u32::from_le_bytes(length)).unwrap_or_default();
    file.slice(BEFORE_META + meta..)
}

async fn by_stow(ground: &Ground, tenant: usize, study: u64, images: Vec<Image>) -> Outcome {
    let name = TENANTS[tenant].0;
    let (mut body, mut uids) = (Vec::new(), Vec::new());
    for image in images {
        ground.ledger.sent();
        body.extend_from_slice(b"--part\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend_from_slice(&image.bytes);
        body.extend_from_slice(b"\r\n");
        uids.push(image.uid);
    }
    body.extend_from_slice(b"--part--\r\n");
    let answer = ground
        .client
        .post(ground.url("/dicomweb/studies"))
        .bearer_auth(ground.key_of(name))
        .header("accept", "application/dicom+json")
        .header(
            "content-type",
            "multipart/related; type=\"application/dicom\"; boundary=part",
        )
        .body(body)
        .send()
        .await;
    let outcome = judged(&answer);
    // 202: some were refused (PS3.18 §10.5.3); then it counts for none here.
    let is_whole = answer.is_ok_and(|answer| answer.status() == 200);
    if outcome == Outcome::Done && !is_whole {
        return Outcome::Not("202".to_owned());
    }
    if is_whole {
        for uid in uids {
            ground.ledger.acknowledged(name, study, uid);
        }
    }
    outcome
}
