//! Receivers with a protocol of their own over TCP.

use crate::config::SecretSource;
use serde::Deserialize;
use std::path::PathBuf;

/// How a receiver is reached.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connection {
    /// The only certificate authorities to trust, PEM.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<SecretSource>,
    /// Whether to do without TLS: to loopback addresses only.
    pub plaintext: bool,
}

/// A syslog server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// `host:port`.
    pub address: String,
    /// The longest message that the server takes whole.
    #[serde(default = "default_max_message_bytes")]
    pub max_message_bytes: usize,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

/// A topic of a Kafka cluster.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Some nodes of the cluster, `host:port`.
    pub bootstrap_servers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Who the broker is to the cluster.
    pub sasl: Option<Sasl>,
    /// How each node is reached.
    #[serde(default)]
    pub connection: Connection,
}

/// Credentials for SASL.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// How they are shown.
    pub mechanism: Mechanism,
    /// The user.
    pub username: String,
    /// Its password.
    pub password: SecretSource,
}

/// How credentials are shown.
#[derive(Debug, Clone, Copy, Deserialize)]
pub enum Mechanism {
    /// RFC 4616.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

fn default_max_message_bytes() -> usize {
    64 * 1024
}
