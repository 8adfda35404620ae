use super::Failure;
use crate::config::sink::sentinel::{Identity, Sentinel};
use crate::config::{Config, ConfigError};
use sinks::sentinel::{Application, Options, Proof, SentinelSink};

pub(super) fn open(config: &Config, sentinel: &Sentinel) -> Result<SentinelSink, Failure> {
    let (tenant_id, client_id, proof) = proof(config, &sentinel.identity)?;
    let options = Options {
        endpoint: sentinel.endpoint.clone(),
        rule: sentinel.rule.clone(),
        stream: sentinel.stream.clone(),
        audience: sentinel.audience.clone(),
        application: Application { tenant_id, client_id, authority_host: sentinel.authority_host.clone(), proof },
        connection: config.connection(&sentinel.connection)?,
    };
    Ok(SentinelSink::open(options)?)
}

/// Directory, application, and how it proves itself.
fn proof(config: &Config, identity: &Identity) -> Result<(String, String, Proof), ConfigError> {
    let (tenant_id, client_id, proof) = match identity {
        Identity::Secret { tenant_id, client_id, secret } => {
            (tenant_id, client_id, Proof::Secret(config.secret(secret)?))
        }
        Identity::Certificate { tenant_id, client_id, certificate, key } => {
            let (certificate, key) = (config.bytes(certificate)?, config.secret(key)?);
            (tenant_id, client_id, Proof::Certificate { certificate, key })
        }
        Identity::Workload { tenant_id, client_id, token } => {
            (tenant_id, client_id, Proof::TokenFile(config.secret_path(token)?))
        }
    };
    Ok((tenant_id.clone(), client_id.clone(), proof))
}
