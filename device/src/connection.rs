//! Signed requests over TLS 1.3, and the nonces they spend.

use crate::Error;
use backon::{ExponentialBuilder, Retryable};
use protocol::{
    encoding::from_json,
    jws::{self, DeviceKey, Signer},
    messages::Problem,
};
use reqwest::{Method, Response, StatusCode, redirect};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
    version::TLS13,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use url::Url;
use zeroize::Zeroizing;

const REPLAY_NONCE: &str = "replay-nonce";
/// 16 bundles in base64url, and room for the rest.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Where the broker is, and which certificate authorities may vouch for it. No others are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Its public `https` URL.
    pub url: String,
    /// Root certificates in PEM.
    pub roots_pem: String,
}

/// A broker, seen by one device.
pub(crate) struct Connection {
    http: reqwest::Client,
    base: Url,
    key: DeviceKey,
    signer: Signer,
    /// The newest unspent nonce.
    nonce: Mutex<Option<String>>,
}

impl Connection {
    pub(crate) fn new(broker: &Broker, key: DeviceKey, signer: Signer) -> Result<Self, Error> {
        let base = if broker.url.ends_with('/') { broker.url.clone() } else { format!("{}/", broker.url) };
        let base = Url::parse(&base).ok().filter(|url| url.scheme() == "https").ok_or(Error::Url)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&broker.roots_pem)?)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { http, base, key, signer, nonce: Mutex::new(None) })
    }

    pub(crate) fn sign_as(&mut self, signer: Signer) {
        self.signer = signer;
    }

    pub(crate) fn thumbprint(&self) -> [u8; 32] {
        self.key.public().thumbprint()
    }

    /// Sends `message` once; gives the answer, and the nonce that the request spent.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        message: &impl Serialize,
    ) -> Result<(T, String), Error> {
        let (body, nonce) = self.exchange(path, &to_json(message)).await?;
        Ok((from_json(&body)?, nonce))
    }

    /// Sends `message` until there is an answer: for what has the same effect however often it is done.
    pub(crate) async fn post_idempotent<T: DeserializeOwned>(
        &self,
        path: &str,
        message: &impl Serialize,
    ) -> Result<T, Error> {
        Ok(from_json(&self.exchange_repeatedly(path, &to_json(message)).await?)?)
    }

    /// [`Self::post_idempotent`] for an answer that is empty.
    pub(crate) async fn tell(&self, path: &str, message: &impl Serialize) -> Result<(), Error> {
        self.exchange_repeatedly(path, &to_json(message)).await.map(|_| ())
    }

    /// POST-as-GET (RFC 8555, section 6.3).
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        Ok(from_json(&self.exchange_repeatedly(path, b"").await?)?)
    }

    async fn exchange_repeatedly(&self, path: &str, payload: &[u8]) -> Result<Vec<u8>, Error> {
        let policy = ExponentialBuilder::default().with_min_delay(Duration::from_millis(250)).with_jitter();
        let attempt = || async { self.exchange(path, payload).await.map(|(body, _)| body) };
        attempt.retry(policy.with_max_times(4)).when(Error::is_transient).await
    }

    /// One question and its answer. A nonce that is refused was not spent on anything, so one new nonce is tried.
    async fn exchange(&self, path: &str, payload: &[u8]) -> Result<(Vec<u8>, String), Error> {
        let url = self.base.join(path).map_err(|_| Error::Url)?;
        let nonce = match self.take_nonce() {
            Some(nonce) => nonce,
            None => self.fetch_nonce().await?,
        };
        match self.send(&url, &nonce, payload).await {
            Err(error) if error.has_code(Problem::BAD_NONCE) => {
                let nonce = self.take_nonce().ok_or(error)?;
                self.send(&url, &nonce, payload).await.map(|body| (body, nonce))
            }
            answer => answer.map(|body| (body, nonce)),
        }
    }

    async fn send(&self, url: &Url, nonce: &str, payload: &[u8]) -> Result<Vec<u8>, Error> {
        let body = self.key.sign_request(&self.signer, nonce, url.as_str(), payload);
        let request = self.http.request(Method::POST, url.clone()).header("content-type", jws::CONTENT_TYPE).body(body);
        let response = request.send().await?;
        self.keep_nonce(&response);
        let status = response.status();
        let body = read(response).await?;
        if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
    }

    async fn fetch_nonce(&self) -> Result<String, Error> {
        let url = self.base.join("v1/nonce").map_err(|_| Error::Url)?;
        let response = self.http.get(url).send().await?;
        self.keep_nonce(&response);
        let status = response.status();
        if status.is_success() {
            self.take_nonce().ok_or(Error::Answer)
        } else {
            Err(refusal(status, &read(response).await?))
        }
    }

    fn keep_nonce(&self, response: &Response) {
        if let Some(nonce) = response.headers().get(REPLAY_NONCE).and_then(|value| value.to_str().ok()) {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.to_owned());
        }
    }

    fn take_nonce(&self) -> Option<String> {
        self.nonce.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn tls(roots_pem: &str) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(certificate.map_err(|_| Error::Roots)?).map_err(|_| Error::Roots)?;
    }
    if roots.is_empty() {
        return Err(Error::Roots);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("invariant: the provider has suites for TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// A request may carry an enrolment code, so its JSON is wiped.
fn to_json(message: &impl Serialize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(message).expect("invariant: every message is JSON"))
}

async fn read(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Error::Answer);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn refusal(status: StatusCode, body: &[u8]) -> Error {
    from_json::<Problem>(body).map_or(Error::Status(status.as_u16()), |problem| Error::Refused(Box::new(problem)))
}
