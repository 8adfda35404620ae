//! What a log key signs, as signed notes (C2SP signed-note): checkpoints, which are the tree's head (C2SP tlog-checkpoint,
//! without extension lines), and endorsements of ingress keys. Neither can be read as the other.

mod key;

use crate::leaf::InvalidSeed;
use crate::{Hash, Origin};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
pub(crate) use key::{NoteKey, SigningKey};
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
    key: SigningKey,
    verifier: Verifier,
}

impl LogKey {
    /// The key of a 32-byte seed for the log `origin`.
    ///
    /// # Errors
    /// [`InvalidSeed`] for any other length.
    pub fn from_seed(origin: &Origin, seed: &Secret) -> Result<Self, InvalidSeed> {
        let key = SigningKey::from_seed(origin, ED25519_TYPE, seed)?;
        let verifier = Verifier(key.public.clone());
        Ok(Self { key, verifier })
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
        self.sign(&format!("{}\n{size}\n{}\n", self.verifier.origin(), STANDARD.encode(root)))
    }

    /// A signed statement that devices may seal to the ingress key `id`, whose public half has this SHA-256.
    ///
    /// `id` is visible ASCII; what is signed for any other is opened by nobody.
    #[must_use]
    pub fn endorse_ingress(&self, id: &str, key_hash: &Hash) -> String {
        self.sign(&format!("{}\n{INGRESS} {id} {}\n", self.verifier.origin(), STANDARD.encode(key_hash)))
    }

    fn sign(&self, text: &str) -> String {
        format!("{text}\n{}", self.verifier.0.line(&self.key.sign(text)))
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogKey").field(&self.verifier).finish()
    }
}

/// A key that is known to sign for a log. Printed as its verifier key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier(NoteKey);

impl Verifier {
    /// Reads a verifier key.
    ///
    /// # Errors
    /// [`NoteError::VerifierKey`].
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        NoteKey::parse(vkey, ED25519_TYPE).map(Self)
    }

    /// The log it signs for.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.0.name()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
    if is_signed_for(&checkpoint.origin, &signers) { Ok(checkpoint) } else { Err(NoteError::Unsigned) }
}

/// What a checkpoint says, whoever may have signed it: good for finding the keys that [`open`] needs, and for no more.
///
/// # Errors
/// [`NoteError::Malformed`] and [`NoteError::Checkpoint`].
pub fn unverified(note: &str) -> Result<Checkpoint, NoteError> {
    parse_checkpoint(split(note)?.0).ok_or(NoteError::Checkpoint)
}

/// Opens an endorsement of an ingress key; signatures count as in [`open`].
///
/// # Errors
/// [`NoteError`].
pub fn open_ingress(note: &str, verifiers: &[Verifier]) -> Result<Endorsement, NoteError> {
    let (text, signers) = verified(note, verifiers)?;
    let endorsement = parse_endorsement(text).ok_or(NoteError::Endorsement)?;
    if is_signed_for(&endorsement.origin, &signers) { Ok(endorsement) } else { Err(NoteError::Unsigned) }
}

/// The checkpoint with the signatures of these keys alone.
///
/// # Errors
/// [`NoteError`], as [`open`].
pub fn stripped(note: &str, verifiers: &[Verifier]) -> Result<String, NoteError> {
    let (text, signers) = verified(note, verifiers)?;
    let lines: String = signers.iter().map(|(verifier, signature)| verifier.0.line(signature)).collect();
    Ok(format!("{text}\n{lines}"))
}

/// The signed text, and the known keys that signed it with their signatures: at least one.
fn verified<'a>(note: &'a str, verifiers: &'a [Verifier]) -> Result<(&'a str, Vec<Signed<'a>>), NoteError> {
    let (text, signatures) = split(note)?;
    let mut signers = Vec::new();
    for (name, id, signature) in signatures {
        let Some(verifier) = verifiers.iter().find(|verifier| verifier.0.is_named(name, id)) else { continue };
        if !verifier.0.verifies(text, &signature) {
            return Err(NoteError::Signature);
        }
        signers.push((verifier, signature));
    }
    if signers.is_empty() { Err(NoteError::Unsigned) } else { Ok((text, signers)) }
}

type Signed<'a> = (&'a Verifier, Vec<u8>);

fn is_signed_for(origin: &Origin, signers: &[Signed<'_>]) -> bool {
    signers.iter().any(|(verifier, _)| verifier.origin() == origin)
}

pub(crate) type Signature<'a> = (&'a str, [u8; 4], Vec<u8>);

/// The text with its last newline, and the signature lines taken apart.
pub(crate) fn split(note: &str) -> Result<(&str, Vec<Signature<'_>>), NoteError> {
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

pub(crate) fn parse_checkpoint(text: &str) -> Option<Checkpoint> {
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
