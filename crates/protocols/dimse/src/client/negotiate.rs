//! A-ASSOCIATE as requester.

use std::net::SocketAddr;

use tokio::time::timeout;

use super::{ClientConfig, ClientError, Stage};
use crate::association::{AssociationInfo, sendable_length};
use crate::limits::{MAX_PRESENTATION_CONTEXTS, MAX_UID_LENGTH};
use crate::negotiation::AcceptedContext;
use crate::pdu::{
    Abort, AssociateAccept, AssociateRequest, ContextResultReason, PduType, ProposedContext,
    Rejection, UserInformation,
};
use crate::transport::Connection;

/// Sends the request and reads the answer.
pub(super) async fn negotiate(
    connection: &mut Connection,
    config: &ClientConfig,
    peer: SocketAddr,
) -> Result<AssociationInfo, ClientError> {
    let contexts = proposed(config)?;
    let user = UserInformation {
        max_pdu_length: config.max_pdu_length,
        implementation_class_uid: config.implementation.class_uid.clone(),
        implementation_version_name: config.implementation.version_name.clone(),
        roles: Vec::new(),
    };
    let request = AssociateRequest::new(
        &config.called_ae_title,
        &config.calling_ae_title,
        contexts.clone(),
        user,
    );
    let sent = connection.send(&request.encode()).await;
    sent.map_err(|error| ClientError::write(error, Stage::Negotiating))?;
    let pdu = timeout(config.artim, connection.read(config.artim))
        .await
        .map_err(|_| ClientError::Timeout(Stage::Negotiating))?
        .map_err(|error| ClientError::read(error, Stage::Negotiating))?;
    let accept = match pdu.kind {
        PduType::AssociateAc => AssociateAccept::decode(&pdu.body)
            .map_err(|_| ClientError::Protocol("an A-ASSOCIATE-AC that can't be read"))?,
        PduType::AssociateRj => return Err(ClientError::Rejected(Rejection::decode(&pdu.body))),
        PduType::Abort => return Err(ClientError::Aborted(Abort::decode(&pdu.body))),
        _ => return Err(ClientError::Protocol("no answer to the A-ASSOCIATE-RQ")),
    };
    Ok(AssociationInfo {
        id: config.id,
        peer,
        called_ae_title: config.called_ae_title.clone(),
        calling_ae_title: config.calling_ae_title.clone(),
        contexts: accepted(&contexts, &accept),
        implementation_class_uid: accept.user.implementation_class_uid,
        implementation_version_name: accept.user.implementation_version_name,
        peer_max_pdu_length: sendable_length(accept.user.max_pdu_length),
    })
}

fn proposed(config: &ClientConfig) -> Result<Vec<ProposedContext>, ClientError> {
    for title in [&config.called_ae_title, &config.calling_ae_title] {
        let printable = title
            .bytes()
            .all(|b| (0x20..0x7f).contains(&b) && b != b'\\');
        if title.trim().is_empty() || title.len() > 16 || !printable {
            return Err(ClientError::Invalid(
                "an AE title has 1 to 16 ASCII characters",
            ));
        }
    }
    if config.contexts.is_empty() || config.contexts.len() > MAX_PRESENTATION_CONTEXTS {
        return Err(ClientError::Invalid(
            "an association has 1 to 128 presentation contexts",
        ));
    }
    let ids = (1..=u8::MAX).step_by(2);
    let contexts = ids
        .zip(&config.contexts)
        .map(|(id, (abstract_syntax, transfer_syntaxes))| {
            check_uid(abstract_syntax)?;
            transfer_syntaxes
                .iter()
                .try_for_each(|uid| check_uid(uid))?;
            Ok(ProposedContext {
                id,
                abstract_syntax: abstract_syntax.clone(),
                transfer_syntaxes: transfer_syntaxes.clone(),
            })
        });
    contexts.collect()
}

/// Refuses what can't be sent as a UID.
pub(super) fn check_uid(uid: &str) -> Result<(), ClientError> {
    let sound = !uid.is_empty()
        && uid.len() <= MAX_UID_LENGTH
        && uid.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if sound {
        Ok(())
    } else {
        Err(ClientError::Invalid("a UID has 1 to 64 characters"))
    }
}

/// Accepted contexts: those that we proposed, with a transfer syntax that we proposed for them.
fn accepted(proposed: &[ProposedContext], accept: &AssociateAccept) -> Vec<AcceptedContext> {
    let results = accept.contexts.iter();
    let accepted = results.filter_map(|result| {
        let context = proposed.iter().find(|context| context.id == result.id)?;
        let syntax = result.transfer_syntax.as_ref()?;
        let ours = context.transfer_syntaxes.contains(syntax);
        (result.reason == ContextResultReason::Acceptance && ours).then(|| AcceptedContext {
            id: context.id,
            abstract_syntax: context.abstract_syntax.clone(),
            transfer_syntax: syntax.clone(),
        })
    });
    accepted.collect()
}
