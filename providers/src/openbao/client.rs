//! Exactly the HTTP calls in use: three of the transit engine, two about the token itself. No retries.

use super::{ConnectError, Options};
use crate::Context;
use crate::payload::Payload;
use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Method, Response, StatusCode, Url, redirect};
use secret::Secret;
use serde::Deserialize;
use std::time::Duration;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// A backstop: the broker's own deadline is shorter.
const DEADLINE: Duration = Duration::from_secs(10);
/// No answer that we ask for is longer than a kilobyte or two.
const MAX_ANSWER: usize = 64 * 1024;
/// A key type that no server knows. Encrypting under a key that does not exist would create it where policy allows;
/// with this, the server refuses instead. For a key that exists the server ignores the type.
const NEVER_CREATE: &str = "keyfold-never-creates-keys";

/// One transit engine and the token that may use it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    /// `<address>/v1/`.
    api: Url,
    /// Path segments of the transit engine.
    mount: Vec<String>,
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
    /// No answer, or not all of it.
    #[error("OpenBao cannot be reached")]
    Unreachable(#[from] reqwest::Error),
    /// An answer that OpenBao does not give.
    #[error("OpenBao's answer makes no sense")]
    Garbage(#[from] serde_json::Error),
    /// The plaintext in an answer is not base64.
    #[error("OpenBao's plaintext makes no sense")]
    Plaintext(#[from] base64::DecodeSliceError),
    /// An answer longer than any that OpenBao gives.
    #[error("OpenBao's answer is too long")]
    TooLong,
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
        let address = Url::parse(&options.address).map_err(|_| ConnectError::Address)?;
        let loopback = matches!(address.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if address.scheme() != "https" && !(address.scheme() == "http" && loopback) {
            return Err(ConnectError::Insecure);
        }
        let api = address.join("/v1/").map_err(|_| ConnectError::Address)?;
        let mount = options.mount.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Ok(Self { http: http(options)?, api, mount })
    }

    /// `GET keys/:name`.
    pub(super) async fn key(&self, name: &str) -> Result<Key, Failure> {
        let answer = self.call(Method::GET, self.transit("keys", name), Bytes::new()).await?;
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
        let answer = self.call(Method::POST, self.transit("encrypt", name), object(&fields)).await?;
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
        let answer = self.call(Method::POST, self.transit("decrypt", name), object(&fields)).await?;
        decode(serde_json::from_slice::<Data<Decrypted<'_>>>(&answer)?.data.plaintext)
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

    fn transit(&self, operation: &str, name: &str) -> Url {
        self.url(self.mount.iter().map(String::as_str).chain([operation, name]))
    }

    /// Percent-encodes each segment.
    fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.api.clone();
        url.path_segments_mut().expect("invariant: http URLs have paths").pop_if_empty().extend(segments);
        url
    }

    /// The body of a successful answer; wiped on drop.
    async fn call(&self, method: Method, url: Url, body: Bytes) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let response = self.http.request(method, url).body(body).send().await?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let answer = read(response).await?;
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let messages = serde_json::from_slice::<Errors>(&answer).map(|answer| answer.errors).ok();
        Err(Failure::Answer { status, retry_after, messages })
    }
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

/// No redirects and no proxies: the token and the plaintext go to the address given, or nowhere.
fn http(options: &Options) -> Result<reqwest::Client, ConnectError> {
    // `reqwest` panics where nobody has chosen a TLS provider. An error here means that somebody has by now.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = reqwest::Client::builder().timeout(DEADLINE).redirect(redirect::Policy::none()).no_proxy();
    let builder = match &options.ca_pem {
        Some(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(ConnectError::Tls)?),
        None => builder,
    };
    builder.default_headers(headers(options)?).build().map_err(ConnectError::Tls)
}

fn headers(options: &Options) -> Result<HeaderMap, ConnectError> {
    #[expect(clippy::disallowed_methods, reason = "the token goes into the header of each request")]
    let token = Bytes::from_owner(Zeroizing::new(options.token.expose().to_vec()));
    let mut token = HeaderValue::from_maybe_shared(token).map_err(|_| ConnectError::Token)?;
    token.set_sensitive(true);
    let mut headers = HeaderMap::from_iter([(HeaderName::from_static("x-vault-token"), token)]);
    if let Some(namespace) = &options.namespace {
        let namespace = HeaderValue::from_str(namespace).map_err(|_| ConnectError::Namespace)?;
        headers.insert(HeaderName::from_static("x-vault-namespace"), namespace);
    }
    Ok(headers)
}

/// A JSON object of strings that need no escaping: base64 and words of ours. Wiped when the last reader drops it.
fn object(fields: &[(&str, &str)]) -> Bytes {
    let len = fields.iter().map(|(name, value)| name.len() + value.len() + 6).sum::<usize>() + 2;
    // Never grows, so no copy is left behind.
    let mut text = Zeroizing::new(String::with_capacity(len));
    for (name, value) in fields {
        let separator = if text.is_empty() { "{\"" } else { ",\"" };
        for part in [separator, name, "\":\"", value, "\""] {
            text.push_str(part);
        }
    }
    text.push('}');
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

async fn read(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Never grows, so no copy is left behind.
    let mut answer = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    while let Some(chunk) = response.chunk().await? {
        if answer.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::TooLong);
        }
        answer.extend_from_slice(&chunk);
        if let Ok(mut chunk) = chunk.try_into_mut() {
            chunk.zeroize();
        }
    }
    Ok(answer)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
