//! Bringing a key made elsewhere into a provider (BYOK): a second trait, for only some vendors take one.

use crate::{Error, KeyRef};
use async_trait::async_trait;
use std::fmt;

/// Takes in AES-256 keys that were made elsewhere and wrapped for this provider.
#[async_trait]
pub trait ImportKey: fmt::Debug + Send + Sync {
    /// What a ceremony needs to wrap the material of `key`. Where the vendor wants the key to be there before its
    /// material, a missing one is [`Error::NoSuchKey`].
    async fn import_parameters(&self, key: &KeyRef) -> Result<ImportParameters, Error>;

    /// Imports `material`, wrapped by the parameters that `token` came with. Material that does not open, or is no
    /// AES-256 key, is [`Error::Mismatch`].
    async fn import_key(&self, key: &KeyRef, material: &[u8], token: &[u8]) -> Result<(), Error>;
}

/// What a ceremony wraps with. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportParameters {
    /// The vendor's RSA key, as DER SubjectPublicKeyInfo (RFC 5280).
    pub wrapping_key: Vec<u8>,
    /// How the material is wrapped with it.
    pub mechanism: WrappingMechanism,
    /// The hash of OAEP and of its MGF1.
    pub hash: OaepHash,
    /// To be handed back with the material; empty where the vendor has none.
    pub token: Vec<u8>,
    /// When the vendor stops taking material wrapped with this key, in unix seconds.
    pub expires_at: Option<i64>,
}

/// How vendors want material wrapped, by the name of PKCS#11 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrappingMechanism {
    /// `CKM_RSA_AES_KEY_WRAP` (section 6.1.21): RSA-OAEP(ephemeral AES-256 key) || AES-KWP(ephemeral key, key).
    RsaAesKeyWrap,
    /// `CKM_RSA_PKCS_OAEP` (section 6.1.8): RSA-OAEP(key). What AWS asks for: it takes the other for private keys only.
    RsaOaep,
}

/// A hash function, as vendors ask for one in RSA-OAEP (RFC 8017, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OaepHash {
    /// SHA-1: what Azure asks for.
    Sha1,
    /// SHA-256.
    Sha256,
}
