//! Tells people by mail that results are there, and where to look: whoever opens
//! the link signs in. It names no patient, for mail is read by many.

use hilum_contracts::ids::TenantId;
use hilum_platform::mail::{Letter, Mailer, Unsent};

use super::peer::Peer;
use super::{Failure, Sending};

/// Sends the mail; its Message-ID is the delivery's at each try, so that what is
/// sent twice shows once.
pub(super) async fn take(sending: &Sending<'_>, to: &str) -> Result<(), Failure> {
    let (_, public_url) = mailer(&sending.peer)?;
    let link = format!("{public_url}/studies/{}", sending.begun.study_uid);
    let body = format!(
        "A model has results for a study of the organisation {}.\n\nThey are here, for who may see \
         them:\n{link}\n\nThis mail names no patient on purpose.\n",
        sending.scope.tenant()
    );
    let letter = Letter {
        to,
        subject: "Results in Hilum",
        body: &body,
        id: Some(&sending.job.subject),
    };
    send(&sending.peer, letter).await?;
    sending.told().await
}

/// Tells the same people that this is how they will be told.
pub(super) async fn test(peer: &Peer<'_>, tenant: &TenantId, to: &str) -> Result<(), Failure> {
    let body = format!(
        "An administrator of the organisation {tenant} tests whether results of models can be \
         told to this address. There is nothing to do.\n"
    );
    let letter = Letter {
        to,
        subject: "A test of Hilum",
        body: &body,
        id: None,
    };
    send(peer, letter).await
}

fn mailer<'p>(peer: &'p Peer<'_>) -> Result<&'p (Mailer, String), Failure> {
    let mail = peer.service.mail.as_ref();
    // A destination may be older than a configuration without one.
    mail.ok_or_else(|| Failure::Lasting("No mail server is configured.".to_owned()))
}

async fn send(peer: &Peer<'_>, letter: Letter<'_>) -> Result<(), Failure> {
    let (mailer, _) = mailer(peer)?;
    let name = peer.name();
    match mailer.send(letter).await {
        Ok(()) => Ok(()),
        Err(why @ (Unsent::NoAddress | Unsent::Refused)) => Err(Failure::Lasting(format!(
            "{name} can't be told by mail: {}. Change its settings, then retry.",
            why.text()
        ))),
        Err(why) => Err(Failure::Passing(format!(
            "{name} was not told by mail: {}.",
            why.text()
        ))),
    }
}
