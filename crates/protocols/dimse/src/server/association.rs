//! One association as acceptor: the states of PS3.8 §9.2 from the connection to its end. Messages
//! are put together in `message.rs`.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{Duration, sleep, timeout};
use uuid::Uuid;

use super::handler::{AbortCause, Admission, AssociationEnd, AssociationHandler, EndReason};
use super::message::Messages;
use super::{Came, ServerConfig, Shared, elsewhere};
use crate::association::{AssociationInfo, AssociationRequest, sendable_length};
use crate::negotiation;
use crate::pdu::{Abort, AssociateRequest, PduType, RELEASE_RP, Rejection, UserInformation, pdvs};
use crate::stream::Stream;
use crate::transport::{Connection, RawPdu, ReadError, WriteError};

/// How long a stopping server waits for the request of who has just connected, and for the next
/// message of an association that is between two.
const STOPPING_IDLE: Duration = Duration::from_secs(1);

/// How an association's loop ends: what it tells, and the last PDU to send.
pub(super) struct End {
    pub(super) reason: EndReason,
    pub(super) last: Option<[u8; 10]>,
}

impl End {
    pub(super) fn abort(cause: AbortCause, abort: Abort) -> Self {
        Self {
            reason: EndReason::AbortedByUs(cause),
            last: Some(abort.encode()),
        }
    }

    fn lost() -> Self {
        Self {
            reason: EndReason::ConnectionLost,
            last: None,
        }
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        let cause = match error {
            ReadError::Timeout => AbortCause::Timeout,
            ReadError::Closed | ReadError::Lost | ReadError::TooLong | ReadError::Unrecognized => {
                AbortCause::InvalidPdu
            }
        };
        error
            .abort()
            .map_or_else(Self::lost, |abort| Self::abort(cause, abort))
    }
}

impl From<WriteError> for End {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Lost => Self::lost(),
            WriteError::Timeout => Self::abort(AbortCause::NotReading, Abort::NOT_SPECIFIED),
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn run(shared: &Shared, came: Came, peer: SocketAddr, id: Uuid) {
    let config = &shared.config;
    let carried = matches!(came, Came::Carried(_));
    let begun = async {
        let stream = open(shared, came).await?;
        let certificate = stream.peer_certificate();
        let mut connection =
            Connection::new(stream, config.max_pdu_length, config.pdu, config.send);
        let request = read_request(&mut connection, config).await;
        Some((connection, certificate, request))
    };
    let begun = tokio::select! {
        biased;
        begun = timeout(config.artim, begun) => begun,
        () = stopping_idle(shared) => return,
    };
    let (mut connection, certificate, asked, request) = match begun {
        Ok(Some((connection, certificate, Ok((asked, request))))) => {
            (connection, certificate, asked, request)
        }
        Ok(Some((connection, _, Err(error)))) => {
            count_refusal("not_dicom");
            shared.acceptor.refused(peer, None);
            if let Some(abort) = error {
                close(shared, connection, &abort.encode()).await;
            }
            return;
        }
        Ok(None) => {
            count_refusal("no_tls");
            tracing::info!("no TLS handshake");
            shared.acceptor.refused(peer, None);
            return;
        }
        Err(_) => {
            // State 2, ARTIM expired: close without a word (PS3.8 AA-2).
            count_refusal("silent");
            shared.acceptor.refused(peer, None);
            return;
        }
    };
    let described = AssociationRequest {
        id,
        peer,
        certificate,
        carried,
        called_ae_title: request.called_ae_title(),
        calling_ae_title: request.calling_ae_title(),
        contexts: request.contexts.clone(),
        implementation_class_uid: request.user.implementation_class_uid.clone(),
        implementation_version_name: request.user.implementation_version_name.clone(),
    };
    let place = shared.associations.try_acquire();
    let admitted = match (&place, check(&request)) {
        (_, Err(rejection)) => Err(rejection),
        (Err(_), Ok(())) => Err(Rejection::LOCAL_LIMIT_EXCEEDED),
        (Ok(_), Ok(())) => shared.acceptor.admit(&described).await,
    };
    let handler = match admitted {
        Ok(Admission::Served(handler)) => handler,
        Ok(Admission::Elsewhere { way, held }) => {
            elsewhere::carry(shared, connection, &asked, way).await;
            drop((held, place));
            return;
        }
        Err(rejection) => {
            count_refusal("rejected");
            tracing::info!(
                called = described.called_ae_title, calling = described.calling_ae_title,
                %rejection, "association rejected"
            );
            shared.acceptor.refused(peer, Some(rejection));
            close(shared, connection, &rejection.encode()).await;
            return;
        }
    };
    let last = establish(
        shared,
        &mut connection,
        &request,
        described,
        handler.as_ref(),
    )
    .await;
    drop(place);
    if let Some(last) = last {
        close(shared, connection, &last).await;
    }
}

/// The bytes of the connection, after the handshake where there is TLS; nothing when that failed.
async fn open(shared: &Shared, came: Came) -> Option<Stream> {
    let stream = match came {
        Came::Here(stream) => stream,
        Came::Carried(carried) => {
            return Some(Stream::Carried(carried.stream, carried.certificate));
        }
    };
    let Some(tls) = &shared.config.tls else {
        return Some(Stream::plain(stream));
    };
    let tls = Arc::clone(&tls.borrow());
    Stream::accepted(stream, tls).await.ok()
}

/// Sends the last PDU and waits for the peer to close: ARTIM, cut short when the server stops.
async fn close(shared: &Shared, connection: Connection, last: &[u8]) {
    tokio::select! {
        () = connection.finish(last, shared.config.artim) => {}
        () = stopping_idle(shared) => {}
    }
}

/// Over when the server has been stopping for a while.
async fn stopping_idle(shared: &Shared) {
    shared.stopping.cancelled().await;
    sleep(STOPPING_IDLE).await;
}

/// Counts an association as open until dropped, also by a panic.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::gauge!("hilum_dimse_associations").increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("hilum_dimse_associations").decrement(1.0);
    }
}

