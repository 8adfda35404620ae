use super::claims::{Algorithm, Claims, Header, Jwk, MediaType};
use crate::digest::Encoded;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secret::Secret;
use std::fmt;

/// The Ed25519 key that signs leaves; never the key that signs checkpoints.
pub struct EventKey {
    pair: Ed25519KeyPair,
    public: EventPublicKey,
    /// The encoded JOSE header and the dot after it, the same for every leaf.
    header: String,
}

/// The seed is not 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Ed25519 seed is 32 bytes")]
pub struct InvalidSeed;

impl EventKey {
    /// The key of a 32-byte seed (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    /// [`InvalidSeed`] for any other length.
    pub fn from_seed(seed: &Secret) -> Result<Self, InvalidSeed> {
        #[expect(clippy::disallowed_methods, reason = "the seed becomes a key pair, which aws-lc wipes when freed")]
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| InvalidSeed)?;
        let bytes = pair.public_key().as_ref().try_into().map_err(|_| InvalidSeed)?;
        let public = EventPublicKey::new(bytes);
        let header = Header { alg: Algorithm::EdDsa, typ: MediaType::Event, kid: public.kid };
        let header = serde_json::to_vec(&header).expect("invariant: a header is JSON");
        Ok(Self { pair, public, header: URL_SAFE_NO_PAD.encode(header) + "." })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &EventPublicKey {
        &self.public
    }

    /// The compact JWS over `claims` (RFC 7515, section 3.1).
    pub(super) fn sign(&self, claims: &Claims<'_>) -> String {
        let mut payload = Vec::with_capacity(1536);
        serde_json::to_writer(&mut payload, claims).expect("invariant: claims are JSON");
        let mut leaf = String::with_capacity(self.header.len() + payload.len().div_ceil(3) * 4 + 90);
        leaf.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(&payload, &mut leaf);
        let signature = self.pair.sign(leaf.as_bytes());
        leaf.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut leaf);
        leaf
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventKey").field(&self.public).finish()
    }
}

/// An event key's public half, named by its JWK thumbprint (RFC 7638).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPublicKey {
    bytes: Encoded,
    kid: Encoded,
}

impl EventPublicKey {
    /// Takes the 32 bytes of RFC 8032; a value that is no point on the curve verifies nothing.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let bytes = Encoded::new(&bytes);
        let jwk = serde_json::to_vec(&Jwk::new(bytes)).expect("invariant: a JWK is JSON");
        Self { bytes, kid: Encoded::sha256_of(&jwk) }
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.bytes.bytes()
    }

    /// The key id in every leaf it signs: the RFC 7638 thumbprint, base64url.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.kid.as_str()
    }

    /// The JWK's `x`: the 32 bytes in base64url.
    #[must_use]
    pub fn x(&self) -> &str {
        self.bytes.as_str()
    }

    pub(super) fn jwk(&self) -> Jwk {
        Jwk::new(self.bytes)
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.to_bytes()).verify(message, signature).is_ok()
    }
}
