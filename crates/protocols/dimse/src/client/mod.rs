//! Service class user: one association as requester, C-ECHO and C-STORE over it. Every wait has a
//! deadline; data sets are read from a stream and sent in PDUs that fit the peer. Owns no retries:
//! the caller decides, and [`ClientError::is_retryable`] helps.

mod error;
mod negotiate;
mod send;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;
use uuid::Uuid;

pub use error::{ClientError, Stage};

use crate::association::{AssociationInfo, Implementation, receivable_length};
use crate::command::{CommandSet, NO_DATA_SET, element, field};
use crate::negotiation::VERIFICATION;
use crate::pdu::{Abort, PduType, RELEASE_RP, RELEASE_RQ, pdvs, write_message};
use crate::status::Status;
use crate::stream::Stream;
use crate::transport::Connection;

/// How to ask for an association.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// AE title of the peer, 1 to 16 characters.
    pub called_ae_title: String,
    /// Our AE title, 1 to 16 characters.
    pub calling_ae_title: String,
    /// SOP class and transfer syntaxes of each context to propose, at most 128. A context for each
    /// transfer syntax lets the peer take several.
    pub contexts: Vec<(String, Vec<String>)>,
    /// Longest P-DATA-TF taken, in bytes, 4 KiB to 16 MiB.
    pub max_pdu_length: u32,
    /// To connect, and again for a TLS handshake.
    pub connect: Duration,
    /// From A-ASSOCIATE-RQ to its answer, and from A-RELEASE-RQ to its answer.
    pub artim: Duration,
    /// For each PDU sent, and for each chunk of a data set's stream.
    pub send: Duration,
    /// For a DIMSE response, from the last byte sent.
    pub response: Duration,
    /// Sent in A-ASSOCIATE-RQ.
    pub implementation: Implementation,
    /// Correlation id of the association.
    pub id: Uuid,
    /// How TLS is spoken; none: in clear.
    pub tls: Option<ClientTls>,
}

/// How TLS is spoken to a server.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// Whom to trust, and what to show.
    pub config: Arc<rustls::ClientConfig>,
    /// Whom the server's certificate must be of.
    pub name: ServerName<'static>,
}

impl ClientConfig {
    /// Proposes nothing yet; deadlines of half a minute, two for a response.
    #[must_use]
    pub fn new(called_ae_title: &str, calling_ae_title: &str) -> Self {
        Self {
            called_ae_title: called_ae_title.to_owned(),
            calling_ae_title: calling_ae_title.to_owned(),
            contexts: Vec::new(),
            max_pdu_length: 64 * 1024,
            connect: Duration::from_secs(10),
            artim: Duration::from_secs(30),
            send: Duration::from_secs(30),
            response: Duration::from_secs(120),
            implementation: Implementation::default(),
            id: Uuid::new_v4(),
            tls: None,
        }
    }

    /// The same with another proposed context.
    #[must_use]
    pub fn propose(mut self, abstract_syntax: &str, transfer_syntaxes: &[&str]) -> Self {
        let syntaxes = transfer_syntaxes
            .iter()
            .map(|uid| (*uid).to_owned())
            .collect();
        self.contexts.push((abstract_syntax.to_owned(), syntaxes));
        self
    }
}

/// One C-STORE to perform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOperation {
    /// SOP Class UID of the instance.
    pub sop_class_uid: String,
    /// Its SOP Instance UID.
    pub sop_instance_uid: String,
    /// The transfer syntax that its data set is in.
    pub transfer_syntax_uid: String,
}

/// A DIMSE response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: Status,
    /// Its error comment, as the peer wrote it: it may tell of a patient, so it never goes to logs.
    pub comment: Option<String>,
}

/// An association as requester. Dropped without [`Client::release`], it closes the connection,
/// which the peer takes for an abort.
pub struct Client {
    connection: Connection,
    info: AssociationInfo,
    config: ClientConfig,
    next_message_id: u16,
    /// False while an operation is between its first and last byte, and after a failure.
    usable: bool,
    scratch: BytesMut,
}

impl Client {
    /// Connects and negotiates.
    pub async fn connect(
        address: impl ToSocketAddrs,
        config: ClientConfig,
    ) -> Result<Self, ClientError> {
        let stream = timeout(config.connect, TcpStream::connect(address))
            .await
            .map_err(|_| ClientError::Timeout(Stage::Connecting))?
            .map_err(ClientError::Connect)?;
        Self::over(stream, config).await
    }

