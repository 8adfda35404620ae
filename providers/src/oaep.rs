//! RSA-OAEP with SHA-256 (RFC 8017, section 7.1), for vendors that give out the public key and let others wrap.

use crate::payload::Payload;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::{self, PemObject};
use thiserror::Error;

/// Why a public key does not wrap.
#[derive(Debug, Error)]
pub(crate) enum OaepError {
    /// It is not PEM.
    #[error("the public key is not PEM")]
    Pem(#[source] pem::Error),
    /// It is no RSA key that can be used.
    #[error("the public key is not one of RSA with 2048 to 8192 bits")]
    Key,
    /// It is too small for the payload.
    #[error("the RSA key is too small for the payload")]
    Length,
}

/// The SubjectPublicKeyInfo (RFC 5280) in `text`.
pub(crate) fn der_from_pem(text: &str) -> Result<Vec<u8>, OaepError> {
    Ok(SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(OaepError::Pem)?.to_vec())
}

/// Wraps `payload` with a SubjectPublicKeyInfo.
pub(crate) fn encrypt(public_key: &[u8], payload: &Payload) -> Result<Vec<u8>, OaepError> {
    let key = PublicEncryptingKey::from_der(public_key).map_err(|_| OaepError::Key)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| OaepError::Key)?;
    let mut wrapped = vec![0; key.ciphertext_size()];
    #[expect(clippy::disallowed_methods, reason = "the payload is wrapped")]
    let plaintext = payload.bytes().expose();
    let len = key.encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut wrapped, None).map_err(|_| OaepError::Length)?.len();
    wrapped.truncate(len);
    Ok(wrapped)
}
