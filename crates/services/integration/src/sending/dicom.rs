//! Results to a DICOM node by C-STORE, over one association.

use futures::StreamExt as _;
use hilum_contracts::imaging::{DataSetStream, InstanceRef};
use hilum_dimse::negotiation::VERIFICATION;
use hilum_dimse::{Client, ClientConfig, ClientError, ClientTls, Stage, Status, StoreOperation};
use hilum_platform::reach::is_out_of_reach;
use hilum_platform::tls;
use rustls::pki_types::ServerName;

use super::peer::Peer;
use super::{Failure, Sending};
use crate::limits::TEST;

/// The transfer syntax that everybody takes (PS3.5 §10.1).
const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";

/// A DICOM node.
pub(super) struct Node<'a> {
    pub(super) peer: &'a Peer<'a>,
    pub(super) ae_title: &'a str,
    pub(super) address: &'a str,
    pub(super) calling_ae_title: &'a str,
    pub(super) tls: bool,
}

impl Node<'_> {
    pub(super) async fn take(&self, sending: &Sending<'_>) -> Result<(), Failure> {
        let Some(first) = sending.unsent.first() else {
            return Ok(());
        };
        // Before anybody is called: who has the images may be away.
        let mut fetched = Some(sending.data_set(&first.instance).await?);
        let mut association = self.associate(sending).await?;
        for item in sending.unsent {
            if sending.stop.is_cancelled() {
                // Everything acknowledged so far is recorded.
                let _closing = association.release().await;
                return Err(Failure::Stopped);
            }
            let data = match fetched.take() {
                Some(data) => data,
                None => sending.data_set(&item.instance).await?,
            };
            send(sending, &mut association, &item.instance, data).await?;
            sending.acknowledged(item).await?;
        }
        // The instances are there, however the association ends.
        let _closing = association.release().await;
        Ok(())
    }

    async fn associate(&self, sending: &Sending<'_>) -> Result<Client, Failure> {
        let mut config = ClientConfig::new(self.ae_title, self.calling_ae_title);
        config.id = sending.job.correlation_id.0;
        let mut contexts: Vec<(&str, &str)> = sending
            .unsent
            .iter()
            .map(|item| {
                (
                    item.instance.sop_class_uid.as_str(),
                    item.instance.transfer_syntax_uid.as_str(),
                )
            })
            .collect();
        contexts.sort_unstable();
        contexts.dedup();
        for (sop_class, transfer_syntax) in contexts {
            config = config.propose(sop_class, &[transfer_syntax]);
        }
        self.connect(config).await
    }

    async fn connect(&self, mut config: ClientConfig) -> Result<Client, Failure> {
        let failed = |error| failure(self.peer, &error);
        config.tls = self.tls()?;
        let reach = &self.peer.target.reach;
        let found = tokio::time::timeout(config.connect, reach.look_up(self.address)).await;
        let found = found.map_err(|_| failed(ClientError::Timeout(Stage::Connecting)))?;
        let addresses = found.map_err(|error| match is_out_of_reach(&error) {
            true => self.peer.out_of_reach(),
            false => failed(ClientError::Connect(error)),
        })?;
        // What was looked at, and nothing that the name leads to since.
        let associated = Client::connect(&*addresses, config).await;
        associated.map_err(failed)
    }

    /// Verification (PS3.4 annex A): who answers it takes our associations.
    pub(super) async fn test(&self) -> Result<(), Failure> {
        let mut config = ClientConfig::new(self.ae_title, self.calling_ae_title);
        (config.connect, config.artim, config.response) = (TEST, TEST, TEST);
        config = config.propose(VERIFICATION, &[IMPLICIT_VR_LITTLE_ENDIAN]);
        let mut association = self.connect(config).await?;
        let answer = association.c_echo().await;
        let answer = answer.map_err(|error| failure(self.peer, &error))?;
        let _closing = association.release().await;
        judge(self.peer, answer.status)
    }

    /// How TLS is spoken to it, by its files as they are now.
    fn tls(&self) -> Result<Option<ClientTls>, Failure> {
        if !self.tls {
            return Ok(None);
        }
        let host = self
            .address
            .rsplit_once(':')
            .map_or(self.address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let name = self.peer.name();
            Failure::Lasting(format!(
                "{name} has no address that a certificate can be of."
            ))
        })?;
        let config = tls::client(self.peer.target.trusted(), self.peer.own_tls());
        let config = config.map_err(|error| Failure::Lasting(error.to_string()))?;
        Ok(Some(ClientTls { config, name }))
    }
}

async fn send(
    sending: &Sending<'_>,
    association: &mut Client,
    instance: &InstanceRef,
    data: DataSetStream,
) -> Result<(), Failure> {
    let operation = StoreOperation {
        sop_class_uid: instance.sop_class_uid.clone(),
        sop_instance_uid: instance.sop_instance_uid.clone(),
        transfer_syntax_uid: instance.transfer_syntax_uid.clone(),
    };
    let data = data.map(|piece| piece.map_err(std::io::Error::other));
    let response = association
        .c_store(&operation, data)
        .await
        .map_err(|error| failure(&sending.peer, &error))?;
    judge(&sending.peer, response.status)
}

fn judge(peer: &Peer<'_>, status: Status) -> Result<(), Failure> {
    let name = peer.name();
    if status.is_accepted() {
        Ok(())
    } else if status.is_retryable() {
        Err(Failure::Passing(format!(
            "{name} could not take it now (status {status})."
        )))
    } else {
        Err(Failure::Lasting(format!(
            "{name} refused it (status {status}). Change its settings, then retry."
        )))
    }
}

fn failure(peer: &Peer<'_>, error: &ClientError) -> Failure {
    let reason = format!("{}: {error}.", peer.name());
    if matches!(
        error,
        ClientError::Source(_) | ClientError::Timeout(Stage::Reading)
    ) {
        return Failure::Away(reason);
    }
    // A rejection ends when somebody admits us over there, without a word to us.
    if error.is_retryable() || matches!(error, ClientError::Rejected(_)) {
        Failure::Passing(reason)
    } else {
        Failure::Lasting(reason)
    }
}
