//! Keys in Google Cloud KMS: AES under a key, with the context as associated data; or RSA-OAEP under a version of a key.

mod client;
mod connect;
mod import;
mod name;

pub use connect::{ConnectError, Credentials, Options};

use crate::oaep;
use crate::payload::Payload;
use crate::{
    Capabilities, Context, Error, KeyProvider, KeyRef, KeyState, Permissions, Unusable, Wrapped, why_unusable,
};
use async_trait::async_trait;
use client::{Client, Failure};
use google_cloud_gax::error::rpc::Code;
use google_cloud_kms_v1::model::crypto_key::CryptoKeyPurpose;
use google_cloud_kms_v1::model::crypto_key_version::{CryptoKeyVersionAlgorithm, CryptoKeyVersionState};
use google_cloud_kms_v1::model::{CryptoKey, CryptoKeyVersion};
use name::KeyName;
use secret::Secret;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use thiserror::Error;

/// The largest payload of the smallest key: RSA-2048 OAEP with SHA-256 (RFC 8017, section 7.1.1). AES keys take 64 KiB, in
/// hardware 8 KiB together with the context.
const MAX_PAYLOAD: usize = 190;

/// Cloud KMS as one identity sees it; any key of any project that it may use.
#[derive(Debug)]
pub struct GoogleKms {
    client: Client,
    seen: Mutex<Seen>,
}

/// What was learned once and never changes: Google gives no name to two keys, and to no two versions.
#[derive(Debug, Default)]
struct Seen {
    /// By the name that a caller uses.
    ciphers: HashMap<String, Cipher>,
    /// Versions that exist, or have.
    versions: HashSet<String>,
}

/// How a key wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    /// By Google, with associated data.
    Aes,
    /// Here, with the public key of one version; RSA-OAEP with SHA-256.
    Rsa,
}

/// Why a key cannot be used, though its owner lets us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum Unsuitable {
    #[error("the key must be for ENCRYPT_DECRYPT, or for ASYMMETRIC_DECRYPT with RSA-OAEP and SHA-256")]
    Purpose,
    #[error("an RSA key has no primary version: its name must end with /cryptoKeyVersions/N")]
    NoVersion,
    #[error("an import makes a new version: the name must not end with one")]
    Version,
    #[error("Cloud KMS reports a state of the key that is not known")]
    State,
    #[error("Cloud KMS answered for another key")]
    OtherKey,
}

impl GoogleKms {
    /// Makes no call to Cloud KMS yet: what may be done shows with the first.
    pub async fn connect(options: Options) -> Result<Self, ConnectError> {
        Ok(Self { client: Client::connect(options).await?, seen: Mutex::default() })
    }

    /// How `name` wraps; asked once for each name.
    async fn cipher(&self, name: &KeyName) -> Result<Cipher, Error> {
        if let Some(cipher) = self.seen().ciphers.get(name.as_str()) {
            return Ok(*cipher);
        }
        let cipher = match name.version() {
            Some(_) => cipher_of_version(&self.client.version(name.as_str()).await.map_err(translate)?)?,
            None => cipher_of_key(&self.client.crypto_key(name.key()).await.map_err(translate)?)?,
        };
        let mut seen = self.seen();
        seen.versions.extend(name.version().map(|_| name.as_str().to_owned()));
        seen.ciphers.insert(name.as_str().to_owned(), cipher);
        Ok(cipher)
    }

    async fn state(&self, name: &KeyName) -> Result<KeyState, Error> {
        if name.version().is_some() {
            let version = self.client.version(name.as_str()).await.map_err(translate)?;
            cipher_of_version(&version)?;
            return state_of(name, &version);
        }
        let key = self.client.crypto_key(name.key()).await.map_err(translate)?;
        cipher_of_key(&key)?;
        match &key.primary {
            Some(primary) => state_of(name, primary),
            // Not one version yet: it waits for its owner's import.
            None => Ok(KeyState::Unusable(Unusable::Disabled)),
        }
    }

