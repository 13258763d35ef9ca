//! An association that another server serves: its bytes go there and come back.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::handler::Duplex;
use crate::limits::READ_CHUNK;
use crate::pdu::HEADER_LENGTH;
use crate::transport::{Connection, RawPdu};

/// The type of the PDU that asks for an association (PS3.8 §9.3.2).
const ASSOCIATE_RQ: u8 = 1;

/// Carries bytes both ways, from the A-ASSOCIATE-RQ on, until one side closes, both are silent for
/// longer than an association may be, or the server's grace is over.
pub(super) async fn carry(
    shared: &Shared,
    connection: Connection,
    asked: &RawPdu,
    way: Box<dyn Duplex>,
) {
    metrics::counter!("hilum_dimse_associations_carried_total").increment(1);
    let (requester, sent_on) = connection.into_parts();
    let mut first = Vec::with_capacity(HEADER_LENGTH + asked.body.len() + sent_on.len());
    first.extend([ASSOCIATE_RQ, 0]);
    let length = u32::try_from(asked.body.len()).unwrap_or(u32::MAX);
    first.extend(length.to_be_bytes());
    first.extend_from_slice(&asked.body);
    first.extend_from_slice(&sent_on);
    let heard = Heard::now();
    let (mut from_requester, mut to_requester) = tokio::io::split(requester);
    let (mut from_server, mut to_server) = tokio::io::split(way);
    let mut there = pin!(async {
        if to_server.write_all(&first).await.is_ok() {
            heard.copied(&mut from_requester, &mut to_server).await;
        }
    });
    let mut back = pin!(heard.copied(&mut from_server, &mut to_requester));
    let config = &shared.config;
    // The server there ends an association that is silent; this one only what is lost.
    let silence = config.idle.max(config.pdu) + config.send + config.artim;
    // Whichever closes first, the other one has as long as after any last PDU.
    tokio::select! {
        () = &mut there => drop(timeout(config.artim, back).await),
        () = &mut back => drop(timeout(config.artim, there).await),
        () = heard.nothing_for(silence) => tracing::info!("a carried association was silent for too long"),
        () = shared.abort.cancelled() => {}
    }
    tracing::info!("carried association ended");
}

/// When a byte came last, in either direction.
struct Heard(Mutex<Instant>);

impl Heard {
    fn now() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn at(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies until one side has ended, and tells the other so.
    async fn copied(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) {
        let mut chunk = vec![0; READ_CHUNK];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            *self.at() = Instant::now();
            let part = chunk.get(..read).unwrap_or_default();
            if to.write_all(part).await.is_err() || to.flush().await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    }

    async fn nothing_for(&self, silence: Duration) {
        loop {
            let until = *self.at() + silence;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}
