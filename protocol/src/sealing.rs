//! Sealing from end to end: HPKE (RFC 9180) in base mode with X-Wing (KEM `0x647a`, draft-ietf-hpke-pq), HKDF-SHA256
//! (`0x0001`), AES-256-GCM (`0x0002`) and an empty `aad`.

use crate::{
    encoding::{WrongLength, join_fields},
    record::Context,
    transcript::Transcript,
};
use aws_lc_rs::digest;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable,
    aead::{AeadTag, AesGcm256},
    kdf::HkdfSha256,
    kem::XWing,
    rand_core::CryptoRng,
    setup_receiver, setup_sender, setup_sender_with_rng,
};
use secret::Secret;
use std::fmt;
use zeroize::Zeroizing;

/// Length of a public key, in bytes.
pub const PUBLIC_KEY_LEN: usize = 1216;
/// Length of what is sealed, in bytes: a wrapping secret and the context it belongs to.
pub const PAYLOAD_LEN: usize = 64;
/// Length of a sealed payload, in bytes: encapsulated key, ciphertext, tag.
pub const SEALED_LEN: usize = ENCAPSULATED_LEN + PAYLOAD_LEN + TAG_LEN;

const ENCAPSULATED_LEN: usize = 1120;
const TAG_LEN: usize = 16;

type Tag = AeadTag<AesGcm256>;
type PublicKey = <XWing as Kem>::PublicKey;
type PrivateKey = <XWing as Kem>::PrivateKey;
type EncapsulatedKey = <XWing as Kem>::EncappedKey;
type Sender = hpke::aead::AeadCtxS<AesGcm256, HkdfSha256, XWing>;

/// The HPKE `info`: what a sealed payload is for. Opening it for anything else fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info(Vec<u8>);

impl Info {
    /// From the device to the tenant's ingress key, to be wrapped as `context` says.
    #[must_use]
    pub fn wrap(context: &Context) -> Self {
        Self(join_fields("keyfold/1 wrap", &[context.as_bytes()]))
    }

    /// From the broker to the key that the device made for the restore with this transcript.
    #[must_use]
    pub fn release(context: &Context, transcript: &Transcript) -> Self {
        Self(join_fields("keyfold/1 release", &[context.as_bytes(), transcript.as_bytes()]))
    }

    /// The bytes that HPKE's key schedule takes in.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A sealed payload: [`SEALED_LEN`] bytes, `enc || ct || tag`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Box<[u8; SEALED_LEN]>);

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl TryFrom<Vec<u8>> for Sealed {
    type Error = WrongLength;

    fn try_from(bytes: Vec<u8>) -> Result<Self, WrongLength> {
        bytes.try_into().map(Self).map_err(|_| WrongLength)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({SEALED_LEN} bytes)")
    }
}

/// A sealed payload that this key does not open for this purpose: altered, or meant for another key or another use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sealed to this key for this purpose")]
pub struct OpenError;

/// Bytes that are no X-Wing public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an X-Wing public key")]
pub struct BadSealingKey;

/// The public half: what one seals to. Parsed once, as its matrix is costly to expand.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey {
    bytes: Box<[u8; PUBLIC_KEY_LEN]>,
    parsed: Box<PublicKey>,
}

impl SealingKey {
    /// SHA-256 of the key's bytes: what an endorsement names it by.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let digest = digest::digest(&digest::SHA256, self.as_ref());
        digest.as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes")
    }
}

impl AsRef<[u8]> for SealingKey {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl TryFrom<Vec<u8>> for SealingKey {
    type Error = BadSealingKey;

