//! Tokens of Entra ID for an application: the client credentials flow of OAuth 2.0 (RFC 6749, section 4.4).

use super::OpenError;
use super::assertion::Signer;
use crate::https::{self, Client, MAX_ANSWER, credential};
use crate::{PauseReason, Trouble};
use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secret::Secret;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;
use url::form_urlencoded;
use zeroize::Zeroizing;

const PUBLIC_CLOUD: &str = "https://login.microsoftonline.com";
const ASSERTION: &str = "client_assertion";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// A token is replaced so long before it ends.
const MARGIN: Duration = Duration::from_secs(300);

/// An application registered with Entra ID.
#[derive(Debug)]
pub struct Application {
    /// The directory.
    pub tenant_id: String,
    /// The application.
    pub client_id: String,
    /// Entra ID, where it is not that of the public cloud: `https://host`.
    pub authority_host: Option<String>,
    /// How it proves itself.
    pub proof: Proof,
}

/// How an application proves itself.
#[derive(Debug)]
pub enum Proof {
    /// By a client secret.
    Secret(Secret),
    /// By an assertion signed with a certificate's key (RFC 7523, section 2.2); both PEM.
    Certificate {
        /// The certificate that the application has at Entra ID.
        certificate: Vec<u8>,
        /// Its RSA key.
        key: Secret,
    },
    /// By the token in this file, of an issuer that the application trusts (workload identity federation).
    TokenFile(PathBuf),
}

/// The application's tokens for one audience.
#[derive(Debug)]
pub(super) struct Entra {
    client: Client,
    url: Url,
    client_id: String,
    scope: String,
    prover: Prover,
    token: Option<Token>,
}

#[derive(Debug)]
enum Prover {
    Secret(Secret),
    Signer(Box<Signer>),
    TokenFile(PathBuf),
}

#[derive(Debug)]
struct Token {
    authorization: HeaderValue,
    good_until: Instant,
    /// Whether it has been used before: only then can it be that it was revoked meanwhile.
    used: bool,
}

impl Entra {
    pub(super) fn new(client: Client, audience: &str, application: Application) -> Result<Self, OpenError> {
        let Application { tenant_id, client_id, authority_host, proof } = application;
        let authority = authority_host.as_deref().unwrap_or(PUBLIC_CLOUD);
        let mut url = client.address(authority).map_err(https::ConnectError::from)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([&tenant_id, "oauth2", "v2.0", "token"]);
        }
        let prover = match proof {
            Proof::Secret(secret) => Prover::Secret(secret),
            Proof::TokenFile(file) => Prover::TokenFile(file),
            Proof::Certificate { certificate, key } => {
                Prover::Signer(Box::new(Signer::new(url.as_str(), &client_id, &certificate, &key)?))
            }
        };
        Ok(Self { client, url, client_id, scope: format!("{audience}/.default"), prover, token: None })
    }

    /// The `Authorization` header with a token that is good for some minutes more.
    pub(super) async fn authorization(&mut self) -> Result<HeaderValue, Trouble> {
        if let Some(token) = self.token.as_mut().filter(|token| token.good_until > Instant::now()) {
            token.used = true;
            return Ok(token.authorization.clone());
        }
        let token = self.ask().await?;
        Ok(self.token.insert(token).authorization.clone())
    }

    /// Asks for another token the next time. Whether the one that is forgotten had been good before.
    pub(super) fn forget(&mut self) -> bool {
        self.token.take().is_some_and(|token| token.used)
    }

    async fn ask(&self) -> Result<Token, Trouble> {
        let form = self.form().await.ok_or(Trouble::Paused(PauseReason::Unauthorized))?;
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = self.client.send(request.body(Bytes::from_owner(form)), MAX_ANSWER).await?;
        let answer = answer.accepted().map_err(|trouble| match trouble {
            // Entra ID answers 400 also where the application is the trouble.
            Trouble::Refused(_) => Trouble::Paused(PauseReason::Unauthorized),
            Trouble::Retry { .. } | Trouble::Paused(_) => trouble,
        })?;
        let issued = serde_json::from_slice::<Issued>(&answer.body).ok();
        issued.and_then(Issued::token).ok_or(Trouble::Retry { after: None })
    }

    /// The request; `None` where the file or the key gives no proof.
    async fn form(&self) -> Option<Zeroizing<Vec<u8>>> {
        let (name, proof) = self.proof().await?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", &self.client_id).append_pair("scope", &self.scope);
        if name == ASSERTION {
            form.append_pair("client_assertion_type", JWT_BEARER);
        }
        form.append_pair(name, &proof);
        Some(Zeroizing::new(form.finish().into_bytes()))
    }

    /// The parameter that proves the application, and its value.
    async fn proof(&self) -> Option<(&'static str, Zeroizing<String>)> {
        match &self.prover {
            Prover::Secret(secret) => {
                #[expect(clippy::disallowed_methods, reason = "Entra ID is shown the client secret")]
                let text = std::str::from_utf8(secret.expose()).ok()?;
                Some(("client_secret", Zeroizing::new(text.to_owned())))
            }
            Prover::Signer(signer) => Some((ASSERTION, Zeroizing::new(signer.sign()?))),
            Prover::TokenFile(file) => {
                // Read each time: its owner replaces it long before it ends.
                let token = Zeroizing::new(tokio::fs::read_to_string(file).await.ok()?);
                Some((ASSERTION, Zeroizing::new(token.trim_end().to_owned())))
            }
        }
    }
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
    /// In seconds.
    expires_in: u64,
}

impl Issued {
    /// `None` when it cannot be sent in a header.
    fn token(self) -> Option<Token> {
        let token = Secret::new(self.access_token.into_bytes().into_boxed_slice());
        let authorization = credential("Bearer", &token).ok()?;
        let good = Duration::from_secs(self.expires_in.min(24 * 3600)).saturating_sub(MARGIN);
        Some(Token { authorization, good_until: Instant::now() + good, used: false })
    }
}
