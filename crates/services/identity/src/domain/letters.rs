//! The texts of mails: plain, short, and without a word about any patient.

/// A mail's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) body: String,
}

fn letter(subject: impl Into<String>, paragraphs: &[&str]) -> Letter {
    Letter {
        subject: subject.into(),
        body: format!("{}\n\n-- \nHilum\n", paragraphs.join("\n\n")),
    }
}

pub(crate) fn reset(link: &str) -> Letter {
    letter(
        "Another password for Hilum",
        &[
            "Somebody, probably you, asked for another password. This link lets you choose one. \
             It works once, for 30 minutes:",
            link,
            "If it was not you, do nothing: your password stays as it is.",
        ],
    )
}

pub(crate) fn verify(link: &str) -> Letter {
    letter(
        "Your address at Hilum",
        &[
            "Open this link to show that this address is yours. It works for two days:",
            link,
            "If you made no account at Hilum, do nothing.",
        ],
    )
}

pub(crate) fn has_account(url: &str) -> Letter {
    letter(
        "You have an account at Hilum",
        &[
            "Somebody, probably you, wanted to use this address for an account. It has one: \
             sign in, or ask for another password:",
            url,
            "If it was not you, do nothing.",
        ],
    )
}

pub(crate) fn password_changed(url: &str) -> Letter {
    letter(
        "Your password at Hilum was changed",
        &[
            "Your password was changed, and every other session was ended.",
            "If it was not you, choose another one at once and tell your administrator:",
            url,
        ],
    )
}

pub(crate) fn new_address(link: &str) -> Letter {
    letter(
        "Your new address at Hilum",
        &[
            "Somebody, probably you, wants to sign in to Hilum with this address from now on. \
             Open this link to show that it is yours. It works for two days:",
            link,
            "If it was not you, do nothing.",
        ],
    )
}

pub(crate) fn address_asked(url: &str) -> Letter {
    letter(
        "Another address for your account at Hilum",
        &[
            "Somebody, probably you, asked to use another address for your account. It counts \
             once the link that was sent there is opened; then this one does not any more.",
            "If it was not you, choose another password at once, which also withdraws the \
             address, and tell your administrator:",
            url,
        ],
    )
}

pub(crate) fn address_changed(url: &str) -> Letter {
    letter(
        "Your address at Hilum was changed",
        &[
            "Your account has another address now, and every other session was ended. Messages \
             go there, and you sign in with it.",
            "If it was not you, tell your administrator at once:",
            url,
        ],
    )
}

pub(crate) fn invitation(organisation: &str, by: &str, role: &str, link: &str) -> Letter {
    let says = format!(
        "{by} invites you to {organisation} at Hilum, as {role}. This link takes the invitation. \
         It works for seven days:"
    );
    letter(
        format!("An invitation to {organisation}"),
        &[&says, link, "If you do not know them, do nothing."],
    )
}

pub(crate) fn break_glass(organisation: &str, url: &str) -> Letter {
    let says = format!(
        "Somebody took emergency access to images of {organisation}. Who it was and why stands \
         under \"Emergency access\"; please review it:"
    );
    letter(format!("Emergency access in {organisation}"), &[&says, url])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stands_on_a_line_of_its_own() {
        let letter = reset("https://hilum.example/#/reset/T");
        let mut lines = letter.body.lines();
        assert!(lines.any(|line| line == "https://hilum.example/#/reset/T"));
    }
}
