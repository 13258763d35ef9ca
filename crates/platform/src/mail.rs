//! The way to a mail server (RFC 5321), over TLS unless it is on this machine.

use std::path::Path;

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters, TlsVersion};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::config::{Mail, MailTls};
use crate::limits::MAIL_TIMEOUT;

/// Sends mails. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// A text for one address.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The address.
    pub to: &'a str,
    /// Its subject.
    pub subject: &'a str,
    /// Its text.
    pub body: &'a str,
    /// What stays the same when it is sent twice, so that it shows once.
    pub id: Option<&'a str>,
}

/// Why a mail was not sent. The server's own words may quote an address: they
/// are not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The address is none for mail.
    NoAddress,
    /// The server refused it for good.
    Refused,
    /// The server did not answer in time.
    TimedOut,
    /// The server's TLS can't be trusted.
    Untrusted,
    /// The server could not be reached, or is busy.
    Unreachable,
}

impl Unsent {
    /// As a person reads it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoAddress => "its address is none for mail",
            Self::Refused => "the server refused it",
            Self::TimedOut => "the server did not answer in time",
            Self::Untrusted => "the server's TLS can't be trusted",
            Self::Unreachable => "the server could not be reached or is busy",
        }
    }
}

impl Mailer {
    /// Reads the password and builds the way; nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with the configuration, in words.
    pub fn new(mail: &Mail) -> Result<Self, String> {
        let wrong = |what: String| format!("configuration: mail: {what}");
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| wrong(format!("{}: {error}", path.display())))
        };
        let from = mail.from.parse();
        let from: Mailbox = from.map_err(|_| wrong("`from` is no address".to_owned()))?;
        let mut tls =
            TlsParameters::builder(mail.server.clone()).set_min_tls_version(TlsVersion::Tlsv12);
        if let Some(file) = &mail.ca_file {
            let certificate = Certificate::from_pem(&read(file)?);
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            tls = tls.add_root_certificate(certificate);
        }
        let tls = || tls.build_rustls().map_err(|error| wrong(error.to_string()));
        let tls = match mail.tls {
            MailTls::StartTls => Tls::Required(tls()?),
            MailTls::Wrapper => Tls::Wrapper(tls()?),
            MailTls::None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.server)
            .port(mail.port)
            .tls(tls)
            .timeout(Some(MAIL_TIMEOUT));
        if let (Some(user), Some(file)) = (&mail.user, &mail.password_file) {
            let password = String::from_utf8_lossy(&read(file)?).trim().to_owned();
            transport = transport.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self {
            transport: transport.build(),
            from,
        })
    }

    /// Sends a text. When this returns, the server has it.
    ///
    /// # Errors
    /// Why it has not.
    pub async fn send(&self, letter: Letter<'_>) -> Result<(), Unsent> {
        let to = letter.to.parse().map_err(|_| Unsent::NoAddress)?;
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            // Nobody's absence is answered to this (RFC 3834 §5).
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        if let Some(id) = letter.id {
            let domain = self.from.email.domain();
            message = message.message_id(Some(format!("<{id}@{domain}>")));
        }
        let message = message
            .body(letter.body.to_owned())
            .map_err(|_| Unsent::NoAddress)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(Unsent::Refused),
            Err(error) if error.is_timeout() => Err(Unsent::TimedOut),
            Err(error) if error.is_tls() => Err(Unsent::Untrusted),
            Err(_) => Err(Unsent::Unreachable),
        }
    }
}

#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
