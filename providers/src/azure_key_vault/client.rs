//! Exactly the calls of Microsoft's SDK in use. No retries.

use super::name::{Name, is_version};
use super::sign_in::SignIn;
use super::transport::Transport;
use super::{Algorithm, ConnectError, Options};
use crate::payload::Payload;
use crate::{Context, Wrapped, endpoint};
use azure_core::Error;
use azure_core::http::{ClientOptions, RequestContent, RetryOptions, Transport as Transported, Url};
use azure_core::time::OffsetDateTime;
use azure_security_keyvault_keys::models::{
    EncryptionAlgorithm, ImportKeyParameters, KeyClientEncryptOptions, KeyClientGetKeyOptions, KeyClientWrapKeyOptions,
    KeyOperationParameters, KeyOperationResult,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, ResourceExt, ResourceId, models};
use secret::Secret;
use std::fmt;
use std::sync::Arc;

const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// Length in bytes of a payload under AES key wrap (RFC 3394).
pub(super) const KEY_WRAP_LEN: usize = Payload::LEN + 8;
/// Length in bytes of `iv || ciphertext || tag` of a payload under AES-GCM.
pub(super) const GCM_LEN: usize = NONCE_LEN + Payload::LEN + TAG_LEN;

/// One vault, and who uses it.
pub(super) struct Client {
    keys: KeyClient,
}

/// What the vault says of a key version, as far as it matters here.
#[derive(Debug)]
pub(super) struct Key {
    /// The identifier: vault, name and version in one.
    pub(super) kid: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) operations: Vec<String>,
    pub(super) enabled: bool,
    pub(super) not_before: Option<OffsetDateTime>,
    pub(super) expires: Option<OffsetDateTime>,
    /// Modulus and exponent of an RSA key, big endian.
    pub(super) public: Option<(Vec<u8>, Vec<u8>)>,
}

impl Client {
    /// Makes no call yet.
    pub(super) fn new(options: Options) -> Result<Self, ConnectError> {
        let url = https(&options.vault_url)?;
        let (ca_pem, authority_host) = (options.ca_pem.as_deref(), options.authority_host.as_deref());
        let transport = Arc::new(Transport::to_vault(ca_pem)?);
        let client_options = ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transported::new(transport)),
            ..ClientOptions::default()
        };
        let sign_in = SignIn::new(options.credential, authority_host, ca_pem)?;
        // On loopback stands a tunnel or a test, whose host the resource of a challenge cannot match.
        let verify_challenge_resource = Some(!endpoint::is_loopback(&url));
        let options = KeyClientOptions { client_options, verify_challenge_resource, ..KeyClientOptions::default() };
        let keys = KeyClient::new(url.as_str(), Arc::new(sign_in), Some(options)).map_err(ConnectError::Options)?;
        Ok(Self { keys })
    }

    /// `GET /keys/:name/:version`; `Err` also where the answer lacks what every key has.
    pub(super) async fn key(&self, name: &Name<'_>) -> Result<Key, Error> {
        let options = KeyClientGetKeyOptions {
            key_version: name.version.map(str::to_owned),
            ..KeyClientGetKeyOptions::default()
        };
        let found = self.keys.get_key(name.key, Some(options)).await?.into_model()?;
        let id = found.resource_id()?;
        Key::read(found, id)
    }

    /// `GET /deletedkeys/:name`; whether it was there.
    pub(super) async fn deleted_key(&self, name: &Name<'_>) -> Result<(), Error> {
        self.keys.get_deleted_key(name.key, None).await.map(drop)
    }

    /// `POST /keys/:name/:version/wrapkey`. `None` when the answer is about another key or lacks something.
    pub(super) async fn wrap(
        &self,
        name: &Name<'_>,
        algorithm: Algorithm,
        payload: &Payload,
    ) -> Result<Option<Wrapped>, Error> {
        let options = KeyClientWrapKeyOptions {
            key_version: name.version.map(str::to_owned),
            ..KeyClientWrapKeyOptions::default()
        };
        let parameters = KeyOperationParameters { value: Some(sent(payload)), ..under(algorithm) };
        let answer = self.keys.wrap_key(name.key, parameters.try_into()?, Some(options)).await?.into_model()?;
        let bytes = answer.result.clone();
        Ok(bytes.and_then(|bytes| wrapped(name, &answer, bytes)))
    }

    /// `POST /keys/:name/:version/encrypt` with AES-GCM: `iv || ciphertext || tag`. `None` as for `wrap`.
    pub(super) async fn encrypt(
        &self,
        name: &Name<'_>,
        payload: &Payload,
        context: &Context,
    ) -> Result<Option<Wrapped>, Error> {
        let options = KeyClientEncryptOptions {
            key_version: name.version.map(str::to_owned),
            ..KeyClientEncryptOptions::default()
        };
        let parameters = KeyOperationParameters {
            value: Some(sent(payload)),
            additional_authenticated_data: Some(context.as_bytes().to_vec()),
            ..under(Algorithm::A256Gcm)
        };
        let answer = self.keys.encrypt(name.key, parameters.try_into()?, Some(options)).await?.into_model()?;
        let (Some(iv), Some(value), Some(tag)) = (&answer.iv, &answer.result, &answer.authentication_tag) else {
            return Ok(None);
        };
        let bytes = [&iv[..], value, tag].concat();
        let whole = (iv.len(), tag.len(), bytes.len()) == (NONCE_LEN, TAG_LEN, GCM_LEN);
        Ok(wrapped(name, &answer, bytes).filter(|_| whole))
    }

    /// `POST /keys/:name/:version/unwrapkey`, under the version that wrapped. `None` when there is nothing in the answer.
    pub(super) async fn unwrap(
        &self,
        name: &Name<'_>,
        algorithm: Algorithm,
        wrapped: &Wrapped,
    ) -> Result<Option<Payload>, Error> {
        let parameters = KeyOperationParameters { value: Some(wrapped.bytes.clone()), ..under(algorithm) };
        let answer = self.keys.unwrap_key(name.key, &wrapped.version, parameters.try_into()?, None).await?;
        Ok(payload(answer.into_model()?))
    }

    /// `POST /keys/:name/:version/decrypt` of what `encrypt` made. `None` as for `unwrap`.
    pub(super) async fn decrypt(
        &self,
        name: &Name<'_>,
        wrapped: &Wrapped,
        context: &Context,
    ) -> Result<Option<Payload>, Error> {
        let (iv, rest) = wrapped.bytes.split_at(NONCE_LEN);
        let (value, tag) = rest.split_at(Payload::LEN);
        let parameters = KeyOperationParameters {
            value: Some(value.to_vec()),
            iv: Some(iv.to_vec()),
            authentication_tag: Some(tag.to_vec()),
            additional_authenticated_data: Some(context.as_bytes().to_vec()),
            ..under(Algorithm::A256Gcm)
        };
        let answer = self.keys.decrypt(name.key, &wrapped.version, parameters.try_into()?, None).await?;
        Ok(payload(answer.into_model()?))
    }

    /// `PUT /keys/:name`.
    pub(super) async fn import(&self, name: &Name<'_>, parameters: ImportKeyParameters) -> Result<(), Error> {
        let parameters: RequestContent<ImportKeyParameters> = parameters.try_into()?;
        self.keys.import_key(name.key, parameters, None).await.map(drop)
    }

    /// Whether a key identifier is one of this vault's, for the key of that name.
    pub(super) fn owns(&self, kid: &str, key: &str) -> bool {
        let id = kid.parse::<ResourceId>();
        let here = self.keys.endpoint().as_str().trim_end_matches('/');
        id.is_ok_and(|id| id.vault_url == here && id.name == key && id.version.as_deref().is_some_and(is_version))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("vault", &self.keys.endpoint().as_str()).finish_non_exhaustive()
    }
}

