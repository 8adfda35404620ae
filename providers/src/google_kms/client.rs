//! Exactly the calls in use, each sent once, with checksums (CRC32C) both ways.

use super::connect::{ConnectError, Options, connect};
use crate::payload::Payload;
use crate::{Context, http};
use bytes::Bytes;
use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::error::rpc::{Code, Status, StatusDetails};
use google_cloud_gax::paginator::ItemPaginator;
use google_cloud_kms_v1::client::KeyManagementService;
use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionAlgorithm;
use google_cloud_kms_v1::model::import_job::ImportMethod;
use google_cloud_kms_v1::model::{CryptoKey, CryptoKeyVersion, ImportJob, ProtectionLevel, PublicKey};
use secret::Secret;
use std::error::Error as _;
use std::time::Duration;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Cloud KMS as one identity sees it.
#[derive(Debug)]
pub(super) struct Client(KeyManagementService);

/// Why a call gave no answer to work with.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// An error of the server, or no answer.
    #[error("Cloud KMS did not do what it was asked")]
    Call(#[from] google_cloud_gax::error::Error),
    /// A checksum is missing or wrong, in the request as it arrived or in the answer.
    #[error("{0} was damaged on its way to or from Cloud KMS")]
    Damaged(&'static str),
}

/// What `encrypt` gives.
#[derive(Debug)]
pub(super) struct Encrypted {
    pub(super) ciphertext: Vec<u8>,
    /// Name of the version that encrypted.
    pub(super) version: String,
}

impl Client {
    pub(super) async fn connect(options: Options) -> Result<Self, ConnectError> {
        connect(options).await.map(Self)
    }

    /// `cryptoKeys.get`.
    pub(super) async fn crypto_key(&self, key: &str) -> Result<CryptoKey, Failure> {
        Ok(self.0.get_crypto_key().set_name(key).send().await?)
    }

    /// `cryptoKeyVersions.get`.
    pub(super) async fn version(&self, version: &str) -> Result<CryptoKeyVersion, Failure> {
        Ok(self.0.get_crypto_key_version().set_name(version).send().await?)
    }

    /// `cryptoKeyVersions.list`, all pages.
    pub(super) async fn versions(&self, key: &str) -> Result<Vec<CryptoKeyVersion>, Failure> {
        let mut pages = self.0.list_crypto_key_versions().set_parent(key).by_item();
        let mut versions = Vec::new();
        while let Some(version) = pages.next().await {
            versions.push(version?);
        }
        Ok(versions)
    }

    /// `cryptoKeys.encrypt` under a key's primary version, or under the version named; the context is the associated data.
    pub(super) async fn encrypt(&self, name: &str, payload: &Payload, context: &Context) -> Result<Encrypted, Failure> {
        let plaintext = plaintext(payload);
        let aad = context.as_bytes();
        let call = self.0.encrypt().set_name(name).set_plaintext_crc32c(crc(&plaintext)).set_plaintext(plaintext);
        let call = call.set_additional_authenticated_data_crc32c(crc(aad));
        let answer = call.set_additional_authenticated_data(Bytes::copy_from_slice(aad)).send().await?;
        verified(answer.verified_plaintext_crc32c, "the plaintext")?;
        verified(answer.verified_additional_authenticated_data_crc32c, "the associated data")?;
        verified(answer.ciphertext_crc32c == Some(crc(&answer.ciphertext)), "the ciphertext")?;
        Ok(Encrypted { ciphertext: answer.ciphertext.into(), version: answer.name })
    }

    /// `cryptoKeys.decrypt`, with the context as associated data.
    pub(super) async fn decrypt(&self, key: &str, ciphertext: &[u8], context: &Context) -> Result<Payload, Failure> {
        let aad = context.as_bytes();
        let call = self.0.decrypt().set_name(key).set_ciphertext_crc32c(crc(ciphertext));
        let call = call.set_ciphertext(Bytes::copy_from_slice(ciphertext));
        let call = call.set_additional_authenticated_data_crc32c(crc(aad));
        let answer = call.set_additional_authenticated_data(Bytes::copy_from_slice(aad)).send().await?;
        taken(answer.plaintext, answer.plaintext_crc32c)
    }

    /// `cryptoKeyVersions.getPublicKey`, as PEM.
    pub(super) async fn public_key(&self, version: &str) -> Result<PublicKey, Failure> {
        let answer = self.0.get_public_key().set_name(version).send().await?;
        verified(answer.pem_crc32c == Some(crc(answer.pem.as_bytes())), "the public key")?;
        verified(answer.name == version, "the public key's name")?;
        Ok(answer)
    }

    /// `cryptoKeyVersions.asymmetricDecrypt`.
    pub(super) async fn asymmetric_decrypt(&self, version: &str, ciphertext: &[u8]) -> Result<Payload, Failure> {
        let call = self.0.asymmetric_decrypt().set_name(version).set_ciphertext_crc32c(crc(ciphertext));
        let answer = call.set_ciphertext(Bytes::copy_from_slice(ciphertext)).send().await?;
        verified(answer.verified_ciphertext_crc32c, "the ciphertext")?;
        taken(answer.plaintext, answer.plaintext_crc32c)
    }

    /// `importJobs.list`, all pages.
    pub(super) async fn import_jobs(&self, ring: &str) -> Result<Vec<ImportJob>, Failure> {
        let mut pages = self.0.list_import_jobs().set_parent(ring).by_item();
        let mut jobs = Vec::new();
        while let Some(job) = pages.next().await {
            jobs.push(job?);
        }
        Ok(jobs)
    }

    /// `importJobs.get`.
    pub(super) async fn import_job(&self, job: &str) -> Result<ImportJob, Failure> {
        Ok(self.0.get_import_job().set_name(job).send().await?)
    }

    /// `importJobs.create`, for RSA_OAEP_4096_SHA256_AES_256.
    pub(super) async fn create_import_job(
        &self,
        ring: &str,
        id: &str,
        level: ProtectionLevel,
    ) -> Result<ImportJob, Failure> {
        let method = ImportMethod::RsaOaep4096Sha256Aes256;
        let job = ImportJob::new().set_import_method(method).set_protection_level(level);
        Ok(self.0.create_import_job().set_parent(ring).set_import_job_id(id).set_import_job(job).send().await?)
    }

    /// `cryptoKeyVersions.import` of an AES-256 key as a new version.
    pub(super) async fn import(&self, key: &str, job: &str, material: &[u8]) -> Result<CryptoKeyVersion, Failure> {
        let algorithm = CryptoKeyVersionAlgorithm::GoogleSymmetricEncryption;
        let call = self.0.import_crypto_key_version().set_parent(key).set_import_job(job).set_algorithm(algorithm);
        Ok(call.set_wrapped_key(Bytes::copy_from_slice(material)).send().await?)
    }

    /// `cryptoKeys.updatePrimaryVersion`.
    pub(super) async fn make_primary(&self, key: &str, number: &str) -> Result<(), Failure> {
        let call = self.0.update_crypto_key_primary_version().set_name(key).set_crypto_key_version_id(number);
        call.send().await?;
        Ok(())
    }
}

impl Failure {
    /// What the server said; `None` when it was not Cloud KMS that answered, or nobody.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Call(error) => error.status().map(|status| status.code),
            Self::Damaged(_) => None,
        }
    }

    /// Whether Cloud KMS has found the ciphertext wrong. INVALID_ARGUMENT is its word also for a checksum that did not match
    /// when it arrived; only the message tells, by naming the field.
    pub(super) fn is_of_ciphertext(&self) -> bool {
        let Self::Call(error) = self else { return false };
        let of_checksum = |status: &Status| status.message.contains("_crc32c");
        error.status().is_some_and(|status| status.code == Code::InvalidArgument && !of_checksum(status))
    }

    /// google.rpc.RetryInfo, or else `Retry-After` in seconds.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let Self::Call(error) = self else { return None };
        let details = error.status().map(|status| status.details.as_slice()).unwrap_or_default();
        let asked = details.iter().find_map(|detail| match detail {
            StatusDetails::RetryInfo(info) => Duration::try_from(info.retry_delay?).ok(),
            _ => None,
        });
        asked.or_else(|| http::retry_after(error.http_headers()?))
    }

    /// Why there are no credentials to call with, where that is the reason.
    pub(super) fn credentials(&self) -> Option<&CredentialsError> {
        match self {
            Self::Call(error) => error.source()?.downcast_ref(),
            Self::Damaged(_) => None,
        }
    }
}

/// A copy that is wiped when the library drops it.
fn plaintext(payload: &Payload) -> Bytes {
    #[expect(clippy::disallowed_methods, reason = "the payload goes to Cloud KMS, over TLS")]
    let bytes = payload.bytes().expose().to_vec();
    Bytes::from_owner(Zeroizing::new(bytes))
}

/// Takes a plaintext over from the library, and wipes the library's copy if nobody else holds it.
fn taken(plaintext: Bytes, checksum: Option<i64>) -> Result<Payload, Failure> {
    let right = checksum == Some(crc(&plaintext));
    let payload = Payload::unwrapped(Secret::copied_from(&plaintext));
    if let Ok(mut plaintext) = plaintext.try_into_mut() {
        plaintext.zeroize();
    }
    verified(right, "the plaintext").map(|()| payload)
}

fn verified(holds: bool, what: &'static str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Damaged(what)) }
}

fn crc(bytes: &[u8]) -> i64 {
    crc32c::crc32c(bytes).into()
}
