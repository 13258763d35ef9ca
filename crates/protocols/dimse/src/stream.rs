//! The bytes of a connection, in clear, over TLS or by way of another server. Owns the handshake and the socket's options; what
//! TLS agrees on and which certificates it takes is the owner's of its configuration.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, BytesMut};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::server::Duplex;

/// A connection's bytes.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// By way of another server, with the certificate that was shown there.
    Carried(Box<dyn Duplex>, Option<Vec<u8>>),
}

impl Stream {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        set_up(&stream);
        Self::Plain(stream)
    }

    /// Shakes hands as server. Unbounded in time: the caller's deadline holds.
    pub(crate) async fn accepted(stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<Self> {
        set_up(&stream);
        let stream = TlsAcceptor::from(tls).accept(stream).await?;
        Ok(Self::Tls(Box::new(stream.into())))
    }

    /// The same as client of a server that this is the name of.
    pub(crate) async fn connected(
        stream: TcpStream,
        tls: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        set_up(&stream);
        let stream = TlsConnector::from(tls).connect(name, stream).await?;
        Ok(Self::Tls(Box::new(stream.into())))
    }

    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Carried(..) => None,
        }
    }

    /// The certificate (DER) that the peer showed and proved the key of.
    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        let stream = match self {
            Self::Plain(_) => return None,
            Self::Tls(stream) => stream,
            Self::Carried(_, certificate) => return certificate.clone(),
        };
        let chain = stream.get_ref().1.peer_certificates()?;
        chain.first().map(|certificate| certificate.to_vec())
    }

    /// What is already here, at most the buffer's spare room, without waiting: `WouldBlock` when
    /// nothing is.
    pub(crate) fn try_read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if let Self::Plain(stream) = self {
            return stream.try_read_buf(buffer);
        }
        // The waker is nobody's: whoever waits for bytes asks again and leaves its own.
        let mut context = Context::from_waker(Waker::noop());
        let mut chunk = [0; TRIED];
        let room = buffer.capacity().saturating_sub(buffer.len()).min(TRIED);
        let mut read = ReadBuf::new(chunk.get_mut(..room).unwrap_or_default());
        match Pin::new(self).poll_read(&mut context, &mut read) {
            Poll::Ready(Ok(())) => {
                buffer.put_slice(read.filled());
                Ok(read.filled().len())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Ends TLS; a connection in clear has nothing to say.
    pub(crate) async fn say_goodbye(&mut self) {
        if let Self::Tls(stream) = self {
            let _ = stream.shutdown().await;
        }
    }

    /// Arms TCP_QUICKACK again: Linux drops it with a handshake, and with each read.
    pub(crate) fn quick_ack(&self) {
        if let Some(socket) = self.socket() {
            quick_ack(socket);
        }
    }
}

/// Bytes read in one try: while sending, only an A-ABORT is looked for.
const TRIED: usize = 4096;

/// Neither is needed for correctness, so that a platform without them still works.
fn set_up(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    quick_ack(stream);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn quick_ack(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn quick_ack(_: &TcpStream) {}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = match this {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Carried(stream, _) => Pin::new(stream).poll_read(context, buffer),
        };
        if read.is_ready() {
            this.quick_ack();
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Carried(stream, _) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Carried(stream, _) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Carried(stream, _) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
