//! What an application says of itself with its certificate's key: PS256, the certificate named by its SHA-256.

use super::OpenError;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secret::Secret;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

/// In seconds.
const LIFETIME: i64 = 300;

/// Signs for one application towards one token endpoint.
#[derive(Debug)]
pub(super) struct Signer {
    header: Value,
    endpoint: String,
    client_id: String,
    key: KeyPair,
}

impl Signer {
    /// The first certificate is the application's.
    pub(super) fn new(endpoint: &str, client_id: &str, certificate: &[u8], key: &Secret) -> Result<Self, OpenError> {
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| OpenError::Certificate)?;
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
        let header = json!({"typ": "JWT", "alg": "PS256", "x5t#S256": thumbprint});
        let key = rsa(key).ok_or(OpenError::Key)?;
        Ok(Self { header, endpoint: endpoint.to_owned(), client_id: client_id.to_owned(), key })
    }

    /// A fresh assertion (RFC 7523, section 3), in compact serialisation; `None` where the key cannot sign.
    pub(super) fn sign(&self) -> Option<String> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let Self { header, endpoint, client_id, key } = self;
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": endpoint, "jti": Uuid::new_v4(),
            "nbf": now, "iat": now, "exp": now + LIFETIME,
        });
        let [header, claims] = [header, &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// From PKCS#8 or PKCS#1 in PEM.
fn rsa(pem: &Secret) -> Option<KeyPair> {
    #[expect(clippy::disallowed_methods, reason = "the key is read, to sign with")]
    let key = Zeroizing::new(PrivateKeyDer::from_pem_slice(pem.expose()).ok()?);
    match &*key {
        PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()).ok(),
        _ => None,
    }
}
