//! Signed requests: a flattened JWS (RFC 7515, section 7.2.2) in the convention of ACME (RFC 8555, section 6).
//!
//! The protected header has exactly `alg`, `nonce`, `url`, and one of `kid` and `jwk`. There is no unprotected header.

mod device_key;
mod jwk;

pub use device_key::{DeviceKey, KeyRejected};
pub use jwk::{BadJwk, PublicJwk};

use crate::encoding::{Malformed, borrow_json, from_base64url, to_base64url};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::{Deserialize, Deserializer, Serialize};

/// Largest body of a signed request, in bytes; a bundle of [`crate::record::MAX_BUNDLE`] fits.
pub const MAX_BODY: usize = 128 * 1024;
/// Media type of a signed request.
pub const CONTENT_TYPE: &str = "application/jose+json";

const MAX_PROTECTED: usize = 4096;
const MAX_KID: usize = 128;
const MAX_NONCE: usize = 128;
const MAX_URL: usize = 2048;
/// Both algorithms sign in 64 bytes: `r || s` (RFC 7518, section 3.4) and `R || S` (RFC 8032).
const SIGNATURE_LEN: usize = 64;

/// The signature algorithms there are; the key decides which, nothing is negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alg {
    /// ECDSA on P-256 with SHA-256, for keys in hardware.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519, for keys in software.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Who says they signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// A device that is enrolled, by its id.
    Kid(String),
    /// A device that enrols, by its key.
    Jwk(PublicJwk),
}

/// Why a body is not a request that this key signed.
#[derive(Debug, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`MAX_BODY`].
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLong,
    /// The outer object is not exactly `protected`, `payload` and `signature`, each unescaped base64url.
    #[error("the body is not a flattened JWS")]
    Body,
    /// The protected header has a member too many, too few, twice, or of a wrong form.
    #[error("the protected header is not one of a signed request")]
    Header,
    /// The key is of another type than `alg` says.
    #[error("the algorithm is not that of the key")]
    Algorithm,
    /// The key did not sign this.
    #[error("the signature is not of this key over this request")]
    Signature,
}

/// A request whose signature nobody has checked yet: good for looking up the key, for nothing else.
#[derive(Debug)]
pub struct Unverified {
    /// Who is said to have signed.
    pub signer: Signer,
    /// The nonce it is said to spend.
    pub nonce: String,
    /// The URL it is said to be for.
    pub url: String,
    alg: Alg,
    signing_input: Vec<u8>,
    signature: Vec<u8>,
    payload: Vec<u8>,
}

/// A request as its key signed it. Whether nonce and URL are the right ones is the receiver's to check.
#[derive(Debug)]
pub struct Verified {
    /// The signed payload; empty for a POST-as-GET.
    pub payload: Vec<u8>,
    /// The nonce that the signer spends.
    pub nonce: String,
    /// The full public URL that the signer meant.
    pub url: String,
}

impl Unverified {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`JwsError::TooLong`], [`JwsError::Body`] or [`JwsError::Header`].
    pub fn parse(body: &[u8]) -> Result<Self, JwsError> {
        if body.len() > MAX_BODY {
            return Err(JwsError::TooLong);
        }
        let flattened: Flattened<'_> = borrow_json(body).map_err(|Malformed { .. }| JwsError::Body)?;
        let header = Header::parse(flattened.protected)?;
        let signature = from_base64url(flattened.signature).map_err(|_| JwsError::Body)?;
        if signature.len() != SIGNATURE_LEN {
            return Err(JwsError::Body);
        }
        Ok(Self {
            signer: header.signer()?,
            nonce: header.nonce,
            url: header.url,
            alg: header.alg,
            signing_input: signing_input(flattened.protected, flattened.payload),
            signature,
            payload: from_base64url(flattened.payload).map_err(|_| JwsError::Body)?,
        })
    }

    /// Checks the signature with the key that is on file for the signer, or with the one it brought to enrol.
    ///
    /// # Errors
    /// [`JwsError::Algorithm`] or [`JwsError::Signature`].
    pub fn verify(self, key: &PublicJwk) -> Result<Verified, JwsError> {
        if self.alg != key.alg() {
            return Err(JwsError::Algorithm);
        }
        let algorithm: &'static dyn VerificationAlgorithm = match self.alg {
            Alg::Es256 => &ECDSA_P256_SHA256_FIXED,
            Alg::EdDsa => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, key.raw())
            .verify(&self.signing_input, &self.signature)
            .map_err(|_| JwsError::Signature)?;
        Ok(Verified { payload: self.payload, nonce: self.nonce, url: self.url })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened<'a> {
    protected: &'a str,
    payload: &'a str,
    signature: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Alg,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    jwk: Option<PublicJwk>,
    nonce: String,
    url: String,
}

impl Header {
    fn parse(protected: &str) -> Result<Self, JwsError> {
        if protected.len() > MAX_PROTECTED {
            return Err(JwsError::Header);
        }
        let json = from_base64url(protected).map_err(|_| JwsError::Header)?;
        let header: Self = borrow_json(&json).map_err(|Malformed { .. }| JwsError::Header)?;
        let short = is_graphic(&header.nonce, MAX_NONCE) && is_graphic(&header.url, MAX_URL);
        short.then_some(header).ok_or(JwsError::Header)
    }

    fn signer(&self) -> Result<Signer, JwsError> {
        match (&self.kid, &self.jwk) {
            (Some(kid), None) if is_graphic(kid, MAX_KID) => Ok(Signer::Kid(kid.clone())),
            (None, Some(jwk)) if jwk.alg() == self.alg => Ok(Signer::Jwk(jwk.clone())),
            (Some(_) | None, Some(_) | None) => Err(JwsError::Header),
        }
    }
}

/// A member that is there has a value: `null` is not absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn is_graphic(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn signing_input(protected: &str, payload: &str) -> Vec<u8> {
    [protected.as_bytes(), b".", payload.as_bytes()].concat()
}

/// The body of a request whose header is `header`, signed by `sign`, which gives 64 bytes.
fn flatten(header: &Header, payload: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let protected = to_base64url(&serde_json::to_vec(header).expect("invariant: a header of texts is JSON"));
    let payload = to_base64url(payload);
    let signature = to_base64url(&sign(&signing_input(&protected, &payload)));
    let flattened = Flattened { protected: &protected, payload: &payload, signature: &signature };
    serde_json::to_vec(&flattened).expect("invariant: three texts are JSON")
}

#[cfg(test)]
mod tests;
