//! Keys in AWS KMS: symmetric ones with the context as encryption context, RSA ones with OAEP-SHA-256.

mod client;
mod connect;
mod failure;

use crate::payload::Payload;
use crate::{
    Capabilities, Context, EndpointError, Error, ImportKey, ImportParameters, KeyProvider, KeyRef, KeyState,
    Permissions, RewrapKey, Unusable, Wrapped, why_unusable,
};
use async_trait::async_trait;
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState as AwsKeyState, KeyUsageType};
use client::{Algorithm, Client, Kek};
use failure::{Failure, Verdict};
use secret::Secret;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// The longest ciphertext that KMS takes.
const MAX_CIPHERTEXT: usize = 6144;
/// The longest name of a key that KMS takes.
const MAX_NAME: usize = 2048;

/// Where the keys are, and as whom to use them. Credentials come from the default chain of the AWS SDKs: environment,
/// profile, web identity, container, instance.
#[derive(Debug, Default)]
pub struct Options {
    /// The region that the keys are in.
    pub region: String,
    /// Another endpoint of KMS: `https://host[:port]`. Plain HTTP is accepted for loopback only.
    pub endpoint: Option<String>,
    /// Whether to use the FIPS endpoints of the region, of KMS and of STS.
    pub fips: bool,
    /// The only certificate authorities to trust, PEM; the system's where there are none.
    pub ca_pem: Option<Vec<u8>>,
    /// The role to assume; without one, the chain's credentials are used as they are.
    pub role_arn: Option<String>,
    /// The external id that the role's owner asks for.
    pub external_id: Option<String>,
    /// Another endpoint of STS, which hands out the role; as `endpoint`.
    pub sts_endpoint: Option<String>,
}

/// Why an AWS KMS is not used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The region has characters that no region has.
    #[error("the region is not the name of a region")]
    Region,
    /// An endpoint may not be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// An endpoint of one's own is what it is: `fips` cannot choose another.
    #[error("either FIPS endpoints or endpoints of your own")]
    FipsEndpoint,
    /// Only a role has an external id, or is handed out by STS.
    #[error("an external id and an STS endpoint need a role to assume")]
    NoRole,
    /// The certificate authorities cannot be read.
    #[error("the certificate authorities are not certificates in PEM")]
    Authorities,
    /// The TLS client cannot be built.
    #[error("the TLS client cannot be built")]
    Tls(#[source] aws_smithy_http_client::HttpClientError),
}

/// The key cannot wrap: it signs, agrees on keys, or encrypts in another way.
#[derive(Debug, Error)]
#[error("a key of spec {spec} and usage {usage} is not used, only SYMMETRIC_DEFAULT and RSA keys that encrypt")]
struct Unsuitable {
    spec: String,
    usage: String,
}

/// A state of a key that KMS did not have when this was written.
#[derive(Debug, Error)]
#[error("the key is in the unknown state {0}")]
struct UnknownState(String);

/// AWS KMS in one region, used under one identity.
#[derive(Debug)]
pub struct AwsKms {
    client: Client,
    /// How keys encrypt, by name. A key never changes it, but an alias can move to another key.
    algorithms: Mutex<HashMap<KeyRef, Algorithm>>,
}

impl AwsKms {
    /// Makes no call: credentials are loaded by the first call that needs them. Without any, calls are
    /// [`Error::Refused`]; while their source does not answer, [`Error::Unavailable`].
    pub async fn connect(options: Options) -> Result<Self, ConnectError> {
        let client = Client::new(connect::client(options).await?);
        Ok(Self { client, algorithms: Mutex::default() })
    }

    async fn describe(&self, key: &KeyRef) -> Result<(Algorithm, KeyMetadata), Error> {
        let metadata = match self.client.describe(name_of(key)?).await.map_err(Failure::verdict) {
            Ok(metadata) => metadata,
            Err(Verdict::Is(error)) => return Err(error),
            // Neither can be: DescribeKey takes no ciphertext, and keys of every state.
            Err(Verdict::State | Verdict::Mismatch) => return Err(Error::Unavailable { retry_after: None }),
        };
        let algorithm = algorithm_of(&metadata)?;
        self.algorithms().insert(key.clone(), algorithm);
        Ok((algorithm, metadata))
    }

