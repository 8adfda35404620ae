//! Exactly the HTTP calls in use: five of the transit engine, three about the token itself. No retries.

use super::login::Login;
use super::{ConnectError, Options};
use crate::payload::Payload;
use crate::{Context, endpoint, http, oaep};
use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use reqwest::{Identity, Method, RequestBuilder, StatusCode, Url};
use secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use thiserror::Error;
use zeroize::Zeroizing;

/// A key type that no server knows. Encrypting under a key that does not exist would create it where policy allows;
/// with this, the server refuses instead. For a key that exists the server ignores the type.
const NEVER_CREATE: &str = "keyfold-never-creates-keys";

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");

/// One transit engine and the token that may use it; clones share the token.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    /// `<address>/v1/`.
    api: Url,
    /// Path segments of the transit engine.
    mount: Vec<String>,
    token: Arc<RwLock<Result<HeaderValue, Absent>>>,
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// A login is under way, or the server cannot be reached.
    Awaited,
    /// The server refused the last login.
    Refused,
}

/// Why a call gave no answer to work with.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The server answered with an error.
    #[error("OpenBao answered {status}: {messages:?}")]
    Answer {
        /// The HTTP status.
        status: StatusCode,
        /// `Retry-After`, when it was in seconds.
        retry_after: Option<Duration>,
        /// The server's words; `None` when the answer is not OpenBao's, but that of something in between.
        messages: Option<Vec<String>>,
    },
    /// Nothing was sent, for there is no token.
    #[error("not logged in to OpenBao: {0:?}")]
    NoToken(Absent),
    /// The token cannot be sent in a header.
    #[error("the token has characters that no token has")]
    BadToken(#[from] InvalidHeaderValue),
    /// No answer, or not all of it.
    #[error("OpenBao cannot be reached")]
    Unreachable(#[from] reqwest::Error),
    /// An answer that OpenBao does not give.
    #[error("OpenBao's answer makes no sense")]
    Garbage(#[from] serde_json::Error),
    /// The wrapping key in an answer is not PEM.
    #[error("OpenBao's wrapping key makes no sense")]
    WrappingKey(#[from] oaep::OaepError),
    /// The plaintext in an answer is not base64.
    #[error("OpenBao's plaintext makes no sense")]
    Plaintext(#[from] base64::DecodeSliceError),
    /// An answer longer than any that OpenBao gives.
    #[error("OpenBao's answer is too long")]
    TooLong,
}

impl Failure {
    /// The server itself, not something in between, has looked at the request and wants another.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Answer { status, messages: Some(_), .. } if (400..405).contains(&status.as_u16()))
    }
}

/// What `GET keys/:name` says of a key, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Key {
    #[serde(rename = "type")]
    pub(super) algorithm: String,
    pub(super) latest_version: u64,
    /// Needs a derivation context with each call.
    pub(super) derived: bool,
    #[serde(default)]
    pub(super) soft_deleted: bool,
}

/// How long the token lives, in seconds; zero for ever.
#[derive(Debug, Deserialize)]
pub(super) struct Lease {
    #[serde(alias = "lease_duration")]
    pub(super) ttl: u64,
    pub(super) renewable: bool,
}

impl Client {
    /// Makes no call yet.
    pub(super) fn new(options: &Options) -> Result<Self, ConnectError> {
        let mut api = endpoint::parse(&options.address)?;
        api.set_path("/v1/");
        let mount = parts(&options.mount).map(str::to_owned).collect();
        Ok(Self { http: connections(options)?, api, mount, token: Arc::new(RwLock::new(Err(Absent::Awaited))) })
    }

    /// `GET keys/:name`.
    pub(super) async fn key(&self, name: &str) -> Result<Key, Failure> {
        let answer = self.call(Method::GET, self.mounted(["keys", name]), Bytes::new()).await?;
        Ok(serde_json::from_slice::<Data<Key>>(&answer)?.data)
    }

    /// `POST encrypt/:name`, with the context as associated data. Never creates a key.
    pub(super) async fn encrypt(&self, name: &str, payload: &Payload, context: &Context) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Encrypted {
            ciphertext: String,
        }
        let plaintext = encode(payload);
        let aad = BASE64_STANDARD.encode(context.as_bytes());
        let fields = [("plaintext", &**plaintext), ("associated_data", &aad), ("type", NEVER_CREATE)];
        let answer = self.call(Method::POST, self.mounted(["encrypt", name]), object(&fields)).await?;
        Ok(serde_json::from_slice::<Data<Encrypted>>(&answer)?.data.ciphertext)
    }

    /// `POST decrypt/:name`, with the context as associated data.
    pub(super) async fn decrypt(&self, name: &str, ciphertext: &str, context: &Context) -> Result<Payload, Failure> {
        #[derive(Deserialize)]
        struct Decrypted<'a> {
            /// Borrowed, so that the text exists in the answer alone.
            plaintext: &'a str,
        }
        let aad = BASE64_STANDARD.encode(context.as_bytes());
        let fields = [("ciphertext", ciphertext), ("associated_data", &aad)];
        let answer = self.call(Method::POST, self.mounted(["decrypt", name]), object(&fields)).await?;
        decode(serde_json::from_slice::<Data<Decrypted<'_>>>(&answer)?.data.plaintext)
    }

    /// `GET wrapping_key`, as DER SubjectPublicKeyInfo.
    pub(super) async fn wrapping_key(&self) -> Result<Vec<u8>, Failure> {
        #[derive(Deserialize)]
        struct WrappingKey {
            public_key: String,
        }
        let answer = self.call(Method::GET, self.mounted(["wrapping_key"]), Bytes::new()).await?;
        let pem = serde_json::from_slice::<Data<WrappingKey>>(&answer)?.data.public_key;
        Ok(oaep::der_from_pem(&pem)?)
    }

    /// `POST keys/:name/import` of an AES-256 key that nobody can export. Never changes a key that is there.
    pub(super) async fn import(&self, name: &str, material: &[u8]) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Import<'a> {
            #[serde(rename = "type")]
            algorithm: &'a str,
            hash_function: &'a str,
            ciphertext: String,
            exportable: bool,
            allow_plaintext_backup: bool,
        }
        let import = Import {
            algorithm: "aes256-gcm96",
            hash_function: "SHA256",
            ciphertext: BASE64_STANDARD.encode(material),
            exportable: false,
            allow_plaintext_backup: false,
        };
        let body = serde_json::to_vec(&import)?;
        self.call(Method::POST, self.mounted(["keys", name, "import"]), body.into()).await.map(drop)
    }

    /// Uses `token` from now on, also when the answer is a refusal: there is no other.
    pub(super) async fn adopt(&self, token: &Secret) -> Result<Lease, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the token goes into the header of each request")]
        self.set_token(Ok(header_of(token.expose())?));
        self.lookup_self().await
    }

    /// `POST auth/:mount/login`. Uses the token that it gets from now on.
    pub(super) async fn log_in(&self, mount: &str, fields: &[(&str, &str)]) -> Result<Lease, Failure> {
        #[derive(Deserialize)]
        struct LoggedIn<'a> {
            #[serde(borrow)]
            auth: Auth<'a>,
        }
        #[derive(Deserialize)]
        struct Auth<'a> {
            /// Borrowed, so that the text exists in the answer alone.
            client_token: &'a str,
            lease_duration: u64,
            renewable: bool,
        }
        let path = self.url(["auth"].into_iter().chain(parts(mount)).chain(["login"]));
        let answer = send(self.http.post(path).body(object(fields))).await?;
        let LoggedIn { auth } = serde_json::from_slice(&answer)?;
        self.set_token(Ok(header_of(auth.client_token.as_bytes())?));
        Ok(Lease { ttl: auth.lease_duration, renewable: auth.renewable })
    }

    /// Sends nothing more until there is another token.
    pub(super) fn forget_token(&self, why: Absent) {
        self.set_token(Err(why));
    }

    /// Whether there is a token, good or not.
    pub(super) fn has_token(&self) -> bool {
        self.token().is_ok()
    }

    /// `GET auth/token/lookup-self`.
    pub(super) async fn lookup_self(&self) -> Result<Lease, Failure> {
        let answer = self.call(Method::GET, self.url(["auth", "token", "lookup-self"]), Bytes::new()).await?;
        Ok(serde_json::from_slice::<Data<Lease>>(&answer)?.data)
    }

    /// `POST auth/token/renew-self`.
    pub(super) async fn renew_self(&self) -> Result<Lease, Failure> {
        #[derive(Deserialize)]
        struct Renewed {
            auth: Lease,
        }
        let answer = self.call(Method::POST, self.url(["auth", "token", "renew-self"]), Bytes::new()).await?;
        Ok(serde_json::from_slice::<Renewed>(&answer)?.auth)
    }

    fn mounted<const N: usize>(&self, segments: [&str; N]) -> Url {
        self.url(self.mount.iter().map(String::as_str).chain(segments))
    }

    /// Percent-encodes each segment.
    fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.api.clone();
        url.path_segments_mut().expect("invariant: http URLs have paths").pop_if_empty().extend(segments);
        url
    }

    /// The body of a successful answer to a request with the token; wiped on drop.
    async fn call(&self, method: Method, url: Url, body: Bytes) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let token = self.token().map_err(Failure::NoToken)?;
        send(self.http.request(method, url).header(TOKEN, token).body(body)).await
    }

    fn token(&self) -> Result<HeaderValue, Absent> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_token(&self, token: Result<HeaderValue, Absent>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

/// The body of a successful answer; wiped on drop.
async fn send(request: RequestBuilder) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let response = request.send().await?;
    let (status, retry_after) = (response.status(), http::retry_after(response.headers()));
    let answer = http::body(response).await?.ok_or(Failure::TooLong)?;
    if matches!(status, StatusCode::OK | StatusCode::NO_CONTENT) {
        return Ok(answer);
    }
    let messages = serde_json::from_slice::<Errors>(&answer).map(|answer| answer.errors).ok();
    Err(Failure::Answer { status, retry_after, messages })
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

fn connections(options: &Options) -> Result<reqwest::Client, ConnectError> {
    let builder = http::client(options.ca_pem.as_deref()).map_err(ConnectError::Tls)?;
    let builder = match &options.login {
        Login::Certificate { identity_pem, .. } => builder.identity(identity(identity_pem)?),
        Login::Token(_) | Login::AppRole { .. } | Login::Jwt { .. } => builder,
    };
    builder.default_headers(headers(options)?).build().map_err(ConnectError::Tls)
}

fn identity(pem: &Secret) -> Result<Identity, ConnectError> {
    #[expect(clippy::disallowed_methods, reason = "the TLS library signs with the key")]
    Identity::from_pem(pem.expose()).map_err(ConnectError::Tls)
}

fn headers(options: &Options) -> Result<HeaderMap, ConnectError> {
    let mut headers = HeaderMap::new();
    if let Some(namespace) = &options.namespace {
        let namespace = HeaderValue::from_str(namespace).map_err(|_| ConnectError::Namespace)?;
        headers.insert(HeaderName::from_static("x-vault-namespace"), namespace);
    }
    Ok(headers)
}

/// Wiped when the last request with it is done.
fn header_of(token: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(Zeroizing::new(token.to_vec())))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The segments of a mount's path.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// A JSON object of strings. Wiped when the last reader drops it.
fn object(fields: &[(&str, &str)]) -> Bytes {
    // No character takes more than six bytes, so it never grows and leaves no copy behind.
    let len = fields.iter().map(|(name, value)| 6 * (name.len() + value.len()) + 6).sum::<usize>() + 2;
    let mut text = Zeroizing::new(Vec::with_capacity(len));
    let fields: BTreeMap<_, _> = fields.iter().copied().collect();
    serde_json::to_writer(&mut *text, &fields).expect("invariant: strings are JSON, and memory takes them");
    Bytes::from_owner(text)
}

fn encode(payload: &Payload) -> Zeroizing<String> {
    let mut text = Zeroizing::new(vec![0; Payload::LEN.div_ceil(3) * 4]);
    #[expect(clippy::disallowed_methods, reason = "the payload goes to OpenBao, over TLS")]
    let written = BASE64_STANDARD.encode_slice(payload.bytes().expose(), &mut text);
    written.expect("invariant: the buffer has the length of a payload in base64");
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).expect("invariant: base64 is ASCII"))
}

fn decode(text: &str) -> Result<Payload, Failure> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let len = BASE64_STANDARD.decode_slice(text, &mut bytes)?;
    Ok(Payload::unwrapped(Secret::copied_from(&bytes[..len])))
}