impl Key {
    fn read(found: models::Key, id: ResourceId) -> Result<Self, Error> {
        let absent = || azure_core::error::ErrorKind::DataConversion.into_error();
        let jwk = found.key.ok_or_else(absent)?;
        let attributes = found.attributes.ok_or_else(absent)?;
        Ok(Self {
            kid: id.source_id,
            version: id.version.filter(|version| is_version(version)).ok_or_else(absent)?,
            kind: jwk.kty.ok_or_else(absent)?.to_string(),
            operations: jwk.key_ops.unwrap_or_default(),
            enabled: attributes.enabled.ok_or_else(absent)?,
            not_before: attributes.not_before,
            expires: attributes.expires,
            public: jwk.n.zip(jwk.e),
        })
    }
}

/// An address that the token may be sent to: over HTTPS, even on loopback.
pub(super) fn https(address: &str) -> Result<Url, ConnectError> {
    let url = Url::parse(address).map_err(|_| ConnectError::Address)?;
    if url.scheme() == "https" && url.has_host() { Ok(url) } else { Err(ConnectError::Address) }
}

fn under(algorithm: Algorithm) -> KeyOperationParameters {
    let algorithm = match algorithm {
        Algorithm::RsaOaep256 => EncryptionAlgorithm::RsaOaep256,
        Algorithm::A256Kw => EncryptionAlgorithm::A256Kw,
        Algorithm::A256Gcm => EncryptionAlgorithm::A256Gcm,
    };
    KeyOperationParameters { algorithm: Some(algorithm), ..KeyOperationParameters::default() }
}

#[expect(clippy::disallowed_methods, reason = "the payload goes to Key Vault over TLS, in a type of the SDK's own")]
fn sent(payload: &Payload) -> Vec<u8> {
    payload.bytes().expose().to_vec()
}

fn payload(answer: KeyOperationResult) -> Option<Payload> {
    answer.result.map(|bytes| Payload::unwrapped(Secret::new(bytes.into_boxed_slice())))
}

/// The version that wrapped is the one that the answer names.
fn wrapped(name: &Name<'_>, answer: &KeyOperationResult, bytes: Vec<u8>) -> Option<Wrapped> {
    let id = answer.resource_id().ok().filter(|id| id.name == name.key)?;
    let version = id.version.filter(|version| is_version(version))?;
    name.version.is_none_or(|pinned| pinned == version).then_some(Wrapped { bytes, version })
}

#[cfg(test)]
mod tests {
    use super::https;
    use crate::endpoint::is_loopback;

    /// Everywhere else the SDK compares the vault's host with the resource of its challenge.
    #[test]
    fn a_challenge_is_taken_on_trust_on_loopback_alone() {
        let loopback = |address| is_loopback(&https(address).unwrap());
        assert!(["https://localhost:1", "https://127.0.0.1", "https://[::1]:1"].into_iter().all(loopback));
        let elsewhere = ["https://keyfold.vault.azure.net", "https://localhost.example", "https://127.0.0.1.example"];
        assert!(!elsewhere.into_iter().any(loopback));
    }
}
