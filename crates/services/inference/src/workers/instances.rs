//! Instances on their way from Imaging to a worker, one at a time.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::imaging::{Imaging, InstanceRef};
use hilum_platform::scope::TenantScope;

use crate::limits::DATA_SET_BYTES_MAX;
use crate::worker::WorkerInstance;

/// Lossless codecs halve or third grey values; lossy ones take a tenth. What a
/// compressed instance may expand to, for admission.
const EXPANSION: u64 = 4;
/// Transfer syntaxes whose bytes are the grey values themselves (PS3.5 §A.1, A.2, A.3).
const NATIVE: [&str; 3] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
];

/// Bytes of all grey values as they are stored, about.
pub(super) fn stored_bytes(instances: &[InstanceRef]) -> u64 {
    let size = |i: &InstanceRef| {
        let factor = if NATIVE.contains(&i.transfer_syntax_uid.as_str()) {
            1
        } else {
            EXPANSION
        };
        i.length.saturating_mul(factor)
    };
    instances.iter().map(size).fold(0, u64::saturating_add)
}

/// Fetches the instances in turn; the next one is fetched while the worker decodes.
pub(super) fn fetch(
    imaging: Arc<dyn Imaging>,
    scope: TenantScope,
    instances: Vec<InstanceRef>,
) -> BoxStream<'static, Result<WorkerInstance, ServiceError>> {
    let one = move |instance: InstanceRef| {
        let (imaging, scope) = (Arc::clone(&imaging), scope.clone());
        async move {
            let data_set = whole(imaging.as_ref(), &scope, &instance).await?;
            Ok(WorkerInstance {
                transfer_syntax_uid: instance.transfer_syntax_uid,
                data_set,
            })
        }
    };
    futures::stream::iter(instances)
        .map(one)
        .buffered(2)
        .boxed()
}

async fn whole(
    imaging: &dyn Imaging,
    scope: &TenantScope,
    instance: &InstanceRef,
) -> Result<Bytes, ServiceError> {
    let too_large = || {
        ServiceError::new(
            ErrorCode::Unsupported,
            "An image of the series is too large to be computed.",
        )
    };
    let length = usize::try_from(instance.length)
        .ok()
        .filter(|&n| n <= DATA_SET_BYTES_MAX)
        .ok_or_else(too_large)?;
    let mut pieces = imaging.data_set(scope, &instance.sop_instance_uid).await?;
    let mut bytes = BytesMut::with_capacity(length);
    while let Some(piece) = pieces.try_next().await? {
        if bytes.len().saturating_add(piece.len()) > DATA_SET_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}
