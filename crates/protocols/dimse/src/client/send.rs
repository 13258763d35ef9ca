//! Sending a data set: gathers the stream's chunks into P-DATA-TF PDUs as long as the peer takes
//! them, each in one write.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::time::timeout;

use super::{Client, ClientError, Response, Stage};
use crate::command::CommandSet;
use crate::pdu::{Abort, PduType, max_fragment, put_pdata_header};
use crate::transport::RawPdu;

/// Header of a PDU with one value.
const PDATA_HEADER: usize = 12;

impl Client {
    pub(super) async fn perform_store<S>(
        &mut self,
        context_id: u8,
        command: &CommandSet,
        data: S,
    ) -> Result<Response, ClientError>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send,
    {
        self.send_command(context_id, command).await?;
        self.send_data_set(context_id, data).await?;
        self.response(command).await
    }

    /// The last fragment must be marked, so a full one is sent only when more bytes are there.
    async fn send_data_set<S>(&mut self, context_id: u8, data: S) -> Result<(), ClientError>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send,
    {
        let mut data = pin!(data);
        let limit = max_fragment(self.info.peer_max_pdu_length);
        let mut fragment = BytesMut::with_capacity(limit);
        loop {
            let next = timeout(self.config.send, data.next())
                .await
                .map_err(|_| ClientError::Timeout(Stage::Reading))?;
            let Some(chunk) = next else { break };
            let mut chunk = chunk.map_err(ClientError::Source)?;
            while !chunk.is_empty() {
                if fragment.len() == limit {
                    self.send_fragment(context_id, &fragment, false).await?;
                    fragment.clear();
                }
                let room = limit - fragment.len();
                fragment.extend_from_slice(&chunk.split_to(room.min(chunk.len())));
            }
        }
        self.send_fragment(context_id, &fragment, true).await
    }

    async fn send_fragment(
        &mut self,
        context_id: u8,
        fragment: &[u8],
        is_last: bool,
    ) -> Result<(), ClientError> {
        // An abort that came meanwhile says more than the broken pipe it would end in.
        let arrived = self.connection.try_read();
        if let Some(pdu) = arrived.map_err(|error| ClientError::read(error, Stage::Sending))? {
            return Err(early(&pdu));
        }
        self.scratch.clear();
        self.scratch.reserve(PDATA_HEADER + fragment.len());
        put_pdata_header(
            &mut self.scratch,
            context_id,
            false,
            is_last,
            fragment.len(),
        );
        self.scratch.extend_from_slice(fragment);
        match self.connection.send(&self.scratch).await {
            Ok(()) => Ok(()),
            Err(error) => match self.connection.try_read() {
                Ok(Some(pdu)) => Err(early(&pdu)),
                Ok(None) | Err(_) => Err(ClientError::write(error, Stage::Sending)),
            },
        }
    }
}

/// What came before the data set was sent.
fn early(pdu: &RawPdu) -> ClientError {
    match pdu.kind {
        PduType::Abort => ClientError::Aborted(Abort::decode(&pdu.body)),
        _ => ClientError::Protocol("an answer before the data set was complete"),
    }
}
