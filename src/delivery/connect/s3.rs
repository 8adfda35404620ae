use super::Failure;
use crate::config::sink::s3::{AccessKey, LockMode, S3};
use crate::config::{Config, ConfigError};
use sinks::s3::{self, Access, Options, S3Sink};

pub(super) fn open(config: &Config, s3: &S3) -> Result<S3Sink, Failure> {
    let options = Options {
        bucket: s3.bucket.clone(),
        region: s3.region.clone(),
        prefix: s3.prefix.clone(),
        endpoint: s3.endpoint.clone(),
        path_style: s3.path_style,
        access: access(config, s3.access_key.as_ref())?,
        lock: s3.lock.as_ref().map(|lock| s3::Lock { mode: mode(lock.mode), days: lock.days }),
        kms_key: s3.kms_key.clone(),
        connection: config.connection(&s3.connection)?,
    };
    Ok(S3Sink::open(options)?)
}

fn access(config: &Config, key: Option<&AccessKey>) -> Result<Access, ConfigError> {
    let Some(AccessKey { id, secret, session_token }) = key else { return Ok(Access::DefaultChain) };
    let session_token = session_token.as_ref().map(|token| config.secret(token)).transpose()?;
    Ok(Access::Key { id: id.clone(), secret: config.secret(secret)?, session_token })
}

fn mode(mode: LockMode) -> s3::LockMode {
    match mode {
        LockMode::Compliance => s3::LockMode::Compliance,
        LockMode::Governance => s3::LockMode::Governance,
    }
}
