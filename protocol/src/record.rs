//! A record: what a device backs up, the key schedule that protects it, and the bundle that holds it.

mod bundle;
mod stream;

#[doc(hidden)]
pub use bundle::seal_bundle_with_prefix;
pub use bundle::{BundleError, MAX_BUNDLE, MAX_MATERIAL, needs_user_secret, open_bundle, seal_bundle};

use crate::{
    encoding::{WrongLength, hash_fields},
    names::{Kind, TenantId, UserId},
};
use aws_lc_rs::{
    constant_time,
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};
use secret::Secret;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The one suite there is: HKDF-SHA256, AES-256-GCM in STREAM, commitment.
pub const SUITE: u16 = 1;

const SECRET_LEN: usize = 32;

/// What a record is, down to the device that made it. All of it is bound into whatever protects the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordName {
    /// Whose keys.
    pub tenant: TenantId,
    /// Whose keys, within the tenant.
    pub user: UserId,
    /// What sort of key.
    pub kind: Kind,
    /// Which of them; only grows.
    pub generation: u64,
    /// The record's id, chosen by the device.
    pub record: Uuid,
    /// The device that wrapped it.
    pub device: Uuid,
    /// How it is protected: [`SUITE`].
    pub suite: u16,
}

impl RecordName {
    /// `hash_fields("keyfold/1 context", ..)` over the fields in the order in which they are declared; ids are 16 bytes,
    /// numbers big endian.
    #[must_use]
    pub fn context(&self) -> Context {
        Context(hash_fields(
            "keyfold/1 context",
            &[
                self.tenant.as_str().as_bytes(),
                self.user.as_str().as_bytes(),
                self.kind.as_str().as_bytes(),
                &self.generation.to_be_bytes(),
                self.record.as_bytes(),
                self.device.as_bytes(),
                &self.suite.to_be_bytes(),
            ],
        ))
    }
}

/// The SHA-256 of a [`RecordName`]: opaque, fit for a KMS's encryption context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context([u8; 32]);

impl Context {
    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A payload that is of another length, or bound to another record: a mix-up or an attack, never to be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload belongs to another record")]
pub struct Mismatch;

/// The 32 bytes that the customer's KMS wraps, `s_kms`.
#[derive(Debug)]
pub struct WrappingSecret(Secret);

impl WrappingSecret {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Secret::random(SECRET_LEN))
    }

    /// `s_kms || context`: the 64 bytes that are sealed, and that the KMS wraps.
    #[must_use]
    pub fn payload(&self, context: &Context) -> Secret {
        self.0.followed_by(&context.0)
    }

    /// Takes the wrapping secret out of a payload, after it has been compared with `context` in constant time.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn from_payload(payload: Secret, context: &Context) -> Result<Self, Mismatch> {
        let (secret, bound) = payload.split_at(SECRET_LEN).ok_or(Mismatch)?;
        if bound.matches(&context.0) { Ok(Self(secret)) } else { Err(Mismatch) }
    }
}

impl From<WrappingSecret> for Secret {
    /// For the provider that wraps it.
    fn from(secret: WrappingSecret) -> Self {
        secret.0
    }
}

impl TryFrom<Secret> for WrappingSecret {
    type Error = WrongLength;

    fn try_from(secret: Secret) -> Result<Self, WrongLength> {
        if secret.len() == SECRET_LEN { Ok(Self(secret)) } else { Err(WrongLength) }
    }
}

/// The 32 bytes that only the user can bring, `s_user`: from a passphrase ([`crate::passphrase`]) or a WebAuthn PRF.
#[derive(Debug)]
pub struct UserSecret(Secret);

impl TryFrom<Secret> for UserSecret {
    type Error = WrongLength;

    fn try_from(secret: Secret) -> Result<Self, WrongLength> {
        if secret.len() == SECRET_LEN { Ok(Self(secret)) } else { Err(WrongLength) }
    }
}

/// Which secrets went into a key schedule; the first byte of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Factors {
    Kms = 1,
    KmsAndUser = 3,
}

/// The keys of one record: HKDF-SHA256 (RFC 5869) over the secrets present, bound to the context.
pub struct KeySchedule {
    data_key: Secret,
    commitment: [u8; 32],
    context: Context,
    factors: Factors,
}

impl KeySchedule {
    /// Derives the keys from the wrapping secret and, where the user has one, the user's secret.
    #[must_use]
    pub fn new(s_kms: &WrappingSecret, s_user: Option<&UserSecret>, context: &Context) -> Self {
        let prk = extract(s_kms, s_user);
        let mut commitment = [0; 32];
        expand(&prk, b"commitment", context, &mut commitment);
        let mut data_key = Zeroizing::new([0; 32]);
        expand(&prk, b"data key", context, data_key.as_mut_slice());
        let factors = if s_user.is_some() { Factors::KmsAndUser } else { Factors::Kms };
        Self { data_key: Secret::copied_from(data_key.as_slice()), commitment, context: *context, factors }
    }

    /// What is stored in clear beside the bundle: says that these keys are the right ones, and nothing else.
    #[must_use]
    pub fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    fn is_committed_to(&self, commitment: &[u8; 32]) -> bool {
        constant_time::verify_slices_are_equal(&self.commitment, commitment).is_ok()
    }
}

/// HKDF-Extract over `id(1) || len(2) || bytes` of each secret; `s_kms` has id 1, `s_user` id 2.
#[expect(clippy::disallowed_methods, reason = "the secrets are joined in a buffer that is wiped")]
fn extract(s_kms: &WrappingSecret, s_user: Option<&UserSecret>) -> Prk {
    const FIELD_LEN: usize = 3 + SECRET_LEN;
    let mut joined = Zeroizing::new([0; 2 * FIELD_LEN]);
    let secrets = std::iter::once((1, &s_kms.0)).chain(s_user.map(|secret| (2, &secret.0)));
    let mut len = 0;
    for ((id, secret), field) in secrets.zip(joined.chunks_exact_mut(FIELD_LEN)) {
        field[0] = id;
        field[2] = SECRET_LEN as u8;
        field[3..].copy_from_slice(secret.expose());
        len += FIELD_LEN;
    }
    Salt::new(HKDF_SHA256, b"keyfold/1 record").extract(&joined[..len])
}

fn expand(prk: &Prk, label: &[u8], context: &Context, out: &mut [u8]) {
    prk.expand(&[label, &context.0], KeyLen)
        .and_then(|okm| okm.fill(out))
        .expect("invariant: HKDF-SHA256 expands to 32 bytes");
}

struct KeyLen;

impl KeyType for KeyLen {
    fn len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests;
