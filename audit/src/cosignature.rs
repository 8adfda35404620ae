//! Cosignatures: a witness's word that a checkpoint continues all it has seen of that log (C2SP tlog-cosignature,
//! Ed25519, timestamped).

use crate::Origin;
use crate::leaf::InvalidSeed;
use crate::note::{NoteError, NoteKey, SigningKey, parse_checkpoint, split};
use secret::Secret;
use std::fmt;

/// The signature type of timestamped Ed25519 cosignatures.
const COSIGNATURE_TYPE: u8 = 0x04;

/// The Ed25519 key of a witness. It must sign nothing but cosignatures, for one name: the signed text has no name in it.
pub struct CosignerKey {
    key: SigningKey,
    cosigner: Cosigner,
}

impl CosignerKey {
    /// The key of a 32-byte seed for the witness `name`, by convention a URL without its scheme.
    ///
    /// # Errors
    /// [`InvalidSeed`] for any other length.
    pub fn from_seed(name: &Origin, seed: &Secret) -> Result<Self, InvalidSeed> {
        let key = SigningKey::from_seed(name, COSIGNATURE_TYPE, seed)?;
        let cosigner = Cosigner(key.public.clone());
        Ok(Self { key, cosigner })
    }

    /// The public half.
    #[must_use]
    pub fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// The line that joins the checkpoint's signatures. `at` is in Unix seconds. Whether the checkpoint deserves it is the
    /// caller's to know.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] and [`NoteError::Checkpoint`].
    pub fn cosign(&self, checkpoint: &str, at: u64) -> Result<String, NoteError> {
        let (text, _) = split(checkpoint)?;
        parse_checkpoint(text).ok_or(NoteError::Checkpoint)?;
        let signature = self.key.sign(&message(text, at));
        Ok(self.cosigner.0.line(&[&at.to_be_bytes(), signature.as_slice()].concat()))
    }
}

impl fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CosignerKey").field(&self.cosigner).finish()
    }
}

/// A witness as it is known to others. Printed as its verifier key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigner(NoteKey);

impl Cosigner {
    /// Reads a verifier key of signature type 0x04.
    ///
    /// # Errors
    /// [`NoteError::VerifierKey`], also for a log's key.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        NoteKey::parse(vkey, COSIGNATURE_TYPE).map(Self)
    }

    /// Its name in signature lines.
    #[must_use]
    pub fn name(&self) -> &Origin {
        self.0.name()
    }

    /// The time in the signature, where all of it verifies.
    fn verifies(&self, text: &str, signature: &[u8]) -> Option<u64> {
        let (at, signature) = signature.split_first_chunk()?;
        let at = u64::from_be_bytes(*at);
        let dated = (1..=i64::MAX.unsigned_abs()).contains(&at);
        (dated && self.0.verifies(&message(text, at), signature)).then_some(at)
    }
}

impl fmt::Display for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A cosignature that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// Whose.
    pub cosigner: Cosigner,
    /// Unix seconds, by the witness's clock.
    pub at: u64,
    /// The signature line with its newline.
    pub line: String,
}

/// What these witnesses have signed of a checkpoint, in the order of its lines. Other lines are ignored, the log's own
/// too: [`crate::note::open`] looks at that.
///
/// # Errors
/// [`NoteError`]; [`NoteError::Signature`] when the cosignature of one of them does not verify.
pub fn cosignatures(checkpoint: &str, cosigners: &[Cosigner]) -> Result<Vec<Cosignature>, NoteError> {
    let (text, signatures) = split(checkpoint)?;
    parse_checkpoint(text).ok_or(NoteError::Checkpoint)?;
    let mut found = Vec::new();
    for (name, id, signature) in signatures {
        let Some(cosigner) = cosigners.iter().find(|cosigner| cosigner.0.is_named(name, id)) else { continue };
        let at = cosigner.verifies(text, &signature).ok_or(NoteError::Signature)?;
        found.push(Cosignature { cosigner: cosigner.clone(), at, line: cosigner.0.line(&signature) });
    }
    Ok(found)
}

/// What is signed: the time and the whole text of the checkpoint.
fn message(text: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}
