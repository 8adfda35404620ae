//! What a log key signs, as signed notes (C2SP signed-note): checkpoints, which are the tree's head (C2SP tlog-checkpoint,
//! without extension lines), and endorsements of ingress keys. Neither can be read as the other.

use crate::digest::sha256;
use crate::leaf::InvalidSeed;
use crate::{Hash, Origin};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secret::Secret;
use std::fmt;

/// Longest note that is read, in bytes: room for the log's, sixteen witnesses' and post-quantum signatures.
pub const MAX_NOTE: usize = 64 * 1024;

/// The signature type of Ed25519 in key ids and verifier keys.
const ED25519_TYPE: u8 = 0x01;
/// Begins the second line of an endorsement. A checkpoint has a number there.
const INGRESS: &str = "ingress";

/// A tree's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// That a key is the one to seal to for the tenant whose log vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsement {
    /// The log.
    pub origin: Origin,
    /// The ingress key's id.
    pub id: String,
    /// SHA-256 of the public key.
    pub key_hash: Hash,
}

/// Why a verifier key or a note is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not `<name>+<key id>+<key>` with an Ed25519 key and its key id.
    #[error("not an Ed25519 verifier key")]
    VerifierKey,
    /// Not a signed note, or too long.
    #[error("not a signed note")]
    Malformed,
    /// A signature by a known key does not verify.
    #[error("the signature of a known key does not verify")]
    Signature,
    /// None of the known keys that bear the log's name signed it.
    #[error("not signed by a known key of the log that it names")]
    Unsigned,
    /// The text is no checkpoint: origin, size and root on a line each, and no more.
    #[error("the signed text is no checkpoint")]
    Checkpoint,
    /// The text is no endorsement: origin and ingress key on a line each, and no more.
    #[error("the signed text is no endorsement of an ingress key")]
    Endorsement,
}

/// The Ed25519 key that signs a log's checkpoints and vouches for its tenant's ingress keys.
pub struct LogKey {
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl LogKey {
    /// The key of a 32-byte seed for the log `origin`.
    ///
    /// # Errors
    /// [`InvalidSeed`] for any other length.
    pub fn from_seed(origin: &Origin, seed: &Secret) -> Result<Self, InvalidSeed> {
        #[expect(clippy::disallowed_methods, reason = "the seed becomes a key pair, which aws-lc wipes when freed")]
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| InvalidSeed)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| InvalidSeed)?;
        Ok(Self { pair, verifier: Verifier::new(origin.clone(), key) })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The verifier key: `<origin>+<key id>+<key>`, what devices and auditors pin.
    #[must_use]
    pub fn vkey(&self) -> String {
        self.verifier.to_string()
    }

    /// A signed checkpoint. Never call it for two trees of which one does not begin with the other.
    #[must_use]
    pub fn checkpoint(&self, size: u64, root: &Hash) -> String {
        self.sign(&format!("{}\n{size}\n{}\n", self.verifier.origin, STANDARD.encode(root)))
    }

    /// A signed statement that devices may seal to the ingress key `id`, whose public half has this SHA-256.
    ///
    /// `id` is visible ASCII; what is signed for any other is opened by nobody.
    #[must_use]
    pub fn endorse_ingress(&self, id: &str, key_hash: &Hash) -> String {
        self.sign(&format!("{}\n{INGRESS} {id} {}\n", self.verifier.origin, STANDARD.encode(key_hash)))
    }

    fn sign(&self, text: &str) -> String {
        let Verifier { origin, id, .. } = &self.verifier;
        let signature = self.pair.sign(text.as_bytes());
        let signature = STANDARD.encode([id, signature.as_ref()].concat());
        format!("{text}\n\u{2014} {origin} {signature}\n")
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogKey").field(&self.verifier).finish()
    }
}

/// A key that is known to sign for a log. Printed as its verifier key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    origin: Origin,
    id: [u8; 4],
    key: [u8; 32],
}

impl Verifier {
    fn new(origin: Origin, key: [u8; 32]) -> Self {
        let [a, b, c, d, ..] = sha256(&[origin.as_str().as_bytes(), &[b'\n', ED25519_TYPE], &key].concat());
        Self { origin, id: [a, b, c, d], key }
    }

