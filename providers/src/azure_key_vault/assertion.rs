//! Client assertions signed with a certificate's key (RFC 7523, section 3), as Entra ID wants them: PS256, and the
//! certificate named by its SHA-256.

use super::ConnectError;
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use azure_core::error::ErrorKind;
use azure_core::http::ClientMethodOptions;
use azure_core::time::OffsetDateTime;
use azure_identity::ClientAssertion;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secret::Secret;
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How long an assertion is good for, in seconds.
const LIFETIME: i64 = 300;

/// Signs for one application towards one token endpoint.
#[derive(Debug)]
pub(super) struct Signer {
    audience: String,
    client_id: String,
    header: Value,
    key: KeyPair,
}

/// A signer as the SDK asks it.
#[derive(Debug)]
pub(super) struct CertificateAssertion(pub(super) Arc<Signer>);

impl Signer {
    /// `certificate` and `key` are PEM; the first certificate is the application's.
    pub(super) fn new(
        audience: String,
        client_id: String,
        certificate: &[u8],
        key: &Secret,
    ) -> Result<Self, ConnectError> {
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| ConnectError::Certificate)?;
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
        Ok(Self { audience, client_id, header, key: key_pair(key)? })
    }

    /// A fresh assertion, in compact serialisation (RFC 7515).
    fn sign(&self, now: i64) -> Result<String, aws_lc_rs::error::Unspecified> {
        let mut jti = [0; 16];
        rand::fill(&mut jti)?;
        let claims = json!({
            "aud": self.audience, "iss": self.client_id, "sub": self.client_id,
            "jti": BASE64_URL_SAFE_NO_PAD.encode(jti), "iat": now, "nbf": now, "exp": now + LIFETIME,
        });
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&self.header), encode(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)?;
        Ok(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[async_trait]
impl ClientAssertion for CertificateAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let signed = self.0.sign(OffsetDateTime::now_utc().unix_timestamp());
        signed.map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))
    }
}

fn key_pair(key: &Secret) -> Result<KeyPair, ConnectError> {
    #[expect(clippy::disallowed_methods, reason = "the key is read, to sign with")]
    let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| ConnectError::Key)?;
    let key = Zeroizing::new(key);
    match &*key {
        PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(ConnectError::Key),
    }
    .map_err(|_| ConnectError::Key)
}