    async fn wrap_by_google(&self, name: &KeyName, payload: &Payload, context: &Context) -> Result<Wrapped, Error> {
        let encrypted = match self.client.encrypt(name.as_str(), payload, context).await {
            Ok(encrypted) => encrypted,
            Err(failure) => return Err(self.refusal(name, failure).await),
        };
        let number = name.number_in(&encrypted.version).filter(|number| name.at(number).is_some());
        let version = number.ok_or_else(|| Error::broken(Unsuitable::OtherKey))?.to_owned();
        self.seen().versions.insert(encrypted.version);
        Ok(Wrapped { bytes: encrypted.ciphertext, version })
    }

    /// Asks for the public key each time: that is what the owner can refuse.
    async fn wrap_here(&self, name: &KeyName, payload: &Payload) -> Result<Wrapped, Error> {
        let version = name.version().ok_or_else(|| Error::broken(Unsuitable::NoVersion))?.to_owned();
        let key = match self.client.public_key(name.as_str()).await {
            Ok(key) => key,
            Err(failure) => return Err(self.refusal(name, failure).await),
        };
        if !is_oaep_sha256(&key.algorithm) {
            return Err(Error::broken(Unsuitable::Purpose));
        }
        let key = oaep::der_from_pem(&key.pem).map_err(Error::broken)?;
        Ok(Wrapped { bytes: oaep::encrypt(&key, payload).map_err(Error::broken)?, version })
    }

    async fn open(&self, cipher: Cipher, at: &KeyName, bytes: &[u8], context: &Context) -> Result<Payload, Failure> {
        match cipher {
            Cipher::Aes => self.client.decrypt(at.key(), bytes, context).await,
            Cipher::Rsa => self.client.asymmetric_decrypt(at.as_str(), bytes).await,
        }
    }

    /// Google does not say which version decrypts, so a version that there is not has to be looked for.
    async fn find_version(&self, at: &KeyName) -> Result<(), Error> {
        if self.seen().versions.contains(at.as_str()) {
            return Ok(());
        }
        match self.client.version(at.as_str()).await.map_err(translate) {
            Ok(_) => {
                self.seen().versions.insert(at.as_str().to_owned());
                Ok(())
            }
            Err(Error::NoSuchKey) => {
                self.client.crypto_key(at.key()).await.map_err(translate)?;
                Err(Error::Mismatch)
            }
            Err(error) => Err(error),
        }
    }

    /// What a refused call means for the key. Google says one thing of all its states that are not ENABLED.
    async fn refusal(&self, name: &KeyName, failure: Failure) -> Error {
        match failure.code() {
            // Where it is usable after all, it has been enabled meanwhile, or is on its way there.
            Some(Code::FailedPrecondition) => {
                tracing::debug!(%failure, "Cloud KMS does not use the key");
                self.unusable_or(name, Error::Unavailable { retry_after: None }).await
            }
            _ => translate(failure),
        }
    }

    /// Why `name` may not be used, or else `otherwise`.
    async fn unusable_or(&self, name: &KeyName, otherwise: Error) -> Error {
        why_unusable(self.state(name).await).unwrap_or(otherwise)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("invariant: nothing panics while holding this lock")
    }
}

#[async_trait]
impl KeyProvider for GoogleKms {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // AES keys do, RSA keys cannot.
            binds_context: false,
            // Google says so for each key, not for all.
            hardware: false,
            max_payload: MAX_PAYLOAD,
            permissions: Permissions {
                inspect: "cloudkms.cryptoKeys.get and cloudkms.cryptoKeyVersions.get",
                wrap: "cloudkms.cryptoKeyVersions.useToEncrypt, or for RSA cloudkms.cryptoKeyVersions.viewPublicKey",
                unwrap: "cloudkms.cryptoKeyVersions.useToDecrypt",
            },
        }
    }

    async fn inspect(&self, key: &KeyRef) -> Result<KeyState, Error> {
        self.state(&KeyName::of(key)?).await
    }

    async fn wrap_key(&self, key: &KeyRef, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let name = KeyName::of(key)?;
        let payload = Payload::bind(secret, context)?;
        match self.cipher(&name).await? {
            Cipher::Aes => self.wrap_by_google(&name, &payload, context).await,
            Cipher::Rsa => self.wrap_here(&name, &payload).await,
        }
    }

    async fn unwrap_key(&self, key: &KeyRef, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        let name = KeyName::of(key)?;
        let cipher = self.cipher(&name).await?;
        let Some(at) = name.at(&wrapped.version) else {
            // Of no version of this key. A key that is missing or unusable still comes first.
            return Err(self.unusable_or(&name, Error::Mismatch).await);
        };
        self.find_version(&at).await?;
        match self.open(cipher, &at, &wrapped.bytes, context).await {
            Ok(payload) => payload.release(context),
            // So it may say of a key that is disabled, too.
            Err(failure) if failure.is_of_ciphertext() => Err(self.unusable_or(&at, Error::Mismatch).await),
            Err(failure) => Err(self.refusal(&at, failure).await),
        }
    }
}

