//! Keys made elsewhere, by import jobs: one job for each import, named after the key.

use super::client::Failure;
use super::name::KeyName;
use super::{GoogleKms, Unsuitable, state_of, translate};
use crate::oaep::der_from_pem;
use crate::{Error, ImportKey, ImportParameters, KeyRef, KeyState, OaepHash, Unusable, WrappingMechanism};
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use google_cloud_gax::error::rpc::Code;
use google_cloud_kms_v1::model::crypto_key::CryptoKeyPurpose;
use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionState;
use google_cloud_kms_v1::model::import_job::ImportJobState;
use google_cloud_kms_v1::model::{CryptoKeyVersion, ImportJob, ProtectionLevel};
use std::time::Duration;

/// What Google needs to make a job's RSA key, or to unwrap material, is seconds.
const SOON: Error = Error::Unavailable { retry_after: Some(Duration::from_secs(2)) };

#[async_trait]
impl ImportKey for GoogleKms {
    /// The key must be for ENCRYPT_DECRYPT. While a job's key is being made, this is [`Error::Unavailable`].
    async fn import_parameters(&self, key: &KeyRef) -> Result<ImportParameters, Error> {
        let name = importable(key)?;
        let level = self.protection_level(&name).await?;
        let versions = self.client.versions(name.key()).await.map_err(translate)?;
        let jobs = self.client.import_jobs(name.key_ring()).await.map_err(translate)?;
        let prefix = job_prefix(&name);
        let ours: Vec<ImportJob> = jobs.into_iter().filter(|job| job.name.starts_with(&prefix)).collect();
        let used = |job: &ImportJob| versions.iter().any(|version| version.import_job == job.name);
        match ours.iter().find(|job| job.state != ImportJobState::Expired && !used(job)) {
            Some(job) => parameters(job),
            None => self.new_job(&name, level, ours.len() + 1).await,
        }
    }

    /// Makes the imported version the primary one. Repeated with the same token, it imports nothing twice.
    async fn import_key(&self, key: &KeyRef, material: &[u8], token: &[u8]) -> Result<(), Error> {
        let name = importable(key)?;
        let job = str::from_utf8(token).ok().filter(|job| is_job_of(&name, job)).ok_or(Error::Mismatch)?;
        let versions = self.client.versions(name.key()).await.map_err(translate)?;
        let version = match versions.into_iter().find(|version| version.import_job == job) {
            Some(version) => version,
            None => match self.client.import(name.key(), job, material).await {
                Ok(version) => version,
                Err(failure) => return Err(self.import_refusal(job, failure).await),
            },
        };
        self.settle(&name, &version).await
    }
}

impl GoogleKms {
    async fn protection_level(&self, name: &KeyName) -> Result<ProtectionLevel, Error> {
        let key = self.client.crypto_key(name.key()).await.map_err(translate)?;
        match key.version_template {
            Some(template) if key.purpose == CryptoKeyPurpose::EncryptDecrypt => Ok(template.protection_level),
            Some(_) | None => Err(Error::broken(Unsuitable::Purpose)),
        }
    }

    async fn new_job(&self, name: &KeyName, level: ProtectionLevel, number: usize) -> Result<ImportParameters, Error> {
        let job = format!("{}{number}", job_prefix(name));
        let id = job.rsplit('/').next().unwrap_or_default();
        match self.client.create_import_job(name.key_ring(), id, level).await {
            Ok(job) => parameters(&job),
            // Somebody else was faster; it will be found.
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => Err(SOON),
            Err(failure) => Err(translate(failure)),
        }
    }

    /// Puts an imported version to use, as far as Google has come with it.
    async fn settle(&self, name: &KeyName, version: &CryptoKeyVersion) -> Result<(), Error> {
        match version.state {
            CryptoKeyVersionState::PendingImport => return Err(SOON),
            CryptoKeyVersionState::ImportFailed => return Err(Error::Mismatch),
            _ => {}
        }
        match state_of(name, version)? {
            KeyState::Usable { version } => self.client.make_primary(name.key(), &version).await.map_err(translate),
            KeyState::Unusable(reason) => Err(Error::KeyUnusable(reason)),
        }
    }

    async fn import_refusal(&self, job: &str, failure: Failure) -> Error {
        match failure.code() {
            Some(Code::InvalidArgument | Code::NotFound) => Error::Mismatch,
            Some(Code::FailedPrecondition) => match self.client.import_job(job).await {
                Ok(job) if job.state == ImportJobState::Expired => Error::KeyUnusable(Unusable::Expired),
                Ok(_) => Error::Unavailable { retry_after: None },
                Err(failure) => translate(failure),
            },
            _ => translate(failure),
        }
    }
}

/// A key's name without a version: an import makes one.
fn importable(key: &KeyRef) -> Result<KeyName, Error> {
    let name = KeyName::of(key)?;
    if name.version().is_none() { Ok(name) } else { Err(Error::broken(Unsuitable::Version)) }
}

fn parameters(job: &ImportJob) -> Result<ImportParameters, Error> {
    match (&job.state, &job.public_key) {
        (ImportJobState::Active, Some(key)) => Ok(ImportParameters {
            wrapping_key: der_from_pem(&key.pem).map_err(Error::broken)?,
            mechanism: WrappingMechanism::RsaAesKeyWrap,
            hash: OaepHash::Sha256,
            token: job.name.clone().into_bytes(),
            expires_at: job.expire_time.map(|time| time.seconds()),
        }),
        _ => Err(SOON),
    }
}

/// All but the number of a job for `name`. A hash, for the names of jobs are as long as those of keys.
fn job_prefix(name: &KeyName) -> String {
    let hash = digest(&SHA256, name.key().as_bytes());
    let hash: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}/importJobs/keyfold-{hash}-", name.key_ring())
}

fn is_job_of(name: &KeyName, job: &str) -> bool {
    let number = job.strip_prefix(&job_prefix(name));
    number.is_some_and(|number| number.parse::<usize>().is_ok_and(|parsed| parsed.to_string() == number))
}
