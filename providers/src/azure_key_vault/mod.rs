//! Keys in Azure Key Vault (RSA-OAEP-256) and in Managed HSM (also AES-KW and AES-GCM), wrapped by the service.

mod assertion;
mod client;
mod import;
mod name;
mod sign_in;
mod transport;

use crate::payload::Payload;
use crate::{Capabilities, Context, Error, KeyProvider, KeyRef, KeyState, Permissions, Unusable, Wrapped};
use async_trait::async_trait;
use azure_core::error::ErrorKind;
use client::{Client, Key};
use name::{Name, is_version};
use secret::Secret;
use std::path::PathBuf;
use thiserror::Error;
use transport::Failure;

/// Where the vault is, and who uses it.
#[derive(Debug)]
pub struct Options {
    /// `https://<vault>.vault.azure.net`, `https://<hsm>.managedhsm.azure.net`, or that of a sovereign cloud.
    pub vault_url: String,
    /// What answers there.
    pub kind: Kind,
    /// What new secrets are wrapped with. All three are unwrapped, whatever stands here.
    pub algorithm: Algorithm,
    /// Who the broker is.
    pub credential: Credential,
    /// Where Entra ID is, such as `https://login.microsoftonline.us`; that of the public cloud where there is none.
    pub authority_host: Option<String>,
    /// The only certificate authorities to trust, for both, PEM; the system's where there are none.
    pub ca_pem: Option<Vec<u8>>,
}

/// The two services that speak this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key vault: RSA keys, in software or in hardware.
    Vault,
    /// A Managed HSM: RSA and AES keys, all in hardware.
    ManagedHsm,
}

/// How secrets are wrapped, as the service names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA-OAEP with SHA-256 (RFC 8017), under an RSA key.
    RsaOaep256,
    /// AES key wrap (RFC 3394), under a 256-bit key of a Managed HSM.
    A256Kw,
    /// AES-GCM with the context as additional data, under a 256-bit key of a Managed HSM.
    A256Gcm,
}

/// Who the broker is to Entra ID.
#[derive(Debug)]
pub enum Credential {
    /// The identity of the machine, or of the App Service, that the broker runs on.
    ManagedIdentity {
        /// Which one, where several are assigned.
        client_id: Option<String>,
    },
    /// A Kubernetes service account that Entra ID trusts. What is absent comes from the environment that AKS sets.
    WorkloadIdentity {
        /// The directory.
        tenant_id: Option<String>,
        /// The application.
        client_id: Option<String>,
        /// Holds the service account's token; read whenever a token is asked for.
        token_file: Option<PathBuf>,
    },
    /// An application with a certificate, signing assertions (RFC 7523) with PS256.
    ClientCertificate {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its certificate, PEM.
        certificate: Vec<u8>,
        /// The certificate's RSA key, PKCS#8 or PKCS#1 in PEM.
        key: Secret,
    },
}

/// Why a vault is not used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The vault's address, or that of Entra ID, is not `https://` and a host.
    #[error("the addresses of vault and authority host must begin with https:// and name a host")]
    Address,
    /// Key vaults have no AES keys.
    #[error("a key vault wraps with RSA only; AES keys are in Managed HSM")]
    Algorithm,
    /// The certificate is not PEM.
    #[error("the client certificate is not PEM")]
    Certificate,
    /// The key is not an RSA key in PEM.
    #[error("the key of the client certificate is not an RSA key in PEM")]
    Key,
    /// The certificate authorities cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[source] reqwest::Error),
    /// The SDK does not take these options.
    #[error("the options are not taken")]
    Options(#[source] azure_core::Error),
}

/// The key cannot do what is needed.
#[derive(Debug, Error)]
#[error("a key of type {kind} with the operations {operations:?} cannot be used: it must be {needed}")]
struct Unsuitable {
    kind: String,
    operations: Vec<String>,
    needed: &'static str,
}

/// An answer of 200 without the members that such an answer has, or about another key.
#[derive(Debug, Error)]
#[error("Key Vault's answer makes no sense")]
struct Nonsense;

/// One vault or Managed HSM.
#[derive(Debug)]
pub struct AzureKeyVault {
    client: Client,
    kind: Kind,
    algorithm: Algorithm,
}

impl AzureKeyVault {
    /// Makes no call yet: whether the broker is known shows with the first one.
    pub fn connect(options: Options) -> Result<Self, ConnectError> {
        let (kind, algorithm) = (options.kind, options.algorithm);
        if kind == Kind::Vault && algorithm != Algorithm::RsaOaep256 {
            return Err(ConnectError::Algorithm);
        }
        Ok(Self { client: Client::new(options)?, kind, algorithm })
    }

    async fn state(&self, name: &Name<'_>) -> Result<KeyState, Error> {
        match self.client.key(name).await {
            Ok(key) => state_of(key, self.algorithm),
            Err(failure) if is_disabled(&failure) => Ok(KeyState::Unusable(Unusable::Disabled)),
            Err(failure) if is_missing(&failure) => self.deleted_state(name).await,
            Err(failure) => Err(translate(failure)),
        }
    }