fn cipher_of_key(key: &CryptoKey) -> Result<Cipher, Error> {
    match key.purpose {
        CryptoKeyPurpose::EncryptDecrypt => Ok(Cipher::Aes),
        CryptoKeyPurpose::AsymmetricDecrypt => Err(Error::broken(Unsuitable::NoVersion)),
        _ => Err(Error::broken(Unsuitable::Purpose)),
    }
}

fn cipher_of_version(version: &CryptoKeyVersion) -> Result<Cipher, Error> {
    match &version.algorithm {
        CryptoKeyVersionAlgorithm::GoogleSymmetricEncryption
        | CryptoKeyVersionAlgorithm::ExternalSymmetricEncryption => Ok(Cipher::Aes),
        algorithm if is_oaep_sha256(algorithm) => Ok(Cipher::Rsa),
        _ => Err(Error::broken(Unsuitable::Purpose)),
    }
}

fn is_oaep_sha256(algorithm: &CryptoKeyVersionAlgorithm) -> bool {
    matches!(
        algorithm,
        CryptoKeyVersionAlgorithm::RsaDecryptOaep2048Sha256
            | CryptoKeyVersionAlgorithm::RsaDecryptOaep3072Sha256
            | CryptoKeyVersionAlgorithm::RsaDecryptOaep4096Sha256
    )
}

fn state_of(name: &KeyName, version: &CryptoKeyVersion) -> Result<KeyState, Error> {
    use CryptoKeyVersionState as State;
    match version.state {
        State::Enabled => {
            let number = name.number_in(&version.name).ok_or_else(|| Error::broken(Unsuitable::OtherKey))?;
            Ok(KeyState::Usable { version: number.to_owned() })
        }
        State::Disabled | State::PendingImport => Ok(KeyState::Unusable(Unusable::Disabled)),
        State::DestroyScheduled => Ok(KeyState::Unusable(Unusable::PendingDeletion)),
        State::PendingGeneration => Err(Error::Unavailable { retry_after: None }),
        // Gone, or never there.
        State::Destroyed
        | State::ImportFailed
        | State::GenerationFailed
        | State::PendingExternalDestruction
        | State::ExternalDestructionFailed => Err(Error::NoSuchKey),
        _ => Err(Error::broken(Unsuitable::State)),
    }
}

/// What a failure means where nothing more is known about the key.
fn translate(failure: Failure) -> Error {
    tracing::debug!(%failure, "Cloud KMS call failed");
    let retry_after = failure.retry_after();
    match failure.code() {
        Some(Code::ResourceExhausted) => Error::Throttled { retry_after },
        Some(Code::Unauthenticated | Code::PermissionDenied) => Error::Refused,
        Some(Code::NotFound) => Error::NoSuchKey,
        Some(Code::Unavailable | Code::Internal | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled) => {
            Error::Unavailable { retry_after }
        }
        Some(Code::Unknown) | None => translate_transport(failure),
        Some(_) => Error::broken(failure),
    }
}

/// What a failure means that is not in Cloud KMS's own words: of the network, of a proxy, of the credentials.
fn translate_transport(failure: Failure) -> Error {
    let retry_after = failure.retry_after();
    let Failure::Call(error) = &failure else { return Error::broken(failure) };
    if let Some(credentials) = failure.credentials() {
        return if credentials.is_transient() { Error::Unavailable { retry_after } } else { Error::Refused };
    }
    match error.http_status_code() {
        Some(401 | 403) => Error::Refused,
        Some(429) => Error::Throttled { retry_after },
        Some(500..600) => Error::Unavailable { retry_after },
        None if !error.is_deserialization() && !error.is_serialization() => Error::Unavailable { retry_after },
        Some(_) | None => Error::broken(failure),
    }
}
