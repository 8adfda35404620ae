//! Receivers over HTTPS: from configuration to options, with secrets and certificates read.

use super::Failure;
use crate::config::sink::https::{Connection, Elasticsearch, ElasticsearchLogin, Splunk, Webhook};
use crate::config::{Config, ConfigError, SecretSource};
use secret::Secret;
use sinks::elasticsearch::{self, ElasticsearchSink, Login};
use sinks::https;
use sinks::splunk::{self, SplunkSink};
use sinks::webhook::{self, WebhookSink};
use std::path::Path;
use std::time::Duration;

pub(super) fn webhook(config: &Config, webhook: &Webhook) -> Result<WebhookSink, Failure> {
    let sink = WebhookSink::open(&webhook::Options {
        url: webhook.url.clone(),
        keys: webhook.keys.iter().map(|key| config.secret(key)).collect::<Result<_, _>>()?,
        max_messages: webhook.max_messages.max(1),
        connection: connection(config, &webhook.connection)?,
    })?;
    for key in sink.public_keys() {
        tracing::info!(key, "receivers of a webhook may verify it with this key");
    }
    Ok(sink)
}

pub(super) fn splunk(config: &Config, splunk: &Splunk, deadline: Duration) -> Result<SplunkSink, Failure> {
    Ok(SplunkSink::open(splunk::Options {
        url: splunk.url.clone(),
        token: config.secret(&splunk.token)?,
        index: splunk.index.clone(),
        sourcetype: splunk.sourcetype.clone(),
        acknowledgement: splunk.acknowledgement.then_some(deadline),
        connection: connection(config, &splunk.connection)?,
    })?)
}

pub(super) fn elasticsearch(config: &Config, options: &Elasticsearch) -> Result<ElasticsearchSink, Failure> {
    let login = match &options.login {
        ElasticsearchLogin::ApiKey { key } => Login::ApiKey(config.secret(key)?),
        ElasticsearchLogin::Basic { user, password } => {
            Login::Basic { user: user.clone(), password: config.secret(password)? }
        }
    };
    Ok(ElasticsearchSink::open(&elasticsearch::Options {
        url: options.url.clone(),
        target: options.target.clone(),
        login,
        connection: connection(config, &options.connection)?,
    })?)
}

pub(super) fn connection(config: &Config, connection: &Connection) -> Result<https::Connection, ConfigError> {
    Ok(https::Connection {
        ca_pem: connection.ca.as_deref().map(|ca| config.bytes(ca)).transpose()?,
        identity_pem: identity(config, connection.certificate.as_deref(), connection.key.as_ref())?,
        allow_networks: connection.allow_networks.clone(),
        timeout: Duration::from_secs(connection.timeout_seconds),
    })
}

/// A client's key and certificate in one, where it has them.
pub(super) fn identity(
    config: &Config,
    certificate: Option<&Path>,
    key: Option<&SecretSource>,
) -> Result<Option<Secret>, ConfigError> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            // On a line of its own, for the end of a secret's last line is not part of it.
            let certificate = [b"\n", &*config.bytes(certificate)?].concat();
            Ok(Some(config.secret(key)?.followed_by(&certificate)))
        }
        (Some(_), None) | (None, Some(_)) => {
            Err(ConfigError::Invalid("a `connection` has both `certificate` and `key`, or neither"))
        }
    }
}
