//! `[[sinks]]` of type `s3`.

use super::https::Connection;
use crate::config::SecretSource;
use serde::Deserialize;

/// A bucket in S3 or what speaks its protocol.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// What all names begin with.
    #[serde(default)]
    pub prefix: String,
    /// `https://host[:port]`, where it is not AWS's own.
    pub endpoint: Option<String>,
    /// Whether the bucket is named in the path.
    #[serde(default)]
    pub path_style: bool,
    /// Whose rights are used; without it, what the default chain of the AWS SDKs finds.
    pub access_key: Option<AccessKey>,
    /// Object Lock.
    pub lock: Option<Lock>,
    /// The KMS key that S3 encrypts with.
    pub kms_key: Option<String>,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

/// An access key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: SecretSource,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretSource>,
}

/// How long objects cannot be deleted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Who may end it early.
    pub mode: LockMode,
    /// How long.
    pub days: u16,
}

/// By the names of S3.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// Nobody may end it.
    Compliance,
    /// Who has the permission may.
    Governance,
}
