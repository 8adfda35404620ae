//! How the SDK's requests reach the network: bounded answers, no redirects, no proxies, and errors with a type.

use super::ConnectError;
use crate::http;
use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{CONTENT_TYPE, Headers, WWW_AUTHENTICATE};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use serde::Deserialize;
use std::error::Error;
use std::time::Duration;

/// Why there is no answer to work with. Travels through the SDK as the source of its errors.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The other side answered with an error.
    #[error("answered {status}: {codes:?}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, when it was in seconds.
        retry_after: Option<Duration>,
        /// Key Vault's code and, where there is one, the code inside; none when the answer is not Key Vault's.
        codes: Vec<String>,
    },
    /// No answer, or not all of it.
    #[error("no answer")]
    Unreachable(#[from] reqwest::Error),
    /// An answer longer than any that we ask for.
    #[error("the answer is too long")]
    TooLong,
    /// The SDK streams a body, which none of the calls in use has.
    #[error("a request with a stream as its body")]
    Stream,
}

impl Failure {
    /// The one that an error of the SDK goes back to.
    pub(super) fn behind(error: &azure_core::Error) -> Option<&Self> {
        sources(error).find_map(|source| source.downcast_ref())
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::TooLong | Self::Stream => None,
        }
    }

    /// Whether `code` is among Key Vault's.
    pub(super) fn says(&self, code: &str) -> bool {
        match self {
            Self::Answer { codes, .. } => codes.iter().any(|said| said == code),
            Self::Unreachable(_) | Self::TooLong | Self::Stream => false,
        }
    }

    fn answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let error = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.error);
        let codes = error.into_iter().flat_map(|error| [Some(error.code), error.innererror.map(|inner| inner.code)]);
        Self::Answer {
            status: status.as_u16(),
            retry_after: http::retry_after(headers),
            codes: codes.flatten().collect(),
        }
    }
}

/// The status of an answer that the SDK itself has judged: a 401 with a challenge, which is passed to it.
pub(super) fn status_behind(error: &azure_core::Error) -> Option<u16> {
    sources(error).find_map(|source| source.downcast_ref::<azure_core::Error>()?.http_status()).map(u16::from)
}

fn sources<'a>(error: &'a azure_core::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source())
}

#[derive(Deserialize)]
struct Refusal {
    error: Code,
}

#[derive(Deserialize)]
struct Code {
    code: String,
    innererror: Option<InnerCode>,
}

#[derive(Deserialize)]
struct InnerCode {
    code: String,
}

/// A connection pool of our own.
#[derive(Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    /// Whether a 401 with a challenge goes to the SDK, which meets it.
    passes_challenges: bool,
}

impl Transport {
    /// To the vault, over HTTPS, trusting the authorities in `ca_pem`, or the system's where there are none.
    pub(super) fn to_vault(ca_pem: Option<&[u8]>) -> Result<Self, ConnectError> {
        Ok(Self { http: connections(ca_pem, true)?, passes_challenges: true })
    }

    /// To Entra ID, likewise.
    pub(super) fn to_entra(ca_pem: Option<&[u8]>) -> Result<Self, ConnectError> {
        Ok(Self { http: connections(ca_pem, true)?, passes_challenges: false })
    }

    /// To the machine's own identity: over plain HTTP, at an address that does not leave the machine.
    pub(super) fn to_machine() -> Result<Self, ConnectError> {
        Ok(Self { http: connections(None, false)?, passes_challenges: false })
    }

    async fn send(&self, request: &Request) -> Result<AsyncRawResponse, Failure> {
        let Body::Bytes(body) = request.body().clone() else { return Err(Failure::Stream) };
        let mut call = self.http.request(method(request.method()), request.url().clone()).body(body);
        for (name, value) in request.headers().iter() {
            call = call.header(name.as_str(), value.as_str());
        }
        let response = call.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = http::body(response).await?.ok_or(Failure::TooLong)?;
        let challenged = status == StatusCode::UNAUTHORIZED && headers.contains_key(header::WWW_AUTHENTICATE);
        if status.is_success() || (challenged && self.passes_challenges) {
            let answer = Bytes::from_owner(answer);
            Ok(AsyncRawResponse::from_bytes(status.as_u16().into(), passed_on(&headers), answer))
        } else {
            Err(Failure::answer(status, &headers, &answer))
        }
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.send(request).await.map_err(azure_core::Error::from)
    }
}

impl From<Failure> for azure_core::Error {
    /// Of a kind that no policy of the SDK retries, not even where it sets retries itself, as for the identity of a
    /// virtual machine.
    fn from(failure: Failure) -> Self {
        Self::new(ErrorKind::Other, failure)
    }
}

fn connections(ca_pem: Option<&[u8]>, https_only: bool) -> Result<reqwest::Client, ConnectError> {
    http::client(ca_pem).and_then(|builder| builder.https_only(https_only).build()).map_err(ConnectError::Tls)
}

fn method(method: Method) -> reqwest::Method {
    reqwest::Method::from_bytes(method.as_str().as_bytes()).expect("invariant: the SDK has only methods of HTTP")
}

/// What the SDK reads. It cannot meet a demand for claims, and would take it for nonsense; without the challenge it
/// takes the answer for what it is, a refused token, and forgets that token.
fn passed_on(headers: &HeaderMap) -> Headers {
    let mut passed = Headers::new();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let Some(kind) = text(header::CONTENT_TYPE) {
        passed.insert(CONTENT_TYPE, kind);
    }
    if let Some(challenge) = text(header::WWW_AUTHENTICATE).filter(|challenge| !challenge.contains("claims=")) {
        passed.insert(WWW_AUTHENTICATE, challenge);
    }
    passed
}
