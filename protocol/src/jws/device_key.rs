//! The signing half of a device's key.

use super::{Header, PublicJwk, Signer, flatten};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use secret::Secret;

/// A device's private key, in software. Its [`PublicJwk`] says which algorithm it signs with.
pub struct DeviceKey {
    pair: Pair,
    public: PublicJwk,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Bytes that are not the PKCS#8 of a P-256 or Ed25519 private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the PKCS#8 of a P-256 or Ed25519 private key")]
pub struct KeyRejected;

impl DeviceKey {
    /// A new P-256 key.
    #[must_use]
    pub fn generate_p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .expect("invariant: the system random number generator works");
        Self::of(Pair::P256(pair)).expect("invariant: a new key is valid")
    }

    /// A new Ed25519 key.
    #[must_use]
    pub fn generate_ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().expect("invariant: the system random number generator works");
        Self::of(Pair::Ed25519(pair)).expect("invariant: a new key is valid")
    }

    /// Reads back what [`Self::to_pkcs8`] wrote, or any PKCS#8 (RFC 5208, RFC 5958) of either type of key.
    ///
    /// # Errors
    /// [`KeyRejected`] for everything else.
    #[expect(clippy::disallowed_methods, reason = "the signing key is parsed straight from the secret")]
    pub fn from_pkcs8(pkcs8: &Secret) -> Result<Self, KeyRejected> {
        let bytes = pkcs8.expose();
        let pair = Ed25519KeyPair::from_pkcs8(bytes)
            .map(Pair::Ed25519)
            .or_else(|_| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).map(Pair::P256))
            .map_err(|_| KeyRejected)?;
        Self::of(pair)
    }

    /// The PKCS#8 version 1 (RFC 5208) of the key, for storage under encryption.
    #[must_use]
    pub fn to_pkcs8(&self) -> Secret {
        let document = match &self.pair {
            Pair::P256(pair) => pair.to_pkcs8v1(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1(),
        };
        Secret::copied_from(document.expect("invariant: a valid key has a PKCS#8").as_ref())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// The body of a signed request: `payload` (empty for POST-as-GET) for the full public `url`, spending `nonce`.
    #[must_use]
    pub fn sign_request(&self, signer: &Signer, nonce: &str, url: &str, payload: &[u8]) -> Vec<u8> {
        let (kid, jwk) = match signer {
            Signer::Kid(kid) => (Some(kid.clone()), None),
            Signer::Jwk(jwk) => (None, Some(jwk.clone())),
        };
        let header = Header { alg: self.public.alg(), kid, jwk, nonce: nonce.to_owned(), url: url.to_owned() };
        flatten(&header, payload, |input| self.sign(input))
    }

    fn sign(&self, input: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), input).map(|signature| signature.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.try_sign(input).map(|signature| signature.as_ref().to_vec()),
        }
        .expect("invariant: a valid key signs")
    }

    fn of(pair: Pair) -> Result<Self, KeyRejected> {
        let public = match &pair {
            Pair::P256(pair) => split_point(pair.public_key().as_ref()).map(|(x, y)| PublicJwk::p256(x, y)),
            Pair::Ed25519(pair) => pair.public_key().as_ref().try_into().ok().map(PublicJwk::ed25519),
        };
        let public = public.and_then(Result::ok).ok_or(KeyRejected)?;
        Ok(Self { pair, public })
    }
}

/// The coordinates of an uncompressed point, `04 || x || y` (SEC 1, section 2.3.3).
fn split_point(point: &[u8]) -> Option<(&[u8; 32], &[u8; 32])> {
    let (x, rest) = point.strip_prefix(&[4])?.split_first_chunk()?;
    Some((x, rest.try_into().ok()?))
}