    /// Negotiates over a connection that is already there.
    pub async fn over(stream: TcpStream, mut config: ClientConfig) -> Result<Self, ClientError> {
        config.max_pdu_length = receivable_length(config.max_pdu_length);
        let peer = stream.peer_addr().map_err(ClientError::Connect)?;
        let stream = match config.tls.clone() {
            None => Stream::plain(stream),
            Some(tls) => timeout(
                config.connect,
                Stream::connected(stream, tls.config, tls.name),
            )
            .await
            .map_err(|_| ClientError::Timeout(Stage::Connecting))?
            .map_err(ClientError::Connect)?,
        };
        let mut connection =
            Connection::new(stream, config.max_pdu_length, config.artim, config.send);
        let info = negotiate::negotiate(&mut connection, &config, peer).await?;
        tracing::debug!(id = %info.id, contexts = info.contexts.len(), "association opened");
        Ok(Self {
            connection,
            info,
            config,
            next_message_id: 1,
            usable: true,
            scratch: BytesMut::new(),
        })
    }

    /// The association.
    #[must_use]
    pub fn association(&self) -> &AssociationInfo {
        &self.info
    }

    /// The accepted context for this SOP class in this transfer syntax.
    #[must_use]
    pub fn accepts(&self, sop_class_uid: &str, transfer_syntax_uid: &str) -> bool {
        self.context_for(sop_class_uid, Some(transfer_syntax_uid))
            .is_ok()
    }

    fn context_for(&self, class: &str, syntax: Option<&str>) -> Result<u8, ClientError> {
        let contexts = &self.info.contexts;
        contexts
            .iter()
            .find(|context| {
                context.abstract_syntax == class
                    && syntax.is_none_or(|syntax| context.transfer_syntax == syntax)
            })
            .map(|context| context.id)
            .ok_or(ClientError::NoPresentationContext)
    }

    /// Performs a C-ECHO (PS3.7 §9.1.5).
    pub async fn c_echo(&mut self) -> Result<Response, ClientError> {
        let context_id = self.context_for(VERIFICATION, None)?;
        self.begin()?;
        let command = self
            .request(field::C_ECHO_RQ, VERIFICATION)
            .with_us(element::DATA_SET_TYPE, NO_DATA_SET);
        let outcome = self.perform(context_id, &command).await;
        self.end(outcome).await
    }

    /// Performs a C-STORE (PS3.7 §9.1.1) of the data set that `data` yields, without file meta
    /// information and in the operation's transfer syntax. After an error other than
    /// [`ClientError::NoPresentationContext`] and [`ClientError::Invalid`] the association is gone.
    pub async fn c_store<S>(
        &mut self,
        operation: &StoreOperation,
        data: S,
    ) -> Result<Response, ClientError>
    where
        S: futures::Stream<Item = std::io::Result<Bytes>> + Send,
    {
        let class = &operation.sop_class_uid;
        let context_id = self.context_for(class, Some(&operation.transfer_syntax_uid))?;
        negotiate::check_uid(&operation.sop_instance_uid)?;
        self.begin()?;
        let command = self
            .request(field::C_STORE_RQ, class)
            .with_us(element::PRIORITY, 0)
            .with_us(element::DATA_SET_TYPE, 1)
            .with_uid(
                element::AFFECTED_SOP_INSTANCE_UID,
                &operation.sop_instance_uid,
            );
        let outcome = self.perform_store(context_id, &command, data).await;
        self.end(outcome).await
    }

    /// Ends the association in order (PS3.8 §7.2).
    pub async fn release(mut self) -> Result<(), ClientError> {
        self.begin()?;
        let sent = self.connection.send(&RELEASE_RQ).await;
        sent.map_err(|error| ClientError::write(error, Stage::Releasing))?;
        loop {
            let read = self.connection.read(self.config.artim).await;
            let pdu = read.map_err(|error| ClientError::read(error, Stage::Releasing))?;
            match pdu.kind {
                PduType::ReleaseRp => {
                    self.connection.say_goodbye(self.config.send).await;
                    return Ok(());
                }
                PduType::Abort => return Err(ClientError::Aborted(Abort::decode(&pdu.body))),
                // Release collision (PS3.8 §9.2.3, AR-8): the requester answers first.
                PduType::ReleaseRq => {
                    let sent = self.connection.send(&RELEASE_RP).await;
                    sent.map_err(|error| ClientError::write(error, Stage::Releasing))?;
                }
                PduType::PDataTf => {}
                PduType::AssociateRq | PduType::AssociateAc | PduType::AssociateRj => {
                    return Err(ClientError::Protocol(
                        "an A-ASSOCIATE PDU in an association",
                    ));
                }
            }
        }
    }

