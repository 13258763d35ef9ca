//! Tells people by mail that results are there, and where to look: whoever opens
//! the link signs in. It names no patient, for mail is read by many.

use hilum_platform::mail::{Letter, Unsent};

use super::{Failure, Sending};

/// Sends the mail; its Message-ID is the delivery's at each try, so that what is
/// sent twice shows once.
pub(super) async fn take(sending: &Sending<'_>, to: &str) -> Result<(), Failure> {
    let service = &sending.worker.service;
    let Some((mailer, public_url)) = &service.mail else {
        // The configuration is checked: it had a mail server when this was read.
        return Err(Failure::Lasting("No mail server is configured.".to_owned()));
    };
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
    let name = &sending.destination().name;
    match mailer.send(letter).await {
        Ok(()) => sending.told().await,
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