    async fn kek<'k>(&self, key: &'k KeyRef) -> Result<Kek<'k>, Error> {
        let known = self.algorithms().get(key).copied();
        let algorithm = match known {
            Some(algorithm) => algorithm,
            None => self.describe(key).await?.0,
        };
        Ok(Kek { name: name_of(key)?, algorithm })
    }

    /// What a failed call under `key` means: that the key is gone or may not be used comes before all else.
    async fn explain(&self, key: &KeyRef, verdict: Verdict) -> Error {
        match verdict {
            Verdict::Is(error) => {
                if matches!(error, Error::Broken(_)) {
                    // The name may be an alias that has moved to a key of another algorithm.
                    self.algorithms().remove(key);
                }
                error
            }
            Verdict::State => self.unusable(key).await.unwrap_or(Error::Unavailable { retry_after: None }),
            Verdict::Mismatch => self.unusable(key).await.unwrap_or(Error::Mismatch),
        }
    }

    /// Why `key` may not be used; `None` when it may.
    async fn unusable(&self, key: &KeyRef) -> Option<Error> {
        why_unusable(self.inspect(key).await)
    }

    fn algorithms(&self) -> MutexGuard<'_, HashMap<KeyRef, Algorithm>> {
        self.algorithms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyProvider for AwsKms {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // RSA keys do not.
            binds_context: false,
            hardware: true,
            // RSA-2048 with OAEP-SHA-256; symmetric keys take 4096.
            max_payload: 190,
            permissions: Permissions {
                inspect: "kms:DescribeKey",
                wrap: "kms:DescribeKey and kms:Encrypt",
                unwrap: "kms:DescribeKey and kms:Decrypt",
            },
        }
    }

    async fn inspect(&self, key: &KeyRef) -> Result<KeyState, Error> {
        let (_, metadata) = self.describe(key).await?;
        let unusable = |reason| Ok(KeyState::Unusable(reason));
        match metadata.key_state {
            Some(AwsKeyState::Enabled | AwsKeyState::Updating) => Ok(KeyState::Usable { version: String::new() }),
            Some(AwsKeyState::Disabled) => unusable(Unusable::Disabled),
            Some(AwsKeyState::PendingDeletion | AwsKeyState::PendingReplicaDeletion) => {
                unusable(Unusable::PendingDeletion)
            }
            // Its material has expired or was deleted, or has not come yet.
            Some(AwsKeyState::PendingImport) => unusable(Unusable::Expired),
            Some(AwsKeyState::Unavailable | AwsKeyState::Creating) => Err(Error::Unavailable { retry_after: None }),
            Some(other) => Err(Error::broken(UnknownState(other.as_str().to_owned()))),
            None => Err(Error::broken(Failure::Lacks("key state"))),
        }
    }

    async fn wrap_key(&self, key: &KeyRef, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let payload = Payload::bind(secret, context)?;
        let kek = self.kek(key).await?;
        match self.client.encrypt(kek, &payload, context).await {
            Ok(bytes) => Ok(Wrapped { bytes, version: String::new() }),
            Err(failure) => Err(self.explain(key, failure.verdict()).await),
        }
    }

    async fn unwrap_key(&self, key: &KeyRef, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        if !is_possible(wrapped) {
            return Err(self.unusable(key).await.unwrap_or(Error::Mismatch));
        }
        let kek = self.kek(key).await?;
        match self.client.decrypt(kek, &wrapped.bytes, context).await {
            Ok(payload) => payload.release(context),
            Err(failure) => Err(self.explain(key, failure.verdict()).await),
        }
    }
}

/// By `ReEncrypt`. The payload stays inside KMS, so that it is bound to `context` shows at the next unwrap.
#[async_trait]
impl RewrapKey for AwsKms {
    async fn rewrap_key(
        &self,
        from: &KeyRef,
        to: &KeyRef,
        wrapped: &Wrapped,
        context: &Context,
    ) -> Result<Wrapped, Error> {
        if !is_possible(wrapped) {
            return Err(self.unusable(from).await.unwrap_or(Error::Mismatch));
        }
        let keks = (self.kek(from).await?, self.kek(to).await?);
        match self.client.re_encrypt(keks.0, keks.1, &wrapped.bytes, context).await {
            Ok(bytes) => Ok(Wrapped { bytes, version: String::new() }),
            Err(failure) => Err(match failure.verdict() {
                Verdict::State if self.unusable(from).await.is_none() => self.explain(to, Verdict::State).await,
                verdict @ (Verdict::State | Verdict::Is(_) | Verdict::Mismatch) => self.explain(from, verdict).await,
            }),
        }
    }
}

/// Into symmetric keys whose origin is EXTERNAL. They have no material, and are [`Unusable::Expired`], until it comes.
#[async_trait]
impl ImportKey for AwsKms {
    async fn import_parameters(&self, key: &KeyRef) -> Result<ImportParameters, Error> {
        match self.client.import_parameters(name_of(key)?).await {
            Ok(parameters) => Ok(parameters),
            Err(failure) => Err(self.explain(key, failure.verdict()).await),
        }
    }

    async fn import_key(&self, key: &KeyRef, material: &[u8], token: &[u8]) -> Result<(), Error> {
        match self.client.import(name_of(key)?, material, token).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(match failure.verdict() {
                // A key without material is the one to import into, so its state is no reason.
                Verdict::Mismatch => Error::Mismatch,
                verdict @ (Verdict::State | Verdict::Is(_)) => self.explain(key, verdict).await,
            }),
        }
    }
}

/// The name, if KMS can have it: an id, an ARN, or an alias. No other is sent.
fn name_of(key: &KeyRef) -> Result<&str, Error> {
    let name = key.as_str();
    let possible = |c: char| c.is_ascii_alphanumeric() || "/_-:".contains(c);
    if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(possible) { Ok(name) } else { Err(Error::NoSuchKey) }
}

/// Whether it can be of KMS: nothing else is sent.
fn is_possible(wrapped: &Wrapped) -> bool {
    wrapped.version.is_empty() && (1..=MAX_CIPHERTEXT).contains(&wrapped.bytes.len())
}

fn algorithm_of(metadata: &KeyMetadata) -> Result<Algorithm, Error> {
    match (&metadata.key_usage, &metadata.key_spec) {
        (Some(KeyUsageType::EncryptDecrypt), Some(KeySpec::SymmetricDefault)) => Ok(Algorithm::Symmetric),
        (Some(KeyUsageType::EncryptDecrypt), Some(KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096)) => {
            Ok(Algorithm::RsaOaep)
        }
        (usage, spec) => Err(Error::broken(Unsuitable {
            spec: spec.as_ref().map_or_else(String::new, |spec| spec.as_str().to_owned()),
            usage: usage.as_ref().map_or_else(String::new, |usage| usage.as_str().to_owned()),
        })),
    }
}