    /// A deleted key looks like one that never was, except to who may see deleted keys.
    async fn deleted_state(&self, name: &Name<'_>) -> Result<KeyState, Error> {
        match self.client.deleted_key(name).await {
            Ok(()) => Ok(KeyState::Unusable(Unusable::PendingDeletion)),
            Err(failure) if is_missing(&failure) || is_forbidden(&failure) => Err(Error::NoSuchKey),
            Err(failure) => Err(translate(failure)),
        }
    }

    /// What a failed wrap means.
    async fn explain_wrap(&self, name: &Name<'_>, failure: azure_core::Error) -> Error {
        if is_disabled(&failure) {
            Error::KeyUnusable(Unusable::Disabled)
        } else if is_forbidden(&failure) {
            // A key outside its time of validity, or a right that is missing: the key says which.
            self.unless_unusable(name, Error::Refused).await
        } else if is_missing(&failure) {
            self.unless_unusable(name, Error::NoSuchKey).await
        } else {
            translate(failure)
        }
    }

    /// What a failed unwrap under the version `recorded` means.
    async fn explain_unwrap(&self, name: &Name<'_>, failure: azure_core::Error) -> Error {
        if is_disabled(&failure) {
            Error::KeyUnusable(Unusable::Disabled)
        } else if is_missing(&failure) {
            // The key may be there without that version: then these bytes are not its.
            self.unless_missing(name).await
        } else if is_bad_parameter(&failure) {
            Error::Mismatch
        } else {
            translate(failure)
        }
    }

    /// `otherwise`, unless the key's state says more.
    async fn unless_unusable(&self, name: &Name<'_>, otherwise: Error) -> Error {
        match self.state(name).await {
            Ok(KeyState::Unusable(reason)) => Error::KeyUnusable(reason),
            Ok(KeyState::Usable { .. }) | Err(Error::Refused) => otherwise,
            Err(error) => error,
        }
    }

    /// A mismatch, unless the key is missing, deleted or disabled. An expired key still opens what it has wrapped.
    async fn unless_missing(&self, name: &Name<'_>) -> Error {
        match self.state(name).await {
            Ok(KeyState::Unusable(reason @ (Unusable::Disabled | Unusable::PendingDeletion))) => {
                Error::KeyUnusable(reason)
            }
            Ok(
                KeyState::Usable { .. }
                | KeyState::Unusable(Unusable::Expired | Unusable::NotYetValid | Unusable::Exhausted),
            ) => Error::Mismatch,
            Err(error) => error,
        }
    }
}

#[async_trait]
impl KeyProvider for AzureKeyVault {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            binds_context: self.algorithm == Algorithm::A256Gcm,
            hardware: self.kind == Kind::ManagedHsm,
            max_payload: match self.algorithm {
                // RSA-2048; larger keys take more.
                Algorithm::RsaOaep256 => 190,
                Algorithm::A256Kw | Algorithm::A256Gcm => Payload::LEN,
            },
            permissions: permissions(self.kind, self.algorithm),
        }
    }

    async fn inspect(&self, key: &KeyRef) -> Result<KeyState, Error> {
        self.state(&Name::of(key)?).await
    }

    async fn wrap_key(&self, key: &KeyRef, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let name = Name::of(key)?;
        let payload = Payload::bind(secret, context)?;
        let made = match self.algorithm {
            Algorithm::RsaOaep256 | Algorithm::A256Kw => self.client.wrap(&name, self.algorithm, &payload).await,
            Algorithm::A256Gcm => self.client.encrypt(&name, &payload, context).await,
        };
        match made {
            Ok(wrapped) => wrapped.ok_or_else(|| Error::broken(Nonsense)),
            Err(failure) => Err(self.explain_wrap(&name, failure).await),
        }
    }

    async fn unwrap_key(&self, key: &KeyRef, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        let name = Name::of(key)?;
        let pinned_elsewhere = name.version.is_some_and(|version| version != wrapped.version);
        let algorithm = algorithm_of(&wrapped.bytes).filter(|_| is_version(&wrapped.version) && !pinned_elsewhere);
        let Some(algorithm) = algorithm else {
            // What no version of this key has wrapped is not sent. A key that is missing or unusable still comes first.
            return Err(self.unless_missing(&name).await);
        };
        let opened = match algorithm {
            Algorithm::RsaOaep256 | Algorithm::A256Kw => self.client.unwrap(&name, algorithm, wrapped).await,
            Algorithm::A256Gcm => self.client.decrypt(&name, wrapped, context).await,
        };
        match opened {
            Ok(payload) => payload.ok_or_else(|| Error::broken(Nonsense))?.release(context),
            Err(failure) => Err(self.explain_unwrap(&name, failure).await),
        }
    }
}

/// The one that gives bytes of this length, for payloads of the one length that there is.
fn algorithm_of(wrapped: &[u8]) -> Option<Algorithm> {
    match wrapped.len() {
        256 | 384 | 512 => Some(Algorithm::RsaOaep256),
        client::KEY_WRAP_LEN => Some(Algorithm::A256Kw),
        client::GCM_LEN => Some(Algorithm::A256Gcm),
        _ => None,
    }
}