    fn try_from(bytes: Vec<u8>) -> Result<Self, BadSealingKey> {
        let bytes: Box<[u8; PUBLIC_KEY_LEN]> = bytes.try_into().map_err(|_| BadSealingKey)?;
        let parsed = PublicKey::from_bytes(bytes.as_slice()).map_err(|_| BadSealingKey)?;
        Ok(Self { bytes, parsed: Box::new(parsed) })
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({PUBLIC_KEY_LEN} bytes)")
    }
}

/// The private half. Parsed once; keep it rather than its bytes where many payloads are opened.
pub struct OpeningKey {
    parsed: Box<PrivateKey>,
    public: SealingKey,
}

impl OpeningKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_seed(&Secret::random(32)).expect("invariant: the seed has 32 bytes")
    }

    /// The key with this seed of 32 bytes.
    ///
    /// # Errors
    /// [`WrongLength`].
    #[expect(clippy::disallowed_methods, reason = "the key is parsed straight from the secret")]
    pub fn from_seed(seed: &Secret) -> Result<Self, WrongLength> {
        let parsed = Box::new(PrivateKey::from_bytes(seed.expose()).map_err(|_| WrongLength)?);
        let public = XWing::sk_to_pk(&parsed);
        let mut bytes = Box::new([0; PUBLIC_KEY_LEN]);
        public.write_exact(bytes.as_mut_slice());
        Ok(Self { parsed, public: SealingKey { bytes, parsed: Box::new(public) } })
    }

    /// The seed, for storage under encryption.
    #[must_use]
    pub fn to_seed(&self) -> Secret {
        let mut seed = Zeroizing::new([0; 32]);
        self.parsed.write_exact(seed.as_mut_slice());
        Secret::copied_from(seed.as_slice())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &SealingKey {
        &self.public
    }

    /// Opens a payload of [`PAYLOAD_LEN`] bytes.
    ///
    /// # Errors
    /// [`OpenError`], which does not tell why.
    pub fn open(&self, info: &Info, sealed: &Sealed) -> Result<Secret, OpenError> {
        let (encapsulated, rest) = sealed.as_ref().split_at(ENCAPSULATED_LEN);
        let (ciphertext, tag) = rest.split_at(PAYLOAD_LEN);
        let encapsulated = EncapsulatedKey::from_bytes(encapsulated).map_err(|_| OpenError)?;
        let tag = Tag::from_bytes(tag).map_err(|_| OpenError)?;
        let mut payload = Zeroizing::new([0; PAYLOAD_LEN]);
        payload.copy_from_slice(ciphertext);
        setup_receiver::<AesGcm256, HkdfSha256, XWing>(&OpModeR::Base, &self.parsed, &encapsulated, &info.0)
            .and_then(|mut receiver| receiver.open_inout_detached(payload.as_mut_slice().into(), b"", &tag))
            .map_err(|_| OpenError)?;
        Ok(Secret::copied_from(payload.as_slice()))
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(..)")
    }
}

/// Seals `payload` to `key`, to be opened with the same `info` only.
///
/// # Errors
/// [`WrongLength`] when the payload has not [`PAYLOAD_LEN`] bytes.
pub fn seal(key: &SealingKey, info: &Info, payload: &Secret) -> Result<Sealed, WrongLength> {
    let (encapsulated, sender) = setup_sender::<AesGcm256, HkdfSha256, XWing>(&OpModeS::Base, &key.parsed, &info.0)
        .expect("invariant: X-Wing encapsulates to every key that could be parsed");
    finish(&encapsulated, sender, payload)
}

/// [`seal`] with the sender's randomness given: for test vectors. Never use one state of `rng` twice.
#[doc(hidden)]
pub fn seal_with_rng(
    key: &SealingKey,
    info: &Info,
    payload: &Secret,
    rng: &mut impl CryptoRng,
) -> Result<Sealed, WrongLength> {
    let (encapsulated, sender) =
        setup_sender_with_rng::<AesGcm256, HkdfSha256, XWing>(&OpModeS::Base, &key.parsed, &info.0, rng)
            .expect("invariant: X-Wing encapsulates to every key that could be parsed");
    finish(&encapsulated, sender, payload)
}

#[expect(clippy::disallowed_methods, reason = "the payload is encrypted in a buffer that is wiped")]
fn finish(encapsulated: &EncapsulatedKey, mut sender: Sender, payload: &Secret) -> Result<Sealed, WrongLength> {
    let mut buffer = Zeroizing::new([0; PAYLOAD_LEN]);
    if payload.len() != buffer.len() {
        return Err(WrongLength);
    }
    buffer.copy_from_slice(payload.expose());
    let tag = sender
        .seal_inout_detached(buffer.as_mut_slice().into(), b"")
        .expect("invariant: a new context seals its first message");
    let mut sealed = Box::new([0; SEALED_LEN]);
    let (head, rest) = sealed.split_at_mut(ENCAPSULATED_LEN);
    encapsulated.write_exact(head);
    rest[..PAYLOAD_LEN].copy_from_slice(buffer.as_slice());
    tag.write_exact(&mut rest[PAYLOAD_LEN..]);
    Ok(Sealed(sealed))
}
