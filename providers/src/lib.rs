//! Where customers' keys live: one folder per KMS or HSM, one small trait.
//!
//! A room translates between [`KeyProvider`] and its vendor. It never retries and never decides: retry, deadline,
//! concurrency limit, circuit breaker and metrics wrap every provider once, in the broker.
//! Every room keeps the promises of [`KeyProvider`]; [`contract::check`] is how its tests show it.

pub mod aws_kms;
pub mod azure_key_vault;
#[cfg(feature = "contract")]
pub mod contract;
mod endpoint;
mod error;
pub mod google_kms;
mod http;
mod import;
mod oaep;
pub mod openbao;
mod payload;
pub mod pkcs11;
pub mod software;

pub use endpoint::EndpointError;
pub use error::{Error, Unusable};
pub use import::{ImportKey, ImportParameters, OaepHash, WrappingMechanism};
pub use payload::{SECRET_LEN, SecretLength};

use async_trait::async_trait;
use secret::Secret;
use std::fmt;

/// A place that holds customers' key-encryption keys. Translates; never retries or decides.
///
/// What every provider promises:
/// - `unwrap_key` gives back exactly the secret that `wrap_key` took, for the same key and context, and nothing else:
///   any other context, key or byte string is [`Error::Mismatch`], however the vendor words its refusal.
/// - A key that does not exist is [`Error::NoSuchKey`] on every call, and no call creates one.
/// - A key that may not be used is [`Error::KeyUnusable`], never `Mismatch`.
/// - Every call may run beside any other, and may be dropped at any await point without leaking key material.
#[async_trait]
pub trait KeyProvider: fmt::Debug + Send + Sync {
    /// What the provider can do; constant over its lifetime.
    fn capabilities(&self) -> Capabilities;

    /// The state of `key` as the vendor reports it now.
    async fn inspect(&self, key: &KeyRef) -> Result<KeyState, Error>;

    /// Wraps a secret of [`SECRET_LEN`] bytes under the newest version of `key`, bound to `context`.
    /// Any other length is [`Error::Broken`] with [`SecretLength`] as its source.
    async fn wrap_key(&self, key: &KeyRef, secret: &Secret, context: &Context) -> Result<Wrapped, Error>;

    /// Opens what `wrap_key` made for the same `key` and `context`.
    async fn unwrap_key(&self, key: &KeyRef, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error>;
}

/// Moves a wrapped secret to another key inside the vendor, so that no plaintext leaves it. A second trait, for only some
/// vendors can.
#[async_trait]
pub trait RewrapKey: fmt::Debug + Send + Sync {
    /// What `unwrap_key` under `from` and then `wrap_key` under the newest version of `to` would give, bound to the same
    /// `context`; errors as theirs. `from` and `to` may be the same key. Both lie at this provider.
    async fn rewrap_key(
        &self,
        from: &KeyRef,
        to: &KeyRef,
        wrapped: &Wrapped,
        context: &Context,
    ) -> Result<Wrapped, Error>;
}

/// The record a secret belongs to: the SHA-256 of docs/PROTOCOL.md, section 3. Opaque here, and not secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Context([u8; 32]);

impl Context {
    /// Takes the digest as it is.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The name of a key-encryption key in its provider's own terms: a label, a key name, an ARN.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRef(String);

impl KeyRef {
    /// Takes any text; a name the provider cannot hold is a key that does not exist.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A wrapped secret, in the vendor's own format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The vendor's bytes, unchanged: with the key at hand, the vendor's own tools open them too.
    pub bytes: Vec<u8>,
    /// The vendor's key version that wrapped; empty where there is none.
    pub version: String,
}

/// Whether a key may be used, as the vendor reports it. A key that does not exist is [`Error::NoSuchKey`] instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// Wraps and unwraps. `version` is the one that wraps next; empty where the vendor has none.
    Usable {
        /// As in [`Wrapped::version`].
        version: String,
    },
    /// Exists, but may not be used.
    Unusable(Unusable),
}

/// Why a key of which this was said may not be used; `None` when it may.
fn why_unusable(said: Result<KeyState, Error>) -> Option<Error> {
    match said {
        Ok(KeyState::Usable { .. }) => None,
        Ok(KeyState::Unusable(reason)) => Some(Error::KeyUnusable(reason)),
        Err(error) => Some(error),
    }
}

/// What a provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The vendor authenticates the context itself, beside its binding inside the payload.
    pub binds_context: bool,
    /// The vendor says that keys live in hardware.
    pub hardware: bool,
    /// The largest payload in bytes that the operation in use is known to take.
    pub max_payload: usize,
    /// What the vendor calls the permissions that the calls need: what to grant when one is refused.
    pub permissions: Permissions,
}

/// The vendor's names of permissions, per call of [`KeyProvider`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// For [`KeyProvider::inspect`].
    pub inspect: &'static str,
    /// For [`KeyProvider::wrap_key`].
    pub wrap: &'static str,
    /// For [`KeyProvider::unwrap_key`].
    pub unwrap: &'static str,
}
