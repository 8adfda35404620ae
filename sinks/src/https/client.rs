use super::guard::{ForbiddenAddress, Guard, GuardedNames, SystemNames};
use super::{AddressError, Answer, ConnectError, Connection};
use crate::{PauseReason, Trouble};
use bytes::{Bytes, BytesMut};
use reqwest::dns::Resolve;
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Identity, RequestBuilder, Response, Url, redirect, retry};
use secret::Secret;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A host that does not answer at all is known sooner than one that is slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends to public addresses and those allowed, and nowhere else. No redirects, proxies or retries.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    guard: Guard,
}

impl Client {
    /// Makes no call yet.
    pub(crate) fn new(connection: &Connection) -> Result<Self, ConnectError> {
        Self::with_names(connection, SystemNames)
    }

    fn with_names(connection: &Connection, names: impl Resolve + 'static) -> Result<Self, ConnectError> {
        // `reqwest` panics where nobody has chosen a TLS provider. An error here means that somebody has by now.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let guard = Guard::new(&connection.allow_networks);
        let names = GuardedNames { names: Arc::new(names), guard: guard.clone() };
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .dns_resolver(Arc::new(names))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(connection.timeout)
            .user_agent(concat!("keyfold/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &connection.ca_pem {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(ConnectError::Tls)?);
        }
        if let Some(pem) = &connection.identity_pem {
            builder = builder.identity(identity(pem)?);
        }
        Ok(Self { http: builder.build().map_err(ConnectError::Tls)?, guard })
    }

    /// An address that [`Client::send`] may send to, as far as can be said before its name is resolved.
    pub(crate) fn address(&self, text: &str) -> Result<Url, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::NoUrl)?;
        self.guard.check(&url)?;
        Ok(url)
    }

    /// A request to be sent by [`Client::send`].
    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.http.post(url)
    }

    /// A request to be sent by [`Client::send`].
    pub(crate) fn put(&self, url: Url) -> RequestBuilder {
        self.http.put(url)
    }

    /// Sends once, and reads an answer of any status; a body longer than `max_answer` bytes is cut off there.
    ///
    /// # Errors
    /// There is no whole answer: [`Trouble::Retry`] or, where that would change nothing, [`Trouble::Paused`].
    pub(crate) async fn send(&self, request: RequestBuilder, max_answer: usize) -> Result<Answer, Trouble> {
        let request = request.build().map_err(unanswered)?;
        self.guard.check(request.url()).map_err(|_| Trouble::Paused(PauseReason::Forbidden))?;
        let response = self.http.execute(request).await.map_err(unanswered)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(response, max_answer).await.map_err(unanswered)?;
        Ok(Answer { status, headers, body })
    }
}

/// `<scheme> <secret>` for an `Authorization` header, or the bare secret without a scheme; wiped on drop, and never printed.
///
/// # Errors
/// The secret has bytes that no header can carry.
pub(crate) fn credential(scheme: &str, secret: &Secret) -> Result<HeaderValue, ConnectError> {
    let mut text = Zeroizing::new(Vec::with_capacity(scheme.len() + 1 + secret.len()));
    text.extend_from_slice(scheme.as_bytes());
    if !scheme.is_empty() {
        text.push(b' ');
    }
    #[expect(clippy::disallowed_methods, reason = "the receiver is shown its credential")]
    text.extend_from_slice(secret.expose());
    let value = HeaderValue::from_maybe_shared(Bytes::from_owner(text));
    let mut value = value.map_err(|_| ConnectError::Header("credential"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn identity(pem: &Secret) -> Result<Identity, ConnectError> {
    #[expect(clippy::disallowed_methods, reason = "the TLS library signs with the key")]
    Identity::from_pem(pem.expose()).map_err(ConnectError::Tls)
}

async fn body(mut response: Response, max: usize) -> Result<Bytes, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            break;
        }
    }
    Ok(body.freeze())
}

/// What it means that there is no whole answer.
fn unanswered(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    tracing::debug!(error = &error as &dyn Error, "a receiver gave no answer");
    if caused_by::<ForbiddenAddress>(&error) {
        Trouble::Paused(PauseReason::Forbidden)
    } else if caused_by::<rustls::Error>(&error) {
        Trouble::Paused(PauseReason::Tls)
    } else {
        Trouble::Retry { after: None }
    }
}

/// Whether a `T` is among the causes. An `io::Error` does not name the error that it wraps as its source.
fn caused_by<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<T>() {
            return true;
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source());
    }
    false
}

#[cfg(test)]
mod tests;