/// The A-ASSOCIATE-RQ, as it came and as it is read, or the abort that answers what came instead (none when nothing can).
async fn read_request(
    connection: &mut Connection,
    config: &ServerConfig,
) -> Result<(RawPdu, AssociateRequest), Option<Abort>> {
    let pdu = connection
        .read(config.artim)
        .await
        .map_err(ReadError::abort)?;
    match pdu.kind {
        PduType::AssociateRq => {
            let request = AssociateRequest::decode(&pdu.body);
            let request = request.map_err(|_| Some(Abort::INVALID_PARAMETER))?;
            Ok((pdu, request))
        }
        PduType::Abort => Err(None),
        _ => Err(Some(Abort::UNEXPECTED_PDU)),
    }
}

fn check(request: &AssociateRequest) -> Result<(), Rejection> {
    if !request.speaks_version_1() {
        return Err(Rejection::PROTOCOL_VERSION);
    }
    if request.application_context != crate::pdu::APPLICATION_CONTEXT {
        return Err(Rejection::APPLICATION_CONTEXT);
    }
    Ok(())
}

/// Accepts the request and serves the association; gives the last PDU to send.
async fn establish(
    shared: &Shared,
    connection: &mut Connection,
    request: &AssociateRequest,
    described: AssociationRequest,
    handler: &dyn AssociationHandler,
) -> Option<[u8; 10]> {
    let config = &shared.config;
    let (contexts, results) = negotiation::negotiate(&described.contexts, |context| {
        shared.acceptor.answer(context)
    });
    let roles = negotiation::answer_roles(&request.user.roles, &contexts);
    let info = AssociationInfo {
        id: described.id,
        peer: described.peer,
        called_ae_title: described.called_ae_title,
        calling_ae_title: described.calling_ae_title,
        contexts,
        implementation_class_uid: described.implementation_class_uid,
        implementation_version_name: described.implementation_version_name,
        peer_max_pdu_length: sendable_length(request.user.max_pdu_length),
    };
    let user = UserInformation {
        max_pdu_length: config.max_pdu_length,
        implementation_class_uid: config.implementation.class_uid.clone(),
        implementation_version_name: config.implementation.version_name.clone(),
        roles,
    };
    let open = Open::new();
    tracing::info!(
        called = info.called_ae_title,
        calling = info.calling_ae_title,
        implementation = info.implementation_version_name,
        contexts = info.contexts.len(),
        "association opened"
    );
    handler.opened(&info).await;
    let mut messages = Messages::new(&info, handler);
    let acceptance = request.accept(results, user).encode();
    let end = match connection.send(&acceptance).await {
        Ok(()) => tokio::select! {
            biased;
            () = shared.abort.cancelled() => {
                End::abort(AbortCause::Shutdown, Abort::NOT_SPECIFIED)
            }
            end = exchange(shared, connection, &mut messages) => end,
        },
        Err(error) => error.into(),
    };
    let counts = messages.into_counts();
    drop(open);
    metrics::counter!("hilum_dimse_associations_total", "end" => end.reason.name()).increment(1);
    tracing::info!(
        end = end.reason.name(),
        cause = cause(end.reason),
        stored = counts.stored,
        failed = counts.failed,
        incomplete = counts.incomplete,
        bytes = counts.bytes,
        "association ended"
    );
    handler
        .closed(
            &info,
            AssociationEnd {
                reason: end.reason,
                counts,
            },
        )
        .await;
    end.last
}

