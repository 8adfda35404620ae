//! Receivers over HTTPS.

use crate::config::{Config, ConfigError, SecretSource};
use secret::Secret;
use serde::Deserialize;
use sinks::https::{self, Network};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a receiver is reached.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connection {
    /// The only certificate authorities to trust, PEM.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<SecretSource>,
    /// Where it may connect to beside the public internet.
    pub allow_networks: Vec<Network>,
    /// For one call.
    pub timeout_seconds: u64,
}

impl Default for Connection {
    fn default() -> Self {
        Self { ca: None, certificate: None, key: None, allow_networks: Vec::new(), timeout_seconds: 20 }
    }
}

/// A webhook after Standard Webhooks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The whole address.
    pub url: String,
    /// What signs: `whsec_` secrets and `whsk_` keys.
    pub keys: Vec<SecretSource>,
    /// Messages in one request, at most.
    #[serde(default = "default_max_messages")]
    pub max_messages: usize,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

/// Splunk's HTTP Event Collector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splunk {
    /// `https://host:port`.
    pub url: String,
    /// The token of the collector's input.
    pub token: SecretSource,
    /// The index, where it is not the token's.
    pub index: Option<String>,
    /// The source type.
    #[serde(default = "default_sourcetype")]
    pub sourcetype: String,
    /// Whether the token has indexer acknowledgement.
    #[serde(default = "default_acknowledgement")]
    pub acknowledgement: bool,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

/// Elasticsearch or OpenSearch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elasticsearch {
    /// `https://host:port`.
    pub url: String,
    /// The data stream or index.
    pub target: String,
    /// Who writes.
    pub login: ElasticsearchLogin,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

/// Who writes to Elasticsearch.
#[derive(Debug, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum ElasticsearchLogin {
    /// An API key.
    ApiKey {
        /// As it was given out under `encoded`.
        key: SecretSource,
    },
    /// A user with a password.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: SecretSource,
    },
}

fn default_max_messages() -> usize {
    256
}

fn default_sourcetype() -> String {
    "keyfold".into()
}

fn default_acknowledgement() -> bool {
    true
}

impl Config {
    /// The connection, with secrets and certificates read.
    pub fn connection(&self, connection: &Connection) -> Result<https::Connection, ConfigError> {
        Ok(https::Connection {
            ca_pem: connection.ca.as_deref().map(|ca| self.bytes(ca)).transpose()?,
            identity_pem: self.identity(connection.certificate.as_deref(), connection.key.as_ref())?,
            allow_networks: connection.allow_networks.clone(),
            timeout: Duration::from_secs(connection.timeout_seconds),
        })
    }

    /// A client's key and certificate in one, where it has them.
    pub fn identity(
        &self,
        certificate: Option<&Path>,
        key: Option<&SecretSource>,
    ) -> Result<Option<Secret>, ConfigError> {
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                // On a line of its own, for the end of a secret's last line is not part of it.
                let certificate = [b"\n", &*self.bytes(certificate)?].concat();
                Ok(Some(self.secret(key)?.followed_by(&certificate)))
            }
            (Some(_), None) | (None, Some(_)) => {
                Err(ConfigError::Invalid("a `connection` has both `certificate` and `key`, or neither"))
            }
        }
    }
}
