//! Entra ID: tokens for client assertions (certificate or federated) and for the machine's own identity.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey};
use axum::http::{HeaderMap, header};
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, PublicKeyData};
use serde_json::{Value, json};
use std::collections::HashMap;
use url::form_urlencoded;

/// How long tokens live, in seconds.
const LIFETIME: i64 = 3600;
/// How wrong a caller's clock may be, in seconds.
const SKEW: i64 = 300;
/// What a challenge demands; a token request shows that it has seen it by the value.
const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}"#;
const CLAIMS_VALUE: &str = "1700000000";
/// Some of Microsoft's clients pad their base64url, and Entra ID takes it.
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The directory.
#[derive(Debug)]
pub(super) struct Entra {
    url: String,
    /// What tokens are for.
    resource: &'static str,
    applications: HashMap<String, Application>,
    machine: Option<String>,
    tokens: HashMap<String, Token>,
    claims_demanded: bool,
}

#[derive(Debug, Default)]
struct Application {
    secret: Option<String>,
    certificate: Option<Certificate>,
    federated: Option<String>,
}

#[derive(Debug)]
struct Certificate {
    der: Vec<u8>,
    public_key: Vec<u8>,
}

#[derive(Debug)]
struct Token {
    expires: i64,
    with_claims: bool,
}

/// What an application signs its assertions with.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PKCS#8 in PEM.
    pub key_pem: String,
}

/// Why there is no token.
#[derive(Debug)]
pub(super) struct Unproven {
    error: &'static str,
    number: u32,
    description: &'static str,
}

impl Unproven {
    /// As Entra ID words it.
    pub(super) fn body(&self) -> Value {
        let Self { error, number, description } = self;
        json!({
            "error": error, "error_codes": [number], "error_description": format!("AADSTS{number}: {description}"),
        })
    }
}

impl Entra {
    pub(super) fn new(url: String, resource: &'static str) -> Self {
        let (applications, tokens) = (HashMap::new(), HashMap::new());
        Self { url, resource, applications, machine: None, tokens, claims_demanded: false }
    }

    /// Gives an application a client secret.
    pub(super) fn add_secret(&mut self, client_id: &str, secret: &str) {
        self.applications.entry(client_id.to_owned()).or_default().secret = Some(secret.to_owned());
    }