fn cause(reason: EndReason) -> Option<String> {
    match reason {
        EndReason::AbortedByUs(cause) => Some(cause.to_string()),
        EndReason::Released | EndReason::AbortedByPeer(_) | EndReason::ConnectionLost => None,
    }
}

/// State 6, data transfer, until something ends it.
async fn exchange(
    shared: &Shared,
    connection: &mut Connection,
    messages: &mut Messages<'_>,
) -> End {
    loop {
        let pdu = match next_pdu(shared, connection, messages.is_within()).await {
            Ok(pdu) => pdu,
            Err(end) => return end,
        };
        match pdu.kind {
            PduType::PDataTf => {
                for pdv in pdvs(pdu.body) {
                    let Ok(pdv) = pdv else {
                        return End::abort(AbortCause::InvalidPdu, Abort::INVALID_PARAMETER);
                    };
                    if let Err(end) = messages.take(pdv, connection).await {
                        return end;
                    }
                }
            }
            PduType::ReleaseRq => {
                return End {
                    reason: EndReason::Released,
                    last: Some(RELEASE_RP),
                };
            }
            PduType::Abort => {
                let abort = Abort::decode(&pdu.body);
                return End {
                    reason: EndReason::AbortedByPeer(abort),
                    last: None,
                };
            }
            PduType::AssociateRq
            | PduType::AssociateAc
            | PduType::AssociateRj
            | PduType::ReleaseRp => {
                return End::abort(AbortCause::Unexpected, Abort::UNEXPECTED_PDU);
            }
        }
    }
}

async fn next_pdu(
    shared: &Shared,
    connection: &mut Connection,
    within_message: bool,
) -> Result<RawPdu, End> {
    if within_message {
        return Ok(connection.read(shared.config.pdu).await?);
    }
    tokio::select! {
        biased;
        pdu = connection.read(shared.config.idle) => return Ok(pdu?),
        () = shared.stopping.cancelled() => {}
    }
    match connection.read(STOPPING_IDLE).await {
        Err(ReadError::Timeout) => Err(End::abort(AbortCause::Shutdown, Abort::NOT_SPECIFIED)),
        other => Ok(other?),
    }
}

fn count_refusal(outcome: &'static str) {
    metrics::counter!("hilum_dimse_associations_refused_total", "outcome" => outcome).increment(1);
}