    /// Ends the association at once (PS3.8 §7.3).
    pub async fn abort(self) {
        self.connection
            .finish(&Abort::USER.encode(), self.config.artim)
            .await;
    }

    fn begin(&mut self) -> Result<(), ClientError> {
        if std::mem::replace(&mut self.usable, false) {
            Ok(())
        } else {
            Err(ClientError::Unusable)
        }
    }

    /// After an operation: usable again, or aborted where the peer may still listen.
    async fn end<T>(&mut self, outcome: Result<T, ClientError>) -> Result<T, ClientError> {
        match &outcome {
            Ok(_) => self.usable = true,
            Err(ClientError::Aborted(_) | ClientError::ConnectionLost) => {}
            Err(_) => {
                let _ = self.connection.send(&Abort::USER.encode()).await;
            }
        }
        outcome
    }

    fn request(&mut self, operation: u16, class: &str) -> CommandSet {
        let id = self.next_message_id;
        self.next_message_id = id.checked_add(1).unwrap_or(1);
        CommandSet::default()
            .with_uid(element::AFFECTED_SOP_CLASS_UID, class)
            .with_us(element::COMMAND_FIELD, operation)
            .with_us(element::MESSAGE_ID, id)
    }

    async fn perform(
        &mut self,
        context_id: u8,
        command: &CommandSet,
    ) -> Result<Response, ClientError> {
        self.send_command(context_id, command).await?;
        self.response(command).await
    }

    async fn send_command(
        &mut self,
        context_id: u8,
        command: &CommandSet,
    ) -> Result<(), ClientError> {
        self.scratch.clear();
        let limit = self.info.peer_max_pdu_length;
        write_message(
            &mut self.scratch,
            context_id,
            true,
            &command.encode(),
            limit,
        );
        let sent = self.connection.send(&self.scratch).await;
        sent.map_err(|error| ClientError::write(error, Stage::Sending))
    }

    /// The response to `request`.
    async fn response(&mut self, request: &CommandSet) -> Result<Response, ClientError> {
        let mut bytes = BytesMut::new();
        loop {
            let read = self.connection.read(self.config.response).await;
            let pdu = read.map_err(|error| ClientError::read(error, Stage::Waiting))?;
            match pdu.kind {
                PduType::PDataTf => {}
                PduType::Abort => return Err(ClientError::Aborted(Abort::decode(&pdu.body))),
                _ => return Err(ClientError::Protocol("no response but another PDU")),
            }
            for pdv in pdvs(pdu.body) {
                let pdv = pdv.map_err(|_| ClientError::Protocol("a malformed P-DATA-TF"))?;
                if !pdv.is_command
                    || bytes.len() + pdv.data.len() > crate::limits::MAX_COMMAND_LENGTH
                {
                    return Err(ClientError::Protocol("no response but a data set"));
                }
                bytes.extend_from_slice(&pdv.data);
                if pdv.is_last {
                    return read_response(request, bytes.freeze());
                }
            }
        }
    }
}

fn read_response(request: &CommandSet, bytes: Bytes) -> Result<Response, ClientError> {
    let response = CommandSet::decode(bytes)
        .map_err(|_| ClientError::Protocol("a response that can't be read"))?;
    let expected = request
        .us(element::COMMAND_FIELD)
        .map(|operation| operation | field::RESPONSE);
    let answers = request.us(element::MESSAGE_ID);
    if response.us(element::COMMAND_FIELD) != expected
        || response.us(element::MESSAGE_ID_BEING_RESPONDED_TO) != answers
    {
        return Err(ClientError::Protocol("a response to something else"));
    }
    let status = response
        .us(element::STATUS)
        .ok_or(ClientError::Protocol("a response without status"))?;
    let comment = response
        .text(element::ERROR_COMMENT)
        .filter(|comment| !comment.is_empty());
    Ok(Response {
        status: Status::new(status),
        comment,
    })
}
