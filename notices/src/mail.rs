//! Notices as mails, by SMTP (RFC 5321) over TLS.

use crate::{Envelope, Letter, Trouble};
use audit::event::Outcome;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Category, Code, Severity};
use lettre::transport::smtp::{self, AsyncSmtpTransport};
use lettre::{AsyncTransport, Tokio1Executor};
use secret::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::timeout;

/// The longest address that SMTP carries (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const MAX_ADDRESS: usize = 254;

/// A person's mail address: ASCII, `local@domain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(lettre::Address);

/// Not a mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mail address is `local@domain`, at most {MAX_ADDRESS} ASCII characters")]
pub struct InvalidAddress;

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        // What a local part may hold between quotation marks, nobody's address has, and many a server mistakes.
        let plain = text.len() <= MAX_ADDRESS && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if plain { text.parse().map(Self).map_err(|_| InvalidAddress) } else { Err(InvalidAddress) }
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The server that takes mails, and how it is reached.
#[derive(Debug)]
pub struct Options {
    /// Its name, which its certificate must be for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What keeps others from reading along.
    pub security: Security,
    /// Who the broker is to the server.
    pub login: Option<Login>,
    /// `Name <local@domain>`, or the address alone.
    pub from: String,
    /// For one mail, from connecting to the server's last answer.
    pub timeout: Duration,
}

/// What keeps others from reading along. TLS is 1.2 or later; the only authorities to trust are these (PEM), the system's
/// where there are none.
#[derive(Debug)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls(Option<Vec<u8>>),
    /// STARTTLS (RFC 3207); a server without it gets no mail.
    StartTls(Option<Vec<u8>>),
    /// Nothing: allowed to a literal loopback address only.
    Plaintext,
}

/// Who the broker is to a server.
#[derive(Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Its password, UTF-8.
    pub password: Secret,
}

/// Why mails cannot be sent as configured.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The sender is no mailbox.
    #[error("`from` is not a mailbox: `Name <local@domain>`")]
    From,
    /// Passwords and mails would cross a network in clear.
    #[error("without TLS, mails go to a literal loopback address only")]
    Insecure,
    /// The password is not UTF-8.
    #[error("the password is not UTF-8")]
    Password,
    /// The authorities cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[source] smtp::Error),
}

/// A server that takes mails. Each is a connection of its own: they are few.
pub struct Mail {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    timeout: Duration,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Mail {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn new(options: &Options) -> Result<Self, Unusable> {
        let from: Mailbox = options.from.parse().map_err(|_| Unusable::From)?;
        let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&options.host)
            .port(options.port)
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .timeout(Some(options.timeout))
            .tls(tls(options)?);
        if let Some(login) = &options.login {
            server = server.credentials(credentials(login)?);
        }
        Ok(Self { server: server.build(), from, timeout: options.timeout })
    }

    /// Sends the notice once. `Ok` when the server has taken it; that it reaches the person, nobody can promise.
    ///
    /// # Errors
    /// [`Trouble`]; what an operator can repair counts as [`Trouble::Retry`].
    pub async fn send(&self, to: &Address, envelope: &Envelope) -> Result<(), Trouble> {
        let mail = self.mail(to, envelope);
        let sending = timeout(self.timeout, self.server.send(mail));
        let answer = sending.await.map_err(|_| Trouble::Retry { after: None })?.map_err(|error| trouble(&error))?;
        // What was injected before STARTTLS shifts all later answers by one: the last is then not the mail's own.
        if answer.code().severity == Severity::PositiveCompletion {
            Ok(())
        } else {
            Err(Trouble::Retry { after: None })
        }
    }

    fn mail(&self, to: &Address, envelope: &Envelope) -> Message {
        let Letter { subject, text } = Letter::of(envelope);
        // RFC 3834: answering machines do not answer.
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.0.clone()))
            .date(envelope.at.system_time())
            .message_id(Some(format!("<{}@{}>", envelope.id.simple(), self.from.email.domain())))
            .raw_header(automatic)
            .subject(subject)
            .singlepart(SinglePart::plain(text))
            .expect("invariant: it has a sender and a recipient")
    }
}

fn tls(options: &Options) -> Result<Tls, Unusable> {
    match &options.security {
        Security::Tls(ca) => Ok(Tls::Wrapper(parameters(options, ca.as_deref())?)),
        Security::StartTls(ca) => Ok(Tls::Required(parameters(options, ca.as_deref())?)),
        Security::Plaintext if options.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) => {
            Ok(Tls::None)
        }
        Security::Plaintext => Err(Unusable::Insecure),
    }
}

fn parameters(options: &Options, ca_pem: Option<&[u8]>) -> Result<TlsParameters, Unusable> {
    let mut parameters = TlsParameters::builder(options.host.clone());
    if let Some(pem) = ca_pem {
        let authorities = Certificate::from_pem(pem).map_err(Unusable::Tls)?;
        parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(authorities);
    }
    parameters.build().map_err(Unusable::Tls)
}

fn credentials(Login { user, password }: &Login) -> Result<Credentials, Unusable> {
    #[expect(clippy::disallowed_methods, reason = "the server is shown the password")]
    let password = str::from_utf8(password.expose()).map_err(|_| Unusable::Password)?;
    Ok(Credentials::new(user.clone(), password.to_owned()))
}

/// Only what says that this very mail or recipient is not wanted may cost a notice its delivery.
fn trouble(error: &smtp::Error) -> Trouble {
    let code = error.status();
    // Servers quote addresses in their answers: of those, the number must do.
    let own = (code.is_none() && !error.is_response()).then(|| error.to_string());
    tracing::warn!(status = code.map(u16::from), error = own, "a mail was not taken");
    match code {
        Some(code @ Code { severity: Severity::PermanentNegativeCompletion, category: Category::MailSystem, .. }) => {
            Trouble::Refused(refusal(code.into()))
        }
        Some(_) | None => Trouble::Retry { after: None },
    }
}

fn refusal(code: u16) -> Outcome {
    Outcome::try_from(format!("smtp_{code}")).expect("invariant: letters, digits and an underscore are a reason code")
}
