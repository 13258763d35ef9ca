//! Tests a destination: asks it what costs it nothing, and says what came of it.

use hilum_contracts::ids::TenantId;

use super::peer::Peer;
use super::{Failure, dicom, mail, stow, webhook};
use crate::IntegrationService;
use crate::domain::target::{Route, Target};
use crate::limits::TEST;

/// Tests a destination: what it answered, or why it can't be sent to.
pub(crate) async fn probe(
    service: &IntegrationService,
    tenant: &TenantId,
    target: &Target,
) -> Result<&'static str, String> {
    let peer = Peer::new(service, target);
    let asked = tokio::time::timeout(TEST, ask(&peer, tenant)).await;
    let answer = asked.unwrap_or_else(|_| {
        Err(Failure::Passing(format!(
            "{} did not answer within {} seconds.",
            target.name,
            TEST.as_secs()
        )))
    });
    answer.map_err(|failure| match failure {
        Failure::Passing(why) | Failure::Lasting(why) | Failure::Away(why) => why,
        Failure::Stopped => "Hilum is being stopped.".to_owned(),
    })
}

async fn ask(peer: &Peer<'_>, tenant: &TenantId) -> Result<&'static str, Failure> {
    match &peer.target.route {
        Route::Dicom {
            ae_title,
            address,
            calling_ae_title,
            tls,
        } => {
            let node = dicom::Node {
                peer,
                ae_title,
                address,
                calling_ae_title,
                tls: *tls,
            };
            node.test().await?;
            Ok("It took an association and answered C-ECHO.")
        }
        Route::Stow { url, credential } => {
            let credential = credential.as_ref();
            let server = stow::Server {
                peer,
                url,
                credential,
            };
            server.test().await?;
            Ok("It answered a STOW-RS request that stores nothing.")
        }
        Route::Webhook { url, secrets } => {
            let hook = webhook::Hook { peer, url, secrets };
            hook.test(tenant.as_str()).await?;
            Ok("It took a signed message of the type `test`.")
        }
        Route::Mail { to } => {
            mail::test(peer, tenant, to).await?;
            Ok("The mail server took a test mail for this address.")
        }
    }
}
