//! Keys made elsewhere, by the transfer blob (`.byok`) of Microsoft's BYOK specification. Managed HSM only: a key vault
//! has no AES keys.

use super::name::Name;
use super::{AzureKeyVault, Kind, Unsuitable, is_bad_parameter, translate};
use crate::{Error, ImportKey, ImportParameters, KeyRef, OaepHash, WrappingMechanism};
use async_trait::async_trait;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKeyComponents;
use azure_security_keyvault_keys::models::{ImportKeyParameters, JsonWebKey, KeyType};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::json;
use thiserror::Error as ThisError;

/// Follows the name of a key in that of the key that its material is wrapped to.
const TRANSFER_SUFFIX: &str = "-import";
const OPERATIONS: [&str; 4] = ["wrapKey", "unwrapKey", "encrypt", "decrypt"];

/// A key vault was asked to take an AES key.
#[derive(Debug, ThisError)]
#[error("a key vault has no AES keys: import into a Managed HSM")]
struct NoAesKeys;

/// The public key of the key that material is wrapped to is none.
#[derive(Debug, ThisError)]
#[error("the transfer key's public key makes no sense")]
struct NoPublicKey;

#[async_trait]
impl ImportKey for AzureKeyVault {
    /// The public part of the key `<key>-import`, which must be RSA-HSM with the one operation `import`; the token is its
    /// identifier.
    async fn import_parameters(&self, key: &KeyRef) -> Result<ImportParameters, Error> {
        let transfer_name = self.transfer_name(key)?;
        let transfer = self.client.key(&Name { key: &transfer_name, version: None }).await.map_err(translate)?;
        let Some((n, e)) = transfer.public.filter(|_| transfer.kind == "RSA-HSM" && transfer.operations == ["import"])
        else {
            let (kind, operations) = (transfer.kind, transfer.operations);
            return Err(Error::broken(Unsuitable { kind, operations, needed: "RSA-HSM with import alone" }));
        };
        let wrapping_key = PublicKeyComponents { n, e }.as_der().map_err(|_| Error::broken(NoPublicKey))?;
        Ok(ImportParameters {
            wrapping_key: wrapping_key.as_ref().to_vec(),
            mechanism: WrappingMechanism::RsaAesKeyWrap,
            hash: OaepHash::Sha1,
            token: transfer.kid.into_bytes(),
            expires_at: transfer.expires.map(|expires| expires.unix_timestamp()),
        })
    }

    async fn import_key(&self, key: &KeyRef, material: &[u8], token: &[u8]) -> Result<(), Error> {
        let transfer_name = self.transfer_name(key)?;
        let kid = str::from_utf8(token).ok().filter(|kid| self.client.owns(kid, &transfer_name));
        let parameters = ImportKeyParameters {
            key: Some(JsonWebKey {
                kty: Some(KeyType::OctHsm),
                key_ops: Some(OPERATIONS.map(str::to_owned).to_vec()),
                t: Some(transfer_blob(kid.ok_or(Error::Mismatch)?, material)),
                ..JsonWebKey::default()
            }),
            ..ImportKeyParameters::default()
        };
        match self.client.import(&Name::of(key)?, parameters).await {
            Ok(()) => Ok(()),
            Err(failure) if is_bad_parameter(&failure) => Err(Error::Mismatch),
            Err(failure) => Err(translate(failure)),
        }
    }
}

impl AzureKeyVault {
    /// A version is the service's to give, so none can be imported.
    fn transfer_name(&self, key: &KeyRef) -> Result<String, Error> {
        match (self.kind, Name::of(key)?) {
            (Kind::Vault, _) => Err(Error::broken(NoAesKeys)),
            (Kind::ManagedHsm, Name { version: Some(_), .. }) => Err(Error::NoSuchKey),
            (Kind::ManagedHsm, Name { key, version: None }) => Ok(format!("{key}{TRANSFER_SUFFIX}")),
        }
    }
}

fn transfer_blob(kid: &str, material: &[u8]) -> Vec<u8> {
    let blob = json!({
        "schema_version": "1.0.0",
        "header": {"kid": kid, "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
        "ciphertext": BASE64_URL_SAFE_NO_PAD.encode(material),
        "generator": "keyfold",
    });
    blob.to_string().into_bytes()
}