    pub(super) fn register(&mut self, client_id: &str) -> Registration {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("RSA keys can be made");
        let certificate = CertificateParams::default().self_signed(&key).expect("a certificate can be made");
        let application = self.applications.entry(client_id.to_owned()).or_default();
        let (der, public_key) = (certificate.der().to_vec(), key.subject_public_key_info());
        application.certificate = Some(Certificate { der, public_key });
        Registration { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    pub(super) fn federate(&mut self, client_id: &str, token: &str) {
        self.applications.entry(client_id.to_owned()).or_default().federated = Some(token.to_owned());
    }

    pub(super) fn assign_identity(&mut self, secret: &str) {
        self.machine = Some(secret.to_owned());
    }

    pub(super) fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn demand_claims(&mut self) {
        self.claims_demanded = true;
    }

    /// Whether a request bears a good token; else the challenge.
    pub(super) fn authenticate(&self, now: i64, headers: &HeaderMap) -> Result<(), String> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| self.tokens.get(value.strip_prefix("Bearer ")?));
        match token.filter(|token| token.expires > now) {
            None => Err(format!(r#"Bearer authorization="{}/tenant", resource="{}""#, self.url, self.resource)),
            Some(token) if self.claims_demanded && !token.with_claims => {
                let claims = BASE64_STANDARD.encode(CLAIMS);
                let endpoint = format!("{}/common/oauth2/authorize", self.url);
                Err(format!(
                    r#"Bearer realm="", authorization_uri="{endpoint}", error="insufficient_claims", claims="{claims}""#
                ))
            }
            Some(_) => Ok(()),
        }
    }

    /// `GET /{tenant}/v2.0/.well-known/openid-configuration`.
    pub(super) fn configuration(&self, tenant: &str) -> Value {
        json!({
            "issuer": format!("{}/{tenant}/v2.0", self.url),
            "authorization_endpoint": format!("{}/{tenant}/oauth2/v2.0/authorize", self.url),
            "token_endpoint": self.token_endpoint(tenant),
        })
    }

    /// `POST /{tenant}/oauth2/v2.0/token`, client credentials with an assertion (RFC 7523, section 2.2).
    pub(super) fn token(&mut self, now: i64, tenant: &str, body: &[u8]) -> Result<Value, Unproven> {
        let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let resource = field("scope").strip_suffix("/.default");
        if field("grant_type") != "client_credentials" || resource != Some(self.resource) {
            let description = "The provided value for the input parameter 'scope' is not valid.";
            return Err(Unproven { error: "invalid_scope", number: 70011, description });
        }
        let secret = self.applications.get(field("client_id")).and_then(|application| application.secret.as_deref());
        let jwt_bearer = field("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let asserted = jwt_bearer && self.proves(now, tenant, field("client_id"), field("client_assertion"));
        if !(asserted || secret.is_some_and(|secret| secret == field("client_secret"))) {
            let description = "Client assertion failed signature validation.";
            return Err(Unproven { error: "invalid_client", number: 700_027, description });
        }
        let token = self.issue(now, field("claims").contains(CLAIMS_VALUE));
        Ok(json!({
            "token_type": "Bearer", "expires_in": LIFETIME, "ext_expires_in": LIFETIME, "access_token": token,
        }))
    }

    /// `GET /msi/token`, what App Service answers to the code that it runs.
    pub(super) fn machine_token(&mut self, now: i64, query: &str, headers: &HeaderMap) -> Result<Value, Unproven> {
        let secret = headers.get("x-identity-header").and_then(|value| value.to_str().ok());
        let resource =
            form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "resource" && value == self.resource);
        if !resource || self.machine.as_deref() != secret || secret.is_none() {
            return Err(Unproven { error: "invalid_request", number: 500_011, description: "No such identity." });
        }
        let token = self.issue(now, false);
        let expires_on = (now + LIFETIME).to_string();
        Ok(json!({"access_token": token, "expires_on": expires_on, "resource": self.resource, "token_type": "Bearer"}))
    }

    fn issue(&mut self, now: i64, with_claims: bool) -> String {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
        let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        self.tokens.insert(token.clone(), Token { expires: now + LIFETIME, with_claims });
        token
    }

    fn proves(&self, now: i64, tenant: &str, client_id: &str, assertion: &str) -> bool {
        let Some(application) = self.applications.get(client_id) else { return false };
        let federated = application.federated.as_deref() == Some(assertion);
        let audience = self.token_endpoint(tenant);
        let claims = application.certificate.as_ref().and_then(|certificate| certificate.verified(assertion));
        let signed = claims.is_some_and(|claims| acceptable(&claims, now, client_id, &audience));
        federated || signed
    }

    fn token_endpoint(&self, tenant: &str) -> String {
        format!("{}/{tenant}/oauth2/v2.0/token", self.url)
    }
}

impl Certificate {
    /// The claims of a JWS that this certificate's key has signed, and that names the certificate: PS256 with
    /// `x5t#S256`, or as older clients do RS256 with `x5t`.
    fn verified(&self, assertion: &str) -> Option<Value> {
        let (message, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let [header, claims, signature] = [header, claims, signature].map(|part| BASE64_URL.decode(part).ok());
        let header: Value = serde_json::from_slice(&header?).ok()?;
        let (algorithm, name, hash): (&RsaParameters, _, _) = match header["alg"].as_str()? {
            "PS256" => (&RSA_PSS_2048_8192_SHA256, "x5t#S256", &SHA256),
            "RS256" => (&RSA_PKCS1_2048_8192_SHA256, "x5t", &SHA1_FOR_LEGACY_USE_ONLY),
            _ => return None,
        };
        let thumbprint = BASE64_URL.decode(header[name].as_str()?).ok()?;
        let key = UnparsedPublicKey::new(algorithm, &self.public_key);
        key.verify(message.as_bytes(), &signature?).ok()?;
        let named = header["typ"] == "JWT" && thumbprint == digest(hash, &self.der).as_ref();
        serde_json::from_slice(&claims?).ok().filter(|_| named)
    }
}

/// What Entra ID asks of the claims; lifetimes of more than a day it refuses.
fn acceptable(claims: &Value, now: i64, client_id: &str, audience: &str) -> bool {
    // A NumericDate may have fractions (RFC 7519, section 2).
    let time = |name: &str| claims[name].as_f64().map(|seconds| seconds as i64);
    let (Some(begin), Some(end)) = (time("nbf").or(time("iat")), time("exp")) else { return false };
    let named = claims["iss"] == client_id && claims["sub"] == client_id && claims["aud"] == audience;
    let unique = claims["jti"].as_str().is_some_and(|jti| !jti.is_empty());
    named && unique && begin <= now + SKEW && end > now - SKEW && end - begin <= 86_400
}
