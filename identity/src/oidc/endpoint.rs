//! What the issuer is asked over the network, and what it says of itself. Each answer is bounded in size and time.

use super::{Client, MAX_ANSWER, OidcError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, RequestBuilder, Response, StatusCode, redirect, retry};
use secret::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

const TIMEOUT: Duration = Duration::from_secs(10);

/// What is used of the discovery document (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    /// RFC 9207, section 3.
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(super) names_itself: bool,
}

/// What the token endpoint gives for a code (RFC 6749, section 5.1). The access token opens nothing here, and is dropped.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    pub(super) access_token: Option<String>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

pub(super) fn client(ca_pem: Option<&[u8]>) -> Result<reqwest::Client, OidcError> {
    // `reqwest` panics where nobody has chosen a TLS provider. An error here means that somebody has by now.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .https_only(true)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .timeout(TIMEOUT)
        .user_agent(concat!("keyfold/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = ca_pem {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(OidcError::Roots)?);
    }
    builder.build().map_err(OidcError::Roots)
}

/// The issuer's own description: it must be about that very issuer, and all it names must be under TLS.
pub(super) async fn metadata(http: &reqwest::Client, issuer: &str) -> Result<Metadata, OidcError> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let metadata: Metadata = read(http.get(address)).await?;
    if metadata.issuer != issuer {
        return Err(OidcError::AnotherIssuer);
    }
    let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
    if endpoints.iter().any(|endpoint| endpoint.scheme() != "https") {
        return Err(OidcError::Endpoint);
    }
    Ok(metadata)
}

/// The JSON of an answer with a good status.
pub(super) async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, OidcError> {
    let response = request.send().await.map_err(unreachable)?;
    if response.status() != StatusCode::OK {
        return Err(OidcError::Status(response.status().as_u16()));
    }
    parse(&body(response).await?)
}

/// The tokens for a code (OpenID Connect Core 1.0, section 3.1.3); `request` goes to the token endpoint. A client with a secret
/// shows it by HTTP Basic.
pub(super) async fn exchange(
    request: RequestBuilder,
    (client_id, client): (&str, &Client),
    (code, verifier): (&str, &str),
) -> Result<Tokens, OidcError> {
    let request = request.form(&[
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("code", code),
        ("code_verifier", verifier),
    ]);
    let request = match &client.secret {
        Some(secret) => request.header(AUTHORIZATION, basic(client_id, secret)),
        None => request,
    };
    let response = request.send().await.map_err(unreachable)?;
    match response.status() {
        StatusCode::OK => parse(&body(response).await?),
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Err(refusal(response).await?),
        other => Err(OidcError::Status(other.as_u16())),
    }
}

async fn refusal(response: Response) -> Result<OidcError, OidcError> {
    let status = response.status().as_u16();
    let refusal: Refusal = parse(&body(response).await?)?;
    Ok(match refusal.error.as_str() {
        "invalid_grant" => OidcError::CodeRefused,
        "invalid_client" | "unauthorized_client" => OidcError::ClientRefused,
        _ => OidcError::Status(status),
    })
}

/// RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
fn basic(client_id: &str, secret: &Secret) -> HeaderValue {
    let mut pair = Zeroizing::new(byte_serialize(client_id.as_bytes()).collect::<String>());
    pair.push(':');
    #[expect(clippy::disallowed_methods, reason = "the issuer is shown the client's secret")]
    pair.extend(byte_serialize(secret.expose()));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).expect("invariant: Base64 fits into a header");
    value.set_sensitive(true);
    value
}

async fn body(mut response: Response) -> Result<Vec<u8>, OidcError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if chunk.len() > MAX_ANSWER - body.len() {
            return Err(OidcError::LongAnswer);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, OidcError> {
    serde_json::from_slice(body).map_err(OidcError::MalformedAnswer)
}

fn unreachable(error: reqwest::Error) -> OidcError {
    OidcError::Unreachable(error.without_url())
}
