//! The DICOM node that results are delivered to: it keeps count of what came,
//! and how often.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use hilum_dimse::{
    Acceptor, Admission, AssociationHandler, AssociationInfo, AssociationRequest, Rejection,
    Server, ServerConfig, StoreRequest, StoreSink, StoreStatus,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ledger::RESULTS;

/// Tag and VR of Study Instance UID (PS3.5 §7.1.2); its length follows.
const STUDY: &[u8] = b"\x20\x00\x0d\x00UI";

/// What came, by study.
pub(crate) type Came = BTreeMap<String, Results>;

/// What came of one study.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    /// SOP Instance UIDs, each with a hash of its data set for each time.
    pub(crate) instances: BTreeMap<String, Vec<u64>>,
    /// When all were there.
    pub(crate) whole: Option<Instant>,
}

#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Came>>);

impl Receiver {
    /// Takes everything from now on; where.
    pub(crate) async fn listen(&self) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = Server::new(ServerConfig::default(), Arc::new(self.clone()));
        tokio::spawn(server.serve(listener, CancellationToken::new()));
        Ok(address)
    }

    pub(crate) fn came(&self) -> MutexGuard<'_, Came> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Acceptor for Receiver {
    async fn admit(&self, _request: &AssociationRequest) -> Result<Admission, Rejection> {
        Ok(Admission::Served(Box::new(self.clone())))
    }
}

#[async_trait]
impl AssociationHandler for Receiver {
    async fn begin_store(
        &self,
        _association: &AssociationInfo,
        request: StoreRequest,
    ) -> Result<Box<dyn StoreSink>, StoreStatus> {
        Ok(Box::new(Taking {
            receiver: self.clone(),
            uid: request.sop_instance_uid,
            data: BytesMut::new(),
        }))
    }
}

struct Taking {
    receiver: Receiver,
    uid: String,
    data: BytesMut,
}

#[async_trait]
impl StoreSink for Taking {
    async fn write(&mut self, fragment: Bytes) -> Result<(), StoreStatus> {
        self.data.extend_from_slice(&fragment);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> StoreStatus {
        let data = self.data.freeze();
        let study = study_of(&data).unwrap_or_default();
        let mut came = self.receiver.came();
        let of = came.entry(study).or_default();
        let times = of.instances.entry(self.uid).or_default();
        times.push(hash_of(&data));
        if of.instances.len() >= RESULTS {
            of.whole.get_or_insert_with(Instant::now);
        }
        StoreStatus::SUCCESS
    }
}

fn hash_of(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    hasher.finish()
}

/// Study Instance UID of a data set in explicit little endian.
fn study_of(data: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(data, STUDY)? + STUDY.len();
    let length = data.get(at..at + 2)?;
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    let uid = data.get(at + 2..at + 2 + length)?;
    let text = std::str::from_utf8(uid).ok()?;
    Some(text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_of_which_study_a_data_set_is() {
        let data = b"\x08\x00\x18\x00UI\x04\x001.2\0\x20\x00\x0d\x00UI\x06\x001.2.3\0\x20\x00";
        assert_eq!(study_of(data).as_deref(), Some("1.2.3"));
        assert_eq!(study_of(&data[..20]), None);
    }
}
