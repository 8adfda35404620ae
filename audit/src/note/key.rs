use super::NoteError;
use crate::Origin;
use crate::digest::sha256;
use crate::leaf::InvalidSeed;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secret::Secret;
use std::fmt;

/// A public key as notes know it: whose it is, what kind of signature it makes, and the id that follows from both.
/// Printed as its verifier key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoteKey {
    name: Origin,
    /// The signature type of the standard.
    kind: u8,
    id: [u8; 4],
    key: [u8; 32],
}

impl NoteKey {
    pub(crate) fn new(name: Origin, kind: u8, key: [u8; 32]) -> Self {
        let [a, b, c, d, ..] = sha256(&[name.as_str().as_bytes(), &[b'\n', kind], &key].concat());
        Self { name, kind, id: [a, b, c, d], key }
    }

    /// Reads a verifier key of this kind and no other.
    pub(crate) fn parse(vkey: &str, kind: u8) -> Result<Self, NoteError> {
        let mut parts = vkey.trim_end().splitn(3, '+');
        let (Some(name), Some(_id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::VerifierKey);
        };
        let name = Origin::new(name).map_err(|_| NoteError::VerifierKey)?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::VerifierKey)?;
        let (found, key) = key.split_first().ok_or(NoteError::VerifierKey)?;
        let parsed = Self::new(name, *found, key.try_into().map_err(|_| NoteError::VerifierKey)?);
        // Comparing the whole text checks the key id too.
        if parsed.kind == kind && parsed.to_string() == vkey.trim_end() {
            Ok(parsed)
        } else {
            Err(NoteError::VerifierKey)
        }
    }

    pub(crate) fn name(&self) -> &Origin {
        &self.name
    }

    /// Whether a signature line of this name and key id is this key's to verify.
    pub(crate) fn is_named(&self, name: &str, id: [u8; 4]) -> bool {
        self.name.as_str() == name && self.id == id
    }

    pub(crate) fn verifies(&self, message: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key).verify(message.as_bytes(), signature).is_ok()
    }

    /// The signature line with its newline.
    pub(crate) fn line(&self, signature: &[u8]) -> String {
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode([&self.id, signature].concat()))
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[self.kind], self.key.as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.id))
    }
}

/// A key that makes signatures of one kind, with its public half.
pub(crate) struct SigningKey {
    pair: Ed25519KeyPair,
    pub(crate) public: NoteKey,
}

impl SigningKey {
    pub(crate) fn from_seed(name: &Origin, kind: u8, seed: &Secret) -> Result<Self, InvalidSeed> {
        #[expect(clippy::disallowed_methods, reason = "the seed becomes a key pair, which aws-lc wipes when freed")]
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| InvalidSeed)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| InvalidSeed)?;
        Ok(Self { pair, public: NoteKey::new(name.clone(), kind, key) })
    }

    pub(crate) fn sign(&self, message: &str) -> Vec<u8> {
        self.pair.sign(message.as_bytes()).as_ref().to_vec()
    }
}
