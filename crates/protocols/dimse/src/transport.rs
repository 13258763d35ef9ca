//! One connection, in clear or over TLS, as a source and sink of PDUs (PS3.8 §9.1). Owns buffering and
//! deadlines; knows nothing of association state.
//!
//! Each PDU leaves in one write, with TCP_NODELAY set; TCP_QUICKACK is armed again after every read,
//! for Linux drops it. Real modalities write a PDU in several small pieces under Nagle's algorithm,
//! and each piece would otherwise wait 40 ms for a delayed acknowledgement.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits::{MAX_ASSOCIATE_LENGTH, MAX_LINGER_BYTES, READ_CHUNK};
use crate::pdu::{Abort, HEADER_LENGTH, PduType};
use crate::stream::Stream;

/// A PDU as it came: its type and all after the header.
#[derive(Debug)]
pub(crate) struct RawPdu {
    pub(crate) kind: PduType,
    pub(crate) body: Bytes,
}

/// Why no PDU came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the connection was closed")]
    Closed,
    #[error("the connection was lost")]
    Lost,
    #[error("the peer did not send in time")]
    Timeout,
    #[error("a PDU is longer than announced")]
    TooLong,
    #[error("a PDU has an unknown type")]
    Unrecognized,
}

impl ReadError {
    /// The A-ABORT that answers it, where the connection can still carry one.
    pub(crate) fn abort(self) -> Option<Abort> {
        match self {
            Self::Closed | Self::Lost => None,
            Self::Timeout => Some(Abort::NOT_SPECIFIED),
            Self::TooLong => Some(Abort::INVALID_PARAMETER),
            Self::Unrecognized => Some(Abort::UNRECOGNIZED_PDU),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the connection was lost")]
    Lost,
    #[error("the peer did not read in time")]
    Timeout,
}

pub(crate) struct Connection {
    stream: Stream,
    buffer: BytesMut,
    /// When the PDU whose first bytes are in the buffer must be whole.
    pdu_deadline: Option<Instant>,
    /// Longest P-DATA-TF announced to the peer.
    max_pdu_length: u32,
    pdu_timeout: Duration,
    send_timeout: Duration,
}

impl Connection {
    pub(crate) fn new(
        stream: Stream,
        max_pdu_length: u32,
        pdu_timeout: Duration,
        send_timeout: Duration,
    ) -> Self {
        stream.quick_ack();
        Self {
            stream,
            buffer: BytesMut::new(),
            pdu_deadline: None,
            max_pdu_length,
            pdu_timeout,
            send_timeout,
        }
    }

    /// Its bytes from here on: those that came already, and the stream.
    pub(crate) fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.buffer)
    }

    /// The next PDU. `wait` bounds the time to its first byte; once begun it must be whole within
    /// the PDU time-out, so that a slow trickle can't hold the association. May be dropped at any
    /// await without losing bytes.
    pub(crate) async fn read(&mut self, wait: Duration) -> Result<RawPdu, ReadError> {
        let first_byte = Instant::now() + wait;
        loop {
            let missing = match self.take()? {
                Ok(pdu) => return Ok(pdu),
                Err(missing) => missing,
            };
            self.buffer.reserve(missing);
            let deadline = match (self.buffer.is_empty(), self.pdu_deadline) {
                (true, _) => first_byte,
                (false, Some(deadline)) => deadline,
                (false, None) => *self.pdu_deadline.insert(Instant::now() + self.pdu_timeout),
            };
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await;
            match read {
                Err(_) => return Err(ReadError::Timeout),
                Ok(Err(_)) => return Err(ReadError::Lost),
                Ok(Ok(0)) if self.buffer.is_empty() => return Err(ReadError::Closed),
                Ok(Ok(0)) => return Err(ReadError::Lost),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// A PDU that is already here, without waiting. Used while sending, to notice an A-ABORT.
    pub(crate) fn try_read(&mut self) -> Result<Option<RawPdu>, ReadError> {
        loop {
            match self.take()? {
                Ok(pdu) => return Ok(Some(pdu)),
                Err(missing) => self.buffer.reserve(missing),
            }
            match self.stream.try_read(&mut self.buffer) {
                Ok(0) => return Err(ReadError::Lost),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(None),
                Err(_) => return Err(ReadError::Lost),
            }
        }
    }

    /// Takes a whole PDU from the buffer, or says how many bytes to make room for. The length is
    /// judged before anything is allocated for it.
    fn take(&mut self) -> Result<Result<RawPdu, usize>, ReadError> {
        let Some([kind, _, length @ ..]) = self.buffer.first_chunk::<HEADER_LENGTH>() else {
            return Ok(Err(READ_CHUNK));
        };
        let kind = PduType::from_byte(*kind).ok_or(ReadError::Unrecognized)?;
        let length = u32::from_be_bytes(*length);
        let limit = match kind {
            PduType::AssociateRq | PduType::AssociateAc => MAX_ASSOCIATE_LENGTH,
            PduType::PDataTf => self.max_pdu_length,
            _ => self.max_pdu_length.min(1024),
        };
        if length > limit {
            return Err(ReadError::TooLong);
        }
        let length = usize::try_from(length).map_err(|_| ReadError::TooLong)?;
        let missing = (HEADER_LENGTH + length).saturating_sub(self.buffer.len());
        if missing > 0 {
            // P-DATA is bounded by what we announced; the others grow as they come.
            let room = if kind == PduType::PDataTf {
                missing
            } else {
                missing.min(READ_CHUNK)
            };
            return Ok(Err(room.max(READ_CHUNK / 4)));
        }
        let mut body = self.buffer.split_to(HEADER_LENGTH + length).freeze();
        body.advance(HEADER_LENGTH);
        self.pdu_deadline = None;
        Ok(Ok(RawPdu { kind, body }))
    }

    /// Sends bytes, in one write as far as the kernel takes them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        // TLS keeps what the kernel does not take at once; a flush sends it.
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(self.send_timeout, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(WriteError::Lost),
            Err(_) => Err(WriteError::Timeout),
        }
    }

    /// Sends a last PDU and waits for the peer to close, at most `artim` (PS3.8 §9.1.5), throwing
    /// away what it still sends. Closing at once could reset the connection before the PDU is read.
    pub(crate) async fn finish(mut self, last: &[u8], artim: Duration) {
        let _ = timeout(artim, async {
            if self.stream.write_all(last).await.is_err() || self.stream.flush().await.is_err() {
                return;
            }
            let mut thrown = 0;
            while thrown < MAX_LINGER_BYTES {
                self.buffer.clear();
                self.buffer.reserve(READ_CHUNK);
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => thrown += read,
                }
            }
            self.stream.say_goodbye().await;
        })
        .await;
    }

    /// After the peer's last PDU: ends TLS, so that the peer does not take the end for a cut
    /// (RFC 8446 §6.1).
    pub(crate) async fn say_goodbye(mut self, patience: Duration) {
        let _ = timeout(patience, self.stream.say_goodbye()).await;
    }
}
