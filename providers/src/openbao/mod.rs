//! Keys in the transit engine of OpenBao (or Vault): AEAD under a named key, with the context as associated data.

mod client;
mod import;
mod login;
mod session;

pub use login::Login;

use crate::payload::Payload;
use crate::{
    Capabilities, Context, EndpointError, Error, KeyProvider, KeyRef, KeyState, Permissions, Unusable, Wrapped,
    why_unusable,
};
use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine};
use client::{Absent, Client, Failure};
use login::LoginError;
use reqwest::StatusCode;
use secret::Secret;
use session::Session;
use std::io;
use thiserror::Error;

/// Where the transit engine is and who uses it.
#[derive(Debug)]
pub struct Options {
    /// `https://host:port`. Plain HTTP is accepted for loopback only.
    pub address: String,
    /// Path the transit engine is mounted at.
    pub mount: String,
    /// Namespace of that mount and of the one that the login goes to.
    pub namespace: Option<String>,
    /// How to get a token. It is renewed for as long as the provider lives.
    pub login: Login,
    /// The only certificate authorities to trust, PEM; the system's where there are none.
    pub ca_pem: Option<Vec<u8>>,
}

/// Why an OpenBao is not used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address may not be used.
    #[error(transparent)]
    Address(#[from] EndpointError),
    /// The token cannot be sent in a header.
    #[error("the token has characters that no token has")]
    Token,
    /// The namespace cannot be sent in a header.
    #[error("the namespace has characters that no namespace has")]
    Namespace,
    /// The certificates cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[source] reqwest::Error),
    /// A file of the login cannot be read, or is empty.
    #[error("the credential cannot be read")]
    Credential(#[source] io::Error),
    /// The server does not accept the token or the login.
    #[error("OpenBao refused the login: {0:?}")]
    Refused(Vec<String>),
}

/// The key cannot do what is needed: it has no associated data, or wants a derivation context.
#[derive(Debug, Error)]
#[error("a transit key of type `{0}` cannot be used, it must be an AEAD key without derivation")]
struct Unsuitable(String);

/// The server gave a ciphertext that is not one.
#[derive(Debug, Error)]
#[error("OpenBao's ciphertext has not the form vault:vN:base64")]
struct NoCiphertext;

/// One transit engine.
#[derive(Debug)]
pub struct OpenBao {
    client: Client,
    session: Session,
}

impl OpenBao {
    /// Logs in and starts to look after the token. A server that cannot be reached now is no error: calls are
    /// [`Error::Unavailable`] until it can.
    pub async fn connect(options: Options) -> Result<Self, ConnectError> {
        let client = Client::new(&options)?;
        let session = Session::open(client.clone(), options.login).await?;
        Ok(Self { client, session })
    }

    /// What a refused wrap means. Without the right to create keys, a missing key looks like a missing right.
    async fn refused(&self, name: &str) -> Error {
        match self.client.key(name).await {
            Ok(_) => Error::Refused,
            Err(failure) => self.failed(failure),
        }
    }

    /// What `failure` means. The server has the same words for a dead token and a missing right, so the session looks.
    fn failed(&self, failure: Failure) -> Error {
        if matches!(&failure, Failure::Answer { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. }) {
            self.session.doubt();
        }
        translate(failure)
    }
}

impl From<LoginError> for ConnectError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Credential(source) => Self::Credential(source),
            LoginError::Call(Failure::Answer { messages, .. }) => Self::Refused(messages.unwrap_or_default()),
            // Whatever else may pass is tried again, and no error.
            LoginError::Call(_) => Self::Token,
        }
    }
}

#[async_trait]
impl KeyProvider for OpenBao {
    fn capabilities(&self) -> Capabilities {
        // The server takes 32 MiB of JSON by default, and base64 grows by a third.
        Capabilities {
            binds_context: true,
            hardware: false,
            max_payload: 24 << 20,
            permissions: Permissions {
                inspect: "read on <mount>/keys/<key>",
                wrap: "update on <mount>/encrypt/<key>",
                unwrap: "update on <mount>/decrypt/<key>",
            },
        }
    }

