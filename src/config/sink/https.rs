//! Receivers over HTTPS.

use crate::config::SecretSource;
use serde::Deserialize;
use sinks::https::Network;
use std::path::PathBuf;

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
