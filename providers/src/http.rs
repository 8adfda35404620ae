//! What the rooms that speak HTTP by themselves have in common: one connection pool each, and answers with a longest length.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, ClientBuilder, Response, redirect, retry};
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// A backstop: the broker's own deadline is shorter.
const DEADLINE: Duration = Duration::from_secs(10);
/// No answer that we ask for is longer than some kilobytes.
const MAX_ANSWER: usize = 64 * 1024;

/// No redirects, proxies or retries: what is sent goes to the address given, once, or nowhere. Trusts the authorities in
/// `ca_pem`, or the system's where there are none.
pub(crate) fn client(ca_pem: Option<&[u8]>) -> Result<ClientBuilder, reqwest::Error> {
    // `reqwest` panics where nobody has chosen a TLS provider. An error here means that somebody has by now.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = reqwest::Client::builder().timeout(DEADLINE).redirect(redirect::Policy::none()).no_proxy();
    let builder = builder.retry(retry::never());
    Ok(match ca_pem {
        Some(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem)?),
        None => builder,
    })
}

/// The whole body, wiped on drop; `None` where it is longer than any that we ask for.
pub(crate) async fn body(mut response: Response) -> Result<Option<Zeroizing<Vec<u8>>>, reqwest::Error> {
    // Never grows, so no copy is left behind.
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
        if let Ok(mut chunk) = chunk.try_into_mut() {
            chunk.zeroize();
        }
    }
    Ok(Some(body))
}

/// `Retry-After` (RFC 9110, section 10.2.3), when it is in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