    async fn inspect(&self, key: &KeyRef) -> Result<KeyState, Error> {
        let key = self.client.key(name_of(key)?).await.map_err(|failure| self.failed(failure))?;
        let aead = ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"];
        if key.soft_deleted {
            Ok(KeyState::Unusable(Unusable::PendingDeletion))
        } else if key.derived || !aead.contains(&key.algorithm.as_str()) {
            Err(Error::broken(Unsuitable(key.algorithm)))
        } else {
            Ok(KeyState::Usable { version: key.latest_version.to_string() })
        }
    }

    async fn wrap_key(&self, key: &KeyRef, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let name = name_of(key)?;
        let payload = Payload::bind(secret, context)?;
        let ciphertext = match self.client.encrypt(name, &payload, context).await {
            Ok(ciphertext) => ciphertext,
            Err(Failure::Answer { status: StatusCode::FORBIDDEN, .. }) => return Err(self.refused(name).await),
            Err(failure) => return Err(self.failed(failure)),
        };
        let version = version_of(&ciphertext).ok_or_else(|| Error::broken(NoCiphertext))?.to_owned();
        Ok(Wrapped { bytes: ciphertext.into_bytes(), version })
    }

    async fn unwrap_key(&self, key: &KeyRef, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        let name = name_of(key)?;
        let ciphertext = str::from_utf8(&wrapped.bytes).ok().filter(|text| version_of(text) == Some(&wrapped.version));
        let Some(ciphertext) = ciphertext else {
            // What is not a ciphertext is not sent. A key that is missing or unusable still comes first.
            return Err(why_unusable(self.inspect(key).await).unwrap_or(Error::Mismatch));
        };
        self.client.decrypt(name, ciphertext, context).await.map_err(|failure| self.failed(failure))?.release(context)
    }
}

/// The name, if a transit key can have it: letters, digits and `_`, inside also `-` and `.`. Nothing else is ever put
/// into a path, so no name can lead to another endpoint.
fn name_of(key: &KeyRef) -> Result<&str, Error> {
    let name = key.as_str();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let possible = name.starts_with(word) && name.ends_with(word) && name.chars().all(|c| word(c) || "-.".contains(c));
    if possible { Ok(name) } else { Err(Error::NoSuchKey) }
}

/// N of `vault:vN:base64`. Strict, for the server is not: it would open a ciphertext that was altered in the unused
/// bits of its base64.
fn version_of(ciphertext: &str) -> Option<&str> {
    let (version, bytes) = ciphertext.strip_prefix("vault:v")?.split_once(':')?;
    BASE64_STANDARD.decode(bytes).ok()?;
    version.parse::<u64>().ok().filter(|number| *number > 0 && number.to_string() == version).map(|_| version)
}

/// What a failure means, whichever call it came from: the server's words say what its status does not.
fn translate(failure: Failure) -> Error {
    tracing::debug!(%failure, "OpenBao call failed");
    match failure {
        Failure::Answer { status, retry_after, ref messages } => match status.as_u16() {
            401 | 403 => Error::Refused,
            404 if messages.as_ref().is_some_and(Vec::is_empty) => Error::NoSuchKey,
            400 => messages.as_deref().and_then(read_refusal).unwrap_or_else(|| Error::broken(failure)),
            429 => Error::Throttled { retry_after },
            // 412 is a standby that has not caught up yet.
            412 | 500..600 => Error::Unavailable { retry_after },
            _ => Error::broken(failure),
        },
        Failure::Unreachable(_) | Failure::NoToken(Absent::Awaited) => Error::Unavailable { retry_after: None },
        Failure::NoToken(Absent::Refused) => Error::Refused,
        Failure::BadToken(_)
        | Failure::Garbage(_)
        | Failure::WrappingKey(_)
        | Failure::Plaintext(_)
        | Failure::TooLong => Error::broken(failure),
    }
}

/// What the server's words for a 400 mean; `None` for words not known.
fn read_refusal(messages: &[String]) -> Option<Error> {
    let said = |words: &str| messages.iter().any(|message| message.contains(words));
    if said("encryption key not found") || said("unknown key type") {
        Some(Error::NoSuchKey)
    } else if said("soft-deleted") {
        Some(Error::KeyUnusable(Unusable::PendingDeletion))
    } else if said("disallowed by policy (too old)") {
        Some(Error::KeyUnusable(Unusable::Disabled))
    } else if said("message authentication failed") || said("invalid ciphertext") {
        Some(Error::Mismatch)
    } else {
        None
    }
}