    /// Reads a verifier key.
    ///
    /// # Errors
    /// [`NoteError::VerifierKey`].
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let mut parts = vkey.trim_end().splitn(3, '+');
        let (Some(name), Some(_id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::VerifierKey);
        };
        let origin = Origin::new(name).map_err(|_| NoteError::VerifierKey)?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::VerifierKey)?;
        let (&ED25519_TYPE, key) = key.split_first().ok_or(NoteError::VerifierKey)? else {
            return Err(NoteError::VerifierKey);
        };
        let verifier = Self::new(origin, key.try_into().map_err(|_| NoteError::VerifierKey)?);
        // Comparing the whole text checks the key id too.
        if verifier.to_string() == vkey.trim_end() { Ok(verifier) } else { Err(NoteError::VerifierKey) }
    }

    /// The log it signs for.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    fn is_named(&self, name: &str, id: [u8; 4]) -> bool {
        self.origin.as_str() == name && self.id == id
    }

    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key).verify(text.as_bytes(), signature).is_ok()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519_TYPE], self.key.as_slice()].concat());
        write!(f, "{}+{}+{key}", self.origin, hex::encode(self.id))
    }
}

/// Opens a checkpoint. Signatures of unknown keys are ignored, as the standard demands; one of a known key that does not
/// verify refuses the note, and one of the log that the text names must be there.
///
/// # Errors
/// [`NoteError`].
pub fn open(note: &str, verifiers: &[Verifier]) -> Result<Checkpoint, NoteError> {
    let (text, signers) = verified(note, verifiers)?;
    let checkpoint = parse_checkpoint(text).ok_or(NoteError::Checkpoint)?;
    if signers.contains(&&checkpoint.origin) { Ok(checkpoint) } else { Err(NoteError::Unsigned) }
}

/// Opens an endorsement of an ingress key; signatures count as in [`open`].
///
/// # Errors
/// [`NoteError`].
pub fn open_ingress(note: &str, verifiers: &[Verifier]) -> Result<Endorsement, NoteError> {
    let (text, signers) = verified(note, verifiers)?;
    let endorsement = parse_endorsement(text).ok_or(NoteError::Endorsement)?;
    if signers.contains(&&endorsement.origin) { Ok(endorsement) } else { Err(NoteError::Unsigned) }
}

/// The signed text, and the names of the known keys that signed it: at least one.
fn verified<'a>(note: &'a str, verifiers: &'a [Verifier]) -> Result<(&'a str, Vec<&'a Origin>), NoteError> {
    let (text, signatures) = split(note)?;
    let mut signers = Vec::new();
    for (name, id, signature) in signatures {
        let Some(verifier) = verifiers.iter().find(|verifier| verifier.is_named(name, id)) else { continue };
        if !verifier.verifies(text, &signature) {
            return Err(NoteError::Signature);
        }
        signers.push(verifier.origin());
    }
    if signers.is_empty() { Err(NoteError::Unsigned) } else { Ok((text, signers)) }
}

type Signature<'a> = (&'a str, [u8; 4], Vec<u8>);

/// The text with its last newline, and the signature lines taken apart.
fn split(note: &str) -> Result<(&str, Vec<Signature<'_>>), NoteError> {
    let control = |c: char| c < ' ' && c != '\n';
    if note.len() > MAX_NOTE || note.contains(control) {
        return Err(NoteError::Malformed);
    }
    let end = note.rfind("\n\n").ok_or(NoteError::Malformed)? + 1;
    let (text, rest) = note.split_at(end);
    let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n')).ok_or(NoteError::Malformed)?;
    let signatures: Option<_> = lines.split('\n').map(parse_signature).collect();
    Ok((text, signatures.ok_or(NoteError::Malformed)?))
}

fn parse_signature(line: &str) -> Option<Signature<'_>> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let signature = STANDARD.decode(signature).ok()?;
    let (id, signature) = signature.split_first_chunk()?;
    let named = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+');
    named.then(|| (name, *id, signature.to_vec()))
}

fn parse_checkpoint(text: &str) -> Option<Checkpoint> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
    let root = STANDARD.decode(root).ok()?.try_into().ok()?;
    let checkpoint = Checkpoint { origin: Origin::new(origin).ok()?, size: size.parse().ok()?, root };
    (lines.next().is_none() && checkpoint.size.to_string() == size).then_some(checkpoint)
}

fn parse_endorsement(text: &str) -> Option<Endorsement> {
    let (origin, line) = text.strip_suffix('\n')?.split_once('\n')?;
    let (id, hash) = line.strip_prefix(INGRESS)?.strip_prefix(' ')?.split_once(' ')?;
    let key_hash = STANDARD.decode(hash).ok()?.try_into().ok()?;
    let named = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    Some(Endorsement { origin: Origin::new(origin).ok()?, id: id.to_owned(), key_hash }).filter(|_| named)
}
