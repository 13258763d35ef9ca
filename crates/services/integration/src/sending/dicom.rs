//! Results to a DICOM node by C-STORE, over one association.

use futures::StreamExt as _;
use hilum_contracts::imaging::{DataSetStream, InstanceRef};
use hilum_dimse::{Client, ClientConfig, ClientError, ClientTls, Stage, Status, StoreOperation};
use hilum_platform::tls;
use rustls::pki_types::ServerName;

use super::{Failure, Sending};

/// A DICOM node.
pub(super) struct Node<'a> {
    pub(super) ae_title: &'a str,
    pub(super) address: &'a str,
    pub(super) calling_ae_title: &'a str,
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
        config.tls = self.tls(sending)?;
        Client::connect(self.address, config)
            .await
            .map_err(|error| failure(sending, &error))
    }

    /// How TLS is spoken to it, by its files as they are now.
    fn tls(&self, sending: &Sending<'_>) -> Result<Option<ClientTls>, Failure> {
        let Some(authorities) = &sending.destination().tls_ca else {
            return Ok(None);
        };
        let host = self
            .address
            .rsplit_once(':')
            .map_or(self.address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let name = &sending.destination().name;
            Failure::Lasting(format!(
                "{name} has no address that a certificate can be of."
            ))
        })?;
        let config = tls::client(Some(authorities), sending.own_tls());
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
        .map_err(|error| failure(sending, &error))?;
    judge(sending, response.status)
}

fn judge(sending: &Sending<'_>, status: Status) -> Result<(), Failure> {
    let name = &sending.destination().name;
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

fn failure(sending: &Sending<'_>, error: &ClientError) -> Failure {
    let reason = format!("{}: {error}.", sending.destination().name);
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
