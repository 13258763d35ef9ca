//! When an input set is believed complete, and why. The end of a STOW request
//! or the release of an association says that the sender is done; quiet
//! afterwards says that no other sender goes on. An abort says neither, and nor
//! does the end of a sender that was told to come back with something: what
//! arrived is kept and shown as incomplete until it is sent again or a person
//! accepts it.

use hilum_contracts::imaging::ReadyReason;

/// How a sender ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The association was released.
    Released,
    /// The STOW-RS request ended.
    StowEnded,
    /// The association was aborted, its connection was lost, this server stopped
    /// in the middle of it, or something was not taken and has to be sent again.
    Aborted,
    /// Nobody sent: a rejection note, or a person, changed which instances
    /// belong to the series.
    Changed,
}

impl Ending {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::StowEnded => "stow-ended",
            Self::Aborted => "aborted",
            Self::Changed => "changed",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [
            Self::Released,
            Self::StowEnded,
            Self::Aborted,
            Self::Changed,
        ]
        .into_iter()
        .find(|ending| ending.as_str() == text)
    }
}

/// A sender of the series. Times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    /// `None` while it is still sending.
    pub(crate) ended: Option<(i64, Ending)>,
    /// The quiet time of its device.
    pub(crate) quiet_ms: i64,
}

/// What to make of an input set now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Somebody is still sending.
    Receiving,
    /// The last sender is done; look again at this time.
    QuietUntil(i64),
    /// Believed complete.
    Ready { reason: ReadyReason, quiet_ms: i64 },
    /// The last sender did not finish.
    Incomplete,
}

/// Judges an input set by its senders and by when its last instance came.
pub(crate) fn judge(senders: &[Sender], last_instance_at: i64, now: i64) -> Verdict {
    let mut last: Option<(i64, Ending, i64)> = None;
    for sender in senders {
        let Some((ended_at, ending)) = sender.ended else {
            return Verdict::Receiving;
        };
        if last.is_none_or(|(at, _, _)| ended_at >= at) {
            last = Some((ended_at, ending, sender.quiet_ms));
        }
    }
    let Some((ended_at, ending, quiet_ms)) = last else {
        return Verdict::Receiving;
    };
    let reason = match ending {
        Ending::Aborted => return Verdict::Incomplete,
        Ending::Released => ReadyReason::AssociationReleased,
        Ending::StowEnded => ReadyReason::StowEnded,
        Ending::Changed => ReadyReason::ContentChanged,
    };
    let quiet_until = ended_at.max(last_instance_at).saturating_add(quiet_ms);
    if now < quiet_until {
        Verdict::QuietUntil(quiet_until)
    } else {
        Verdict::Ready { reason, quiet_ms }
    }
}

/// Why an input set was considered complete, for people.
pub(crate) fn sentence(reason: ReadyReason, instances: u64, quiet_ms: i64) -> String {
    let images = if instances == 1 {
        "1 image".to_owned()
    } else {
        format!("{instances} images")
    };
    let quiet = format_seconds(quiet_ms);
    match reason {
        ReadyReason::AssociationReleased => format!(
            "Believed complete: the sender released its association, and nothing more came for \
             {quiet} ({images})."
        ),
        ReadyReason::StowEnded => format!(
            "Believed complete: the STOW-RS request ended, and nothing more came for {quiet} \
             ({images})."
        ),
        ReadyReason::ContentChanged => format!(
            "What belongs to the series was changed by a rejection note or a person; what is left \
             counts as complete as before ({images})."
        ),
        ReadyReason::AcceptedByPerson => format!("Accepted as it is by a person ({images})."),
    }
}

/// Why an input set is not complete, for people.
pub(crate) const INCOMPLETE: &str = "Not all of it came: the sender broke off before it was done, or \
    something that it sent could not be taken. Everything that was acknowledged is kept. Send the \
    series again, or accept it as it is.";

/// Why an imported input set waits, for people.
pub(crate) const IMPORTED: &str = "Imported from a folder: nothing says that the series is complete, \
    and no model was started. Accept it as it is to have models look at it.";

fn format_seconds(millis: i64) -> String {
    let (whole, rest) = (millis / 1000, millis % 1000);
    if rest == 0 {
        format!("{whole} s")
    } else {
        format!("{whole}.{} s", rest / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: i64 = 3_000;

    fn sender(ended: Option<(i64, Ending)>) -> Sender {
        Sender {
            ended,
            quiet_ms: QUIET,
        }
    }

    #[test]
    fn a_series_is_not_ready_while_anybody_sends() {
        let senders = [sender(Some((10, Ending::Released))), sender(None)];
        assert_eq!(judge(&senders, 10, 99_999), Verdict::Receiving);
    }

    #[test]
    fn quiet_is_counted_from_the_last_instance_or_the_release_whichever_is_later() {
        let senders = [sender(Some((1_000, Ending::Released)))];
        assert_eq!(judge(&senders, 2_000, 4_999), Verdict::QuietUntil(5_000));
        assert_eq!(
            judge(&senders, 500, 4_000),
            Verdict::Ready {
                reason: ReadyReason::AssociationReleased,
                quiet_ms: QUIET
            }
        );
    }

    #[test]
    fn an_abort_never_makes_a_series_ready() {
        let senders = [sender(Some((1_000, Ending::Aborted)))];
        assert_eq!(judge(&senders, 1_000, i64::MAX), Verdict::Incomplete);
    }

    #[test]
    fn sending_again_after_an_abort_does() {
        let senders = [
            sender(Some((1_000, Ending::Aborted))),
            sender(Some((9_000, Ending::StowEnded))),
        ];
        assert!(matches!(
            judge(&senders, 8_000, 12_000),
            Verdict::Ready { .. }
        ));
    }

    #[test]
    fn the_reason_names_the_quiet_time() {
        let text = sentence(ReadyReason::AssociationReleased, 20, 2_500);
        assert!(
            text.contains("2.5 s") && text.contains("20 images"),
            "{text}"
        );
    }
}
