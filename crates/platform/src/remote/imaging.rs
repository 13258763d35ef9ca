//! Imaging over the network: both ends.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::body::Bytes;
use axum::response::IntoResponse as _;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::{CorrelationId, InputSetId, RunId};
use hilum_contracts::imaging::{
    DataSetStream, Imaging, InstanceRef, Published, ResultInstance, ResultSet,
};
use hilum_contracts::scope::TenantScope;
use serde::{Deserialize, Serialize};

use super::answering::{read, scope_of, stream_of};
use super::{Answering, Asking, Neighbour};
use crate::limits::NEIGHBOUR_WITHIN_LONG;

/// Imaging in another process.
#[derive(Clone, Debug)]
pub struct RemoteImaging(pub Neighbour);

/// A result set without its data sets, which follow in their order.
#[derive(Serialize, Deserialize)]
struct Publishing {
    run: RunId,
    key: String,
    study_uid: String,
    model: String,
    correlation_id: CorrelationId,
    /// Bytes of each data set.
    lengths: Vec<u64>,
}

#[async_trait]
impl Imaging for RemoteImaging {
    async fn input_set(
        &self,
        scope: &TenantScope,
        input_set: InputSetId,
    ) -> Result<Vec<InstanceRef>, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0
            .ask(asking, "input-set", Some(scope), &input_set)
            .await
    }

    async fn data_set(
        &self,
        scope: &TenantScope,
        sop_instance_uid: &str,
    ) -> Result<DataSetStream, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0
            .ask_stream(asking, "data-set", Some(scope), sop_instance_uid)
            .await
    }

    async fn instances(
        &self,
        scope: &TenantScope,
        sop_instance_uids: &[String],
    ) -> Result<Vec<InstanceRef>, ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0
            .ask(asking, "instances", Some(scope), sop_instance_uids)
            .await
    }

    async fn publish_results(
        &self,
        scope: &TenantScope,
        results: ResultSet,
    ) -> Result<Published, ServiceError> {
        // Asked twice, the second finds what the first published.
        let asking = Asking::REPEATABLE.within(NEIGHBOUR_WITHIN_LONG);
        let body = pack(&results)?;
        let told = self
            .0
            .ask_bytes(asking, "publish-results", Some(scope), body);
        read(&told.await?)
    }
}

/// Answers for `imaging`.
pub fn answer(answering: Answering, imaging: Arc<dyn Imaging>) -> Answering {
    let [of_set, of_data, of_uids, of_results] = [0; 4].map(|_| Arc::clone(&imaging));
    answering
        .on("input-set", move |scope, input_set| {
            let imaging = Arc::clone(&of_set);
            async move { imaging.input_set(&scope, input_set).await }
        })
        .on("instances", move |scope, uids: Vec<String>| {
            let imaging = Arc::clone(&of_uids);
            async move { imaging.instances(&scope, &uids).await }
        })
        .on_bytes("data-set", move |headers, body| {
            let imaging = Arc::clone(&of_data);
            async move {
                let (scope, uid) = (scope_of(&headers)?, read::<String>(&body)?);
                Ok(stream_of(imaging.data_set(&scope, &uid).await?))
            }
        })
        .on_bytes("publish-results", move |headers, body| {
            let imaging = Arc::clone(&of_results);
            async move {
                let (scope, results) = (scope_of(&headers)?, unpack(&body)?);
                let published = imaging.publish_results(&scope, results).await?;
                Ok(Json(published).into_response())
            }
        })
}

/// Four bytes with the length of the JSON (big endian), the JSON, the data sets.
fn pack(results: &ResultSet) -> Result<Bytes, ServiceError> {
    let instances = &results.instances;
    let publishing = Publishing {
        run: results.run,
        key: results.key.clone(),
        study_uid: results.study_uid.clone(),
        model: results.model.clone(),
        correlation_id: results.correlation_id,
        lengths: instances
            .iter()
            .map(|one| one.data_set.len() as u64)
            .collect(),
    };
    let unwritten = || ServiceError::internal("A result set can't be written.");
    let head = serde_json::to_vec(&publishing).map_err(|_| unwritten())?;
    let length = u32::try_from(head.len()).map_err(|_| unwritten())?;
    let mut body = length.to_be_bytes().to_vec();
    body.extend(head);
    for one in instances {
        body.extend_from_slice(&one.data_set);
    }
    Ok(body.into())
}

fn unpack(body: &Bytes) -> Result<ResultSet, ServiceError> {
    let unread = || ServiceError::invalid("A result set can't be read.");
    let mut rest = body.clone();
    let mut next = |length: usize| match length <= rest.len() {
        true => Ok(rest.split_to(length)),
        false => Err(unread()),
    };
    let length = next(4)?;
    let length = <[u8; 4]>::try_from(&*length).map_err(|_| unread())?;
    let head = next(u32::from_be_bytes(length) as usize)?;
    let publishing: Publishing = read(&head)?;
    let mut instances = Vec::with_capacity(publishing.lengths.len().min(body.len()));
    for length in publishing.lengths {
        let data_set = next(usize::try_from(length).map_err(|_| unread())?)?;
        instances.push(ResultInstance { data_set });
    }
    if !rest.is_empty() {
        return Err(unread());
    }
    Ok(ResultSet {
        run: publishing.run,
        key: publishing.key,
        study_uid: publishing.study_uid,
        model: publishing.model,
        correlation_id: publishing.correlation_id,
        instances,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> ResultSet {
        ResultSet {
            run: RunId::new(),
            key: "key".to_owned(),
            study_uid: "1.2".to_owned(),
            model: "ct".to_owned(),
            correlation_id: CorrelationId::new(),
            instances: [&b"first"[..], b"", b"third"]
                .map(|text| ResultInstance {
                    data_set: Bytes::from_static(text),
                })
                .into(),
        }
    }

    #[test]
    fn a_result_set_arrives_as_it_was_sent() {
        let sent = results();
        let came = unpack(&pack(&sent).unwrap()).unwrap();
        assert_eq!(came.key, sent.key);
        let bytes = |set: &ResultSet| -> Vec<Bytes> {
            set.instances
                .iter()
                .map(|one| one.data_set.clone())
                .collect()
        };
        assert_eq!(bytes(&came), bytes(&sent));
    }

    #[test]
    fn a_result_set_that_is_cut_off_or_goes_on_is_none() {
        let whole = pack(&results()).unwrap();
        for length in 0..whole.len() {
            assert!(unpack(&whole.slice(..length)).is_err(), "{length}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert!(unpack(&longer.into()).is_err());
    }
}