fn state_of(key: Key, algorithm: Algorithm) -> Result<KeyState, Error> {
    let now = azure_core::time::OffsetDateTime::now_utc();
    if !key.enabled {
        Ok(KeyState::Unusable(Unusable::Disabled))
    } else if key.expires.is_some_and(|expires| now >= expires) {
        Ok(KeyState::Unusable(Unusable::Expired))
    } else if key.not_before.is_some_and(|begin| now < begin) {
        Ok(KeyState::Unusable(Unusable::NotYetValid))
    } else {
        suitable(key, algorithm).map(|key| KeyState::Usable { version: key.version })
    }
}

fn suitable(key: Key, algorithm: Algorithm) -> Result<Key, Error> {
    let (kinds, operations, needed) = match algorithm {
        Algorithm::RsaOaep256 => (["RSA", "RSA-HSM"], ["wrapKey", "unwrapKey"], "RSA with wrapKey and unwrapKey"),
        Algorithm::A256Kw => (["oct", "oct-HSM"], ["wrapKey", "unwrapKey"], "AES with wrapKey and unwrapKey"),
        Algorithm::A256Gcm => (["oct", "oct-HSM"], ["encrypt", "decrypt"], "AES with encrypt and decrypt"),
    };
    let may = |operation: &str| key.operations.iter().any(|permitted| permitted == operation);
    if kinds.contains(&key.kind.as_str()) && operations.into_iter().all(may) {
        Ok(key)
    } else {
        Err(Error::broken(Unsuitable { kind: key.kind, operations: key.operations, needed }))
    }
}

/// Data actions, as roles of Azure RBAC and of Managed HSM's own name them.
fn permissions(kind: Kind, algorithm: Algorithm) -> Permissions {
    match (kind, algorithm) {
        (Kind::Vault, _) => Permissions {
            inspect: "Microsoft.KeyVault/vaults/keys/read",
            wrap: "Microsoft.KeyVault/vaults/keys/wrap/action",
            unwrap: "Microsoft.KeyVault/vaults/keys/unwrap/action",
        },
        (Kind::ManagedHsm, Algorithm::RsaOaep256 | Algorithm::A256Kw) => Permissions {
            inspect: "Microsoft.KeyVault/managedHsm/keys/read/action",
            wrap: "Microsoft.KeyVault/managedHsm/keys/wrap/action",
            unwrap: "Microsoft.KeyVault/managedHsm/keys/unwrap/action",
        },
        (Kind::ManagedHsm, Algorithm::A256Gcm) => Permissions {
            inspect: "Microsoft.KeyVault/managedHsm/keys/read/action",
            wrap: "Microsoft.KeyVault/managedHsm/keys/encrypt/action",
            unwrap: "Microsoft.KeyVault/managedHsm/keys/decrypt/action",
        },
    }
}

fn is_disabled(failure: &azure_core::Error) -> bool {
    is_forbidden(failure) && Failure::behind(failure).is_some_and(|failure| failure.says("KeyDisabled"))
}

fn is_forbidden(failure: &azure_core::Error) -> bool {
    said(failure, 403, "Forbidden")
}

fn is_missing(failure: &azure_core::Error) -> bool {
    said(failure, 404, "KeyNotFound")
}

fn is_bad_parameter(failure: &azure_core::Error) -> bool {
    said(failure, 400, "BadParameter")
}

/// Whether the vault, and not Entra ID or something in between, has answered so.
fn said(failure: &azure_core::Error, status: u16, code: &str) -> bool {
    let by_vault = *failure.kind() != ErrorKind::Credential;
    by_vault && Failure::behind(failure).is_some_and(|failure| failure.status() == Some(status) && failure.says(code))
}

/// What a failure means, whichever call it came from.
fn translate(failure: azure_core::Error) -> Error {
    tracing::debug!(%failure, "Key Vault call failed");
    let signing_in = *failure.kind() == ErrorKind::Credential;
    match Failure::behind(&failure) {
        Some(Failure::Answer { status: 429, retry_after, .. }) => Error::Throttled { retry_after: *retry_after },
        Some(Failure::Answer { status: 408 | 500..600, retry_after, .. }) => {
            Error::Unavailable { retry_after: *retry_after }
        }
        Some(Failure::Answer { status: 400..500, .. }) if signing_in => Error::Refused,
        Some(Failure::Answer { status: 401, .. }) => Error::Refused,
        Some(Failure::Answer { status: 403, .. }) if is_forbidden(&failure) => Error::Refused,
        Some(Failure::Answer { status: 404, .. }) if is_missing(&failure) => Error::NoSuchKey,
        Some(Failure::Unreachable(_)) => Error::Unavailable { retry_after: None },
        Some(Failure::Answer { .. } | Failure::TooLong | Failure::Stream) => Error::broken(failure),
        // The token was refused even after the SDK had asked for a new one.
        None if transport::status_behind(&failure) == Some(401) => Error::Refused,
        None => Error::broken(failure),
    }
}
