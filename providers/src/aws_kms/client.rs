//! Exactly the KMS calls in use: state, encryption, re-encryption, import. No retries.

use super::failure::Failure;
use crate::payload::Payload;
use crate::{Context, ImportParameters, OaepHash, WrappingMechanism};
use aws_sdk_kms::Client as Sdk;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{AlgorithmSpec, EncryptionAlgorithmSpec, ExpirationModelType, KeyMetadata, WrappingKeySpec};
use secret::Secret;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// The one entry of the encryption context.
const CONTEXT_NAME: &str = "keyfold";

/// KMS in one region, with the credentials to use it.
#[derive(Debug)]
pub(super) struct Client(Sdk);

/// How a key encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// AES-256-GCM in KMS's own format, with an encryption context.
    Symmetric,
    /// RSAES-OAEP with SHA-256 (RFC 8017, section 7.1): no context.
    RsaOaep,
}

/// A key and how it encrypts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kek<'k> {
    pub(super) name: &'k str,
    pub(super) algorithm: Algorithm,
}

impl Client {
    pub(super) fn new(sdk: Sdk) -> Self {
        Self(sdk)
    }

    /// `DescribeKey`.
    pub(super) async fn describe(&self, name: &str) -> Result<KeyMetadata, Failure> {
        let answer = self.0.describe_key().key_id(name).send().await?;
        answer.key_metadata.ok_or(Failure::Lacks("key metadata"))
    }

    /// `Encrypt`; KMS's ciphertext.
    pub(super) async fn encrypt(&self, kek: Kek<'_>, payload: &Payload, context: &Context) -> Result<Vec<u8>, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the payload goes to KMS, over TLS")]
        let plaintext = Blob::new(payload.bytes().expose());
        let call = self.0.encrypt().key_id(kek.name).encryption_algorithm(kek.algorithm.name()).plaintext(plaintext);
        let answer = call.set_encryption_context(kek.algorithm.context(context)).send().await?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or(Failure::Lacks("ciphertext"))
    }

    /// `Decrypt`, by this key alone.
    pub(super) async fn decrypt(&self, kek: Kek<'_>, ciphertext: &[u8], context: &Context) -> Result<Payload, Failure> {
        let call = self.0.decrypt().key_id(kek.name).encryption_algorithm(kek.algorithm.name());
        let call = call.ciphertext_blob(Blob::new(ciphertext));
        let answer = call.set_encryption_context(kek.algorithm.context(context)).send().await?;
        let plaintext = answer.plaintext.map(Blob::into_inner).map(Zeroizing::new);
        plaintext.map(|bytes| Payload::unwrapped(Secret::copied_from(&bytes))).ok_or(Failure::Lacks("plaintext"))
    }

    /// `ReEncrypt`, from this key alone to that one.
    pub(super) async fn re_encrypt(
        &self,
        from: Kek<'_>,
        to: Kek<'_>,
        ciphertext: &[u8],
        context: &Context,
    ) -> Result<Vec<u8>, Failure> {
        let call = self.0.re_encrypt().ciphertext_blob(Blob::new(ciphertext));
        let call = call.source_key_id(from.name).source_encryption_algorithm(from.algorithm.name());
        let call = call.set_source_encryption_context(from.algorithm.context(context));
        let call = call.destination_key_id(to.name).destination_encryption_algorithm(to.algorithm.name());
        let answer = call.set_destination_encryption_context(to.algorithm.context(context)).send().await?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or(Failure::Lacks("ciphertext"))
    }

    /// `GetParametersForImport`, for RSAES_OAEP_SHA_256 under RSA-4096.
    pub(super) async fn import_parameters(&self, name: &str) -> Result<ImportParameters, Failure> {
        let call = self.0.get_parameters_for_import().key_id(name).wrapping_key_spec(WrappingKeySpec::Rsa4096);
        let answer = call.wrapping_algorithm(AlgorithmSpec::RsaesOaepSha256).send().await?;
        Ok(ImportParameters {
            wrapping_key: answer.public_key.ok_or(Failure::Lacks("wrapping key"))?.into_inner(),
            mechanism: WrappingMechanism::RsaOaep,
            hash: OaepHash::Sha256,
            token: answer.import_token.ok_or(Failure::Lacks("import token"))?.into_inner(),
            expires_at: answer.parameters_valid_to.map(|end| end.secs()),
        })
    }

    /// `ImportKeyMaterial`, without an end.
    pub(super) async fn import(&self, name: &str, material: &[u8], token: &[u8]) -> Result<(), Failure> {
        let call =
            self.0.import_key_material().key_id(name).expiration_model(ExpirationModelType::KeyMaterialDoesNotExpire);
        call.encrypted_key_material(Blob::new(material)).import_token(Blob::new(token)).send().await?;
        Ok(())
    }
}

impl Algorithm {
    fn name(self) -> EncryptionAlgorithmSpec {
        match self {
            Self::Symmetric => EncryptionAlgorithmSpec::SymmetricDefault,
            Self::RsaOaep => EncryptionAlgorithmSpec::RsaesOaepSha256,
        }
    }

    fn context(self, context: &Context) -> Option<HashMap<String, String>> {
        match self {
            Self::Symmetric => Some(HashMap::from([(CONTEXT_NAME.to_owned(), hex::encode(context.as_bytes()))])),
            Self::RsaOaep => None,
        }
    }
}
